import contextlib

import bottle
import jobs

application = bottle.Bottle()
application.config["kept"] = jobs.KEPT


@application.get("/page")
def page():
    return "a page"


@application.get("/form")
def form():
    return "<form method=post><input name=text></form>"


@application.post("/form")
def save():
    return "saved: " + bottle.request.forms.getunicode("text")


@application.get("/error")
def error():
    raise RuntimeError("on purpose")


@application.error(500)
def something_broke(found):
    return "something broke"


@application.error(404)
def missing(found):
    return "nothing here"


@application.get("/folder")
def folder():
    bottle.redirect("/folder/")


@application.get("/folder/")
def in_folder():
    return "in the folder"


def keeps():
    return bottle.request.app.config["kept"]


@contextlib.contextmanager
def bottle_request(environ):
    """Make ``bottle.request`` work in a function, in whatever thread it runs."""
    try:
        before = bottle.request.environ
    except RuntimeError:
        before = {}
    bottle.request.bind(environ)
    try:
        yield
    finally:
        bottle.request.bind(before)


for path, endpoint in jobs.mounts(keeps, bottle_request).items():
    application.mount(path, endpoint)
