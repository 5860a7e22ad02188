import jobs
import webob
import webob.dec
import webob.exc


def form(request):
    if request.method == "POST":
        return "saved: " + request.POST["text"]
    return "<form method=post><input name=text></form>"


def error(request):
    raise RuntimeError("on purpose")


def folder(request):
    raise webob.exc.HTTPMovedPermanently(location="/folder/")


PAGES = {
    "/page": lambda request: "a page",
    "/form": form,
    "/error": error,
    "/folder": folder,
    "/folder/": lambda request: "in the folder",
}


class Kept:
    """WebOb keeps nothing of a request or an application but its objects."""

    value = jobs.KEPT


endpoints = jobs.mounts(lambda: Kept.value)


@webob.dec.wsgify
def application(request):
    endpoint = endpoints.get(request.path_info.rstrip("/"))
    if endpoint is not None:
        return endpoint
    try:
        if request.path_info not in PAGES:
            return webob.Response("nothing here", status=404)
        return webob.Response(PAGES[request.path_info](request))
    except RuntimeError:
        return webob.Response("something broke", status=500)
