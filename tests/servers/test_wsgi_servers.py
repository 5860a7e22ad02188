"""The endpoint under real WSGI servers, called by the local server over HTTP, in
both modes."""

import urllib.request

import pytest
from apps import KEY, OTHER_KEY
from server_process import process

from inngest_wsgi.testing import LocalServer, SyncError, VirtualClock

GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "--workers=1", "mounted:application"]
WAITRESS = ["waitress", "--listen=127.0.0.1:0", "mounted:application"]
LISTENING = r"(?:Listening at:|Serving on) (http://\S+)"
SERVERS = {
    "gunicorn-sync": GUNICORN,
    "gunicorn-gthread": GUNICORN + ["-k", "gthread", "--threads=4"],
    "gunicorn-gevent": GUNICORN + ["-k", "gevent"],
    "waitress": WAITRESS,
}


@pytest.fixture(scope="module", params=["dev", "cloud"])
def server(request):
    key = KEY if request.param == "cloud" else None
    with LocalServer(signing_key=key, clock=VirtualClock()) as running:
        yield running


@pytest.fixture(scope="module")
def effects(tmp_path_factory):
    path = tmp_path_factory.mktemp("effects") / "effects"
    path.touch()
    return path


@pytest.fixture(scope="module", params=list(SERVERS))
def app(request, server, effects):
    """The origin of the mounted and synced application."""
    environ = {"EFFECTS": str(effects), "HOME": str(effects.parent)}
    if server.signing_key is None:
        environ["INNGEST_DEV"] = server.url
    else:
        environ.update(INNGEST_SIGNING_KEY=server.signing_key, INNGEST_BASE_URL=server.url)
    with process(SERVERS[request.param], LISTENING, **environ) as origin:
        server.sync(origin + "/api/inngest")
        yield origin


@pytest.mark.parametrize(
    "name, status, output, done",
    [
        ("steps", "Completed", ["first", "flaky", "last é", 7], ["first", "flaky", "last é"]),
        ("caught", "Completed", ["KeyError", "'never'"], ["tried", "tried"]),
        ("final", "Failed", {"name": "NonRetriableError", "message": "give up"}, ["called"]),
        ("later", "Completed", "now", ["called", "called"]),
        ("large", "Completed", [2000001, 2000001, 2000001], ["done"]),
        ("timeout", "Completed", ["Timeout", "2 seconds"], ["tried", "tried"]),
    ],
)
def test_functions_run_to_completion(app, server, effects, name, status, output, done):
    effects.write_text("")
    (event_id,) = server.send({"name": "test/" + name, "data": {"n": 7}})
    run = server.wait_for_run(event_id, timeout=60)
    assert run.status == status, run.history
    found = run.output
    if status == "Failed":
        found = {key: found[key] for key in output}
    assert found == output
    assert effects.read_text(encoding="utf-8").splitlines() == done


@pytest.mark.parametrize(
    "name, said, done",
    [
        ("hook", "step 'misplaced': it is called before the function is", []),
        ("keeper", "an exception that ended another call was raised again", ["first"]),
    ],
)
def test_a_misuse_is_answered_and_does_not_kill_the_worker(app, server, effects, name, said, done):
    def worker():
        (event_id,) = server.send({"name": "test/alive"})
        return server.wait_for_run(event_id, timeout=60).output

    before = worker()
    effects.write_text("")
    (event_id,) = server.send({"name": "test/" + name})
    run = server.wait_for_run(event_id, timeout=60)
    assert run.status == "Failed" and said in run.output["message"], run.history
    assert effects.read_text(encoding="utf-8").splitlines() == done
    assert worker() == before


def test_a_cron_function(app, server, effects):
    effects.write_text("")
    run_id = server.fire_cron("mounted-nightly")
    run = server.wait_for_run(run_id, timeout=60)
    assert (run.status, run.output) == ("Completed", "inngest/scheduled.timer")


def test_the_pages_beside_the_endpoint_work(app):
    with urllib.request.urlopen(app + "/", timeout=60) as answer:
        assert answer.read() == b"a page"


def test_a_sync_detects_different_keys(effects):
    with LocalServer(signing_key=KEY) as server:
        environ = dict(INNGEST_SIGNING_KEY=OTHER_KEY, INNGEST_BASE_URL=server.url)
        with process(WAITRESS, LISTENING, EFFECTS=str(effects), **environ) as origin:
            with pytest.raises(SyncError, match="401.*signature"):
                server.sync(origin + "/api/inngest")
