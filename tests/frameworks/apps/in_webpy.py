import contextlib

import jobs
import web
from werkzeug.middleware.dispatcher import DispatcherMiddleware

urls = (
    "/page",
    "Page",
    "/form",
    "Form",
    "/error",
    "Error",
    "/(.*[^/])",
    "Redirect",
    "/folder/",
    "Folder",
)


class Page:
    def GET(self):
        return "a page"


class Form:
    def GET(self):
        return "<form method=post><input name=text></form>"

    def POST(self):
        return "saved: " + web.input().text


class Error:
    def GET(self):
        raise RuntimeError("on purpose")


class Redirect:
    def GET(self, path):
        if path != "folder":
            raise web.notfound("nothing here")
        raise web.redirect("/folder/")


class Folder:
    def GET(self):
        return "in the folder"


app = web.application(urls, globals(), autoreload=False)
app.internalerror = lambda: web.internalerror("something broke")


def remember(handler):
    web.ctx.kept = jobs.KEPT
    return handler()


app.add_processor(remember)


@contextlib.contextmanager
def webpy_context(environ):
    """Make ``web.ctx`` work in a function, as in a page."""
    app.load(environ)
    web.ctx.kept = jobs.KEPT
    try:
        yield
    finally:
        web.utils.ThreadedDict.clear_all()


application = DispatcherMiddleware(
    app.wsgifunc(), jobs.mounts(lambda: web.ctx.kept, webpy_context)
)
