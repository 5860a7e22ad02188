import falcon
import jobs
from werkzeug.middleware.dispatcher import DispatcherMiddleware


class Page:
    def on_get(self, req, resp):
        resp.text = "a page"


class Form:
    def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_HTML
        resp.text = "<form method=post><input name=text></form>"

    def on_post(self, req, resp):
        resp.text = "saved: " + req.get_media()["text"]


class Error:
    def on_get(self, req, resp):
        raise RuntimeError("on purpose")


class Folder:
    def on_get(self, req, resp):
        raise falcon.HTTPMovedPermanently("/folder/")


class InFolder:
    def on_get(self, req, resp):
        resp.text = "in the folder"


class Kept:
    """Falcon keeps nothing of a request or an application but its objects."""

    value = jobs.KEPT


def something_broke(req, resp, error, params):
    resp.status, resp.text = falcon.HTTP_500, "something broke"


def missing(req, resp, error, params):
    resp.status, resp.text = falcon.HTTP_404, "nothing here"


app = falcon.App()
app.req_options.strip_url_path_trailing_slash = False
app.add_error_handler(Exception, something_broke)
app.add_error_handler(falcon.HTTPNotFound, missing)
app.add_route("/page", Page())
app.add_route("/form", Form())
app.add_route("/error", Error())
app.add_route("/folder", Folder())
app.add_route("/folder/", InFolder())

application = DispatcherMiddleware(app, jobs.mounts(lambda: Kept.value))
