"""TurboGears with its debug toolbar and error pages."""

import jobs
import tg
from tg.configurator import FullStackApplicationConfigurator
from tg.util.webtest import test_context
from tgext.debugbar import DebugBar
from werkzeug.middleware.dispatcher import DispatcherMiddleware


class Folder(tg.TGController):
    @tg.expose()
    def index(self):
        return "in the folder"


class Errors(tg.TGController):
    @tg.expose()
    def document(self):
        return {404: "nothing here", 500: "something broke"}[tg.response.status_code]


class Root(tg.TGController):
    folder = Folder()
    error = Errors()

    @tg.expose()
    def page(self):
        return "<html><head></head><body>a page</body></html>"

    @tg.expose()
    def form(self, text=None):
        if text is None:
            return "<form method=post><input name=text></form>"
        return "saved: " + text

    @tg.expose()
    def failing(self):
        raise RuntimeError("on purpose")

    @tg.expose()
    def _default(self, *path):
        if path == ("error",):
            raise RuntimeError("on purpose")
        tg.abort(404)


#: The toolbar looks for it here.
RootController = Root


class Globals:
    kept = jobs.KEPT


def keeps():
    assert tg.request.method == "POST" and tg.config["kept"] == jobs.KEPT
    return tg.app_globals.kept


def turbogears_context(environ):
    """Make ``tg.request``, ``tg.app_globals`` and the like work in a function."""
    return test_context(inner[0], environ=environ)


def show_toolbar(configurator, conf):
    """Show the toolbar, which is for debug mode, beside the error pages, which are not."""
    conf["debug"] = True
    DebugBar(configurator)(configurator, conf)
    conf["debug"] = False


inner: list = []


def remember(app):
    inner.append(app)
    return app


configurator = FullStackApplicationConfigurator()
tg.hooks.register("initialized_config", show_toolbar)
configurator.update_blueprint(
    {
        "root_controller": Root(),
        "app_globals": Globals,
        "application_root_module": __name__,
        "renderers": ["json", "kajiki"],
        "default_renderer": "kajiki",
        "errorpage.enabled": True,
        "errorpage.status_codes": [403, 404, 413, 500],
        "kept": jobs.KEPT,
    }
)
app = configurator.make_wsgi_app({}, {"debug": False}, wrap_app=remember)
application = DispatcherMiddleware(app, jobs.mounts(keeps, turbogears_context))
