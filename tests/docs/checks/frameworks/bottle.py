import app
import bottle
import pytest

import inngest_wsgi as inngest


@pytest.mark.parametrize("read", ["forms", "json"])
def test_a_hook_that_reads_a_large_call(inngest_server, read):
    application = bottle.Bottle()
    application.add_hook("before_request", lambda: getattr(bottle.request, read))
    application.mount("/api/inngest", inngest.serve(app.client, [app.welcome]))
    inngest_server.serve(application)
    for size, status in ((1000, "Completed"), (bottle.BaseRequest.MEMFILE_MAX, "Failed")):
        run = inngest_server.send("user/created", {"name": "x" * size}).run("welcome")
        inngest_server.run_until_idle()
        assert run.status == status
    assert "413" in run.error.message and bottle.BaseRequest.MEMFILE_MAX == 102400


def test_plugins_and_error_pages_are_not_for_what_is_mounted(inngest_server):
    def refuse(callback):
        return lambda *args, **values: bottle.abort(403)

    application = bottle.Bottle()
    application.install(refuse)
    for status in (400, 401, 403, 404, 500):
        application.error(status)(lambda error: "replaced")
    application.mount("/api/inngest", inngest.serve(app.client, [app.welcome]))
    inngest_server.serve(application)
    run = inngest_server.send("user/created", {"name": "Ann"}).run("welcome")
    assert run.result() == "Hello, Ann"


def test_the_root_is_no_place_for_a_mount():
    with pytest.raises(ValueError, match='cannot be mounted to "/"'):
        bottle.Bottle().mount("/", inngest.serve(app.client, [app.welcome]))
