"""Flask with its debug toolbar, Flask-WTF, a login for every page, error pages and slash
redirects."""

import flask
import flask_debugtoolbar
import flask_wtf
import jobs

import inngest_wsgi.flask

KNOWN = ("page", "form", "error", "folder")


def keeps():
    return flask.current_app.config["KEPT"]


def create_app():
    app = flask.Flask(__name__)
    app.debug = True
    app.config.update(
        SECRET_KEY="for tests", KEPT=jobs.KEPT, MAX_CONTENT_LENGTH=100_000, DEBUG_TB_HOSTS=()
    )
    flask_debugtoolbar.DebugToolbarExtension(app)
    for endpoint in jobs.endpoints(keeps):
        inngest_wsgi.flask.serve(
            app,
            endpoint.client,
            endpoint.functions,
            serve_path=endpoint.path,
            **endpoint.options,
        )
    app.register_blueprint(pages)
    flask_wtf.CSRFProtect(app)
    return app


pages = flask.Blueprint("pages", __name__)


@pages.before_app_request
def ask_for_a_login():
    path = flask.request.path.strip("/").partition("/")[0]
    if path not in (*KNOWN, "missing", "_debug_toolbar"):
        flask.abort(401)
    flask.g.user = "somebody"


@pages.after_app_request
def mark(response):
    response.headers["X-User"] = flask.g.user
    return response


@pages.app_errorhandler(Exception)
def something_broke(exc):
    return "something broke", 500


@pages.app_errorhandler(404)
def missing(exc):
    return "nothing here", 404


@pages.app_errorhandler(flask_wtf.csrf.CSRFError)
def no_token(exc):
    return exc.description, 400


@pages.app_errorhandler(405)
def method(exc):
    return "not by this method", 405


@pages.route("/page")
def page():
    return "<html><body>a page</body></html>"


@pages.route("/form", methods=["GET", "POST"])
def form():
    if flask.request.method == "POST":
        return "saved: " + flask.request.form["text"]
    return flask.render_template_string(
        "<form method=post><input type=hidden name=csrf_token value='{{ csrf_token() }}'>"
        "<input name=text></form>"
    )


@pages.route("/error")
def error():
    raise RuntimeError("on purpose")


@pages.route("/folder/")
def folder():
    return "in the folder"


app = application = create_app()
