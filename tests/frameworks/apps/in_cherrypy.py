import contextlib
import os

import cherrypy
import jobs

#: CherryPy wants it in the paths of what it mounts.
PREFIX = os.environ.get("PREFIX", "")


class Root:
    @cherrypy.expose
    def page(self):
        return "a page"

    @cherrypy.expose
    def form(self, text=None):
        if text is None:
            return "<form method=post><input name=text></form>"
        return "saved: " + text

    @cherrypy.expose
    def error(self):
        raise RuntimeError("on purpose")


class Folder:
    @cherrypy.expose
    def index(self):
        return "in the folder"


def missing(status, message, traceback, version):
    return "nothing here"


def something_broke():
    cherrypy.response.status = 500
    cherrypy.response.body = b"something broke"


def keep(thread):
    cherrypy.thread_data.kept = jobs.KEPT


def keeps():
    return cherrypy.thread_data.kept


@contextlib.contextmanager
def cherrypy_thread(environ):
    """Run CherryPy's listeners of ``start_thread`` and ``stop_thread`` around a function."""
    cherrypy.engine.publish("acquire_thread")
    try:
        yield
    finally:
        cherrypy.engine.publish("release_thread")


root = Root()
root.folder = Folder()  # type: ignore[attr-defined]
cherrypy.config.update({"environment": "embedded"})
cherrypy.engine.subscribe("start_thread", keep)
config = {"/": {"error_page.404": missing, "request.error_response": something_broke}}
cherrypy.tree.mount(root, PREFIX, config)
for path, endpoint in jobs.mounts(keeps, cherrypy_thread).items():
    cherrypy.tree.graft(endpoint, PREFIX + path)

application = cherrypy.tree
