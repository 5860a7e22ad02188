"""The dev page's actions: sync, send an event, follow its runs."""

import json
import threading

import pytest
import urllib3
from apps import Endpoint
from dev_page import HTML, NOWHERE, RUN, act, ask, handler, state, text
from stub_server import Scripted, serving
from werkzeug.test import Client
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi._dev_page import page
from inngest_wsgi.testing import LocalServer

# -- what the page does ------------------------------------------------------


def test_an_event_is_sent_and_its_run_is_shown():
    with LocalServer() as server:
        endpoint = Endpoint(handler, base_url=server.url)
        with serving(endpoint.application) as origin:
            endpoint.http = Client(relay(origin))
            assert state(endpoint)["sync"] is None
            synced = act(endpoint, "sync").get_json()
            assert (synced["ok"], synced["message"]) == (True, "Successfully registered")
            assert state(endpoint)["sync"] == synced
            event = {"name": "test/event", "data": {"n": 1}, "id": "mine", "v": "2", "ts": None}
            sent = act(endpoint, "send", event=event).get_json()
            assert sent["error"] is None and len(sent["ids"]) == 1
            server.wait_for_run(sent["ids"][0])
            found = ask(endpoint, "runs", event=sent["ids"][0]).get_json()
    (run,) = found.pop("runs")
    assert found == {"error": None}
    assert (run["function"], run["status"], run["ended"]) == ("f", "Completed", True)
    assert json.loads(run["output"]) == {"got": {"n": 1}}
    assert run["page"] is None


def relay(origin):
    """Return an application that forwards each request to an application
    elsewhere; the address in a sync is the one that was called."""
    import urllib3

    pool = urllib3.PoolManager()

    def application(environ, start_response):
        headers = {
            name[5:].replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_HOST"
        }
        headers["Content-Type"] = environ.get("CONTENT_TYPE") or "text/plain"
        length = int(environ.get("CONTENT_LENGTH") or 0)
        answer = pool.request(
            environ["REQUEST_METHOD"],
            "{}{}?{}".format(origin, environ["PATH_INFO"], environ["QUERY_STRING"]),
            body=environ["wsgi.input"].read(length),
            headers=headers,
        )
        response = Response(answer.data, answer.status, dict(answer.headers))
        return response(environ, start_response)

    return application


def test_a_refusal_is_reported_in_the_servers_words():
    server = Scripted((400, {"error": "App ID required"}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        synced = act(endpoint, "sync").get_json()
        sent = act(endpoint, "send", event={"name": "a"}).get_json()
        runs = ask(endpoint, "runs", event="e1").get_json()
        found = state(endpoint)
    assert (synced["ok"], synced["message"]) == (False, "App ID required")
    assert sent["ids"] == [] and "App ID required" in sent["error"]
    assert runs["runs"] == [] and "App ID required" in runs["error"]
    assert found["sync"] == synced
    assert found["problems"][0]["level"] == "error"
    assert "App ID required" in text(found["problems"][0]["what"])


def test_a_sync_requested_by_the_server_is_remembered(dev):
    dev.request("PUT", query="")
    assert state(dev)["sync"]["ok"] is False


def test_a_test_event_passes_through_the_clients_middleware():
    class Stamp(inngest.Middleware):
        def before_send_events(self, events):
            events[0].data["stamp"] = True

    server = Scripted((200, {"ids": ["e1"], "status": 200}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, client={"middleware": [Stamp]})
        assert act(endpoint, "send", event={"name": "a"}).get_json()["ids"] == ["e1"]
    assert server.requests[0].get_json()[0]["data"] == {"stamp": True}


def test_an_event_that_the_middleware_drops_is_not_sent():
    class Drop(inngest.Middleware):
        def before_send_events(self, events):
            events.clear()

    endpoint = Endpoint(handler, base_url=NOWHERE, client={"middleware": [Drop]})
    found = act(endpoint, "send", event={"name": "a"}).get_json()
    assert found == {"ids": [], "error": None}


class Silent:
    """A server that accepts requests and answers none."""

    def __init__(self):
        self.waits = []

    def request(self, method, url, **options):
        self.waits.append(options["timeout"].read_timeout)
        raise urllib3.exceptions.ReadTimeoutError(None, url, "silence")  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["send", "runs"])
def test_a_silent_server_is_asked_once_with_a_short_timeout(what):
    silent = Silent()
    endpoint = Endpoint(handler, base_url=NOWHERE, http=silent)
    if what == "send":
        found = act(endpoint, "send", event={"name": "a"}).get_json()
    else:
        found = ask(endpoint, "runs", event="e1").get_json()
    assert "no answer in time" in found["error"]
    assert [0 < wait <= 10 for wait in silent.waits] == [True]


class Overtaken(page.Landing):
    """A dev page that learns of another sync before its own has been answered."""

    @property
    def _last_sync(self):
        return {"ok": "another's"}

    @_last_sync.setter
    def _last_sync(self, value):
        pass


def test_a_sync_returns_its_own_result(dev):
    dev.application._router._landing.__class__ = Overtaken
    assert act(dev, "sync").get_json()["ok"] is False


RUNNING = dict(RUN, status="Running", ended_at=None, output=None)
FAILED = dict(RUN, status="Failed", output={"name": "E", "message": "m"})
NO_SUCH_RUN = (200, {"error": "Unable to load function run", "data": None, "status": 500})


def answers_for(listed, run, html=HTML):
    """Return the answers to the request for the list of an event's runs, for
    the run itself, and for the run's page."""
    return [
        (200, {"data": [listed]}),
        run if isinstance(run, tuple) else (200, {"data": run}),
        html,
    ]


@pytest.mark.parametrize(
    "answers, expected",
    [
        (answers_for(RUN, RUN), {"status": "Completed", "output": "1", "page": True}),
        (answers_for(RUN, RUN, (200, {"a": 1})), {"page": None, "output": "1"}),
        (answers_for(RUN, RUN, (404, "<html>", HTML[2])), {"page": None}),
        # what a server says of a run that is not over: the status of its last step
        (
            answers_for(dict(RUNNING, status="Completed"), RUNNING),
            {"status": "Running", "ended": False, "error": None},
        ),
        (
            answers_for(dict(RUNNING, status="Failed"), RUNNING),
            {"status": "Running", "ended": False, "error": None},
        ),
        (
            answers_for(dict(RUNNING, status="Cancelled"), RUNNING),
            {"status": "Running", "ended": False},
        ),
        # and of one that is over: that of its last step for a moment longer
        (
            answers_for(dict(FAILED, status="Completed"), FAILED),
            {"status": "Failed", "ended": True, "error": "E: m"},
        ),
        (answers_for(dict(RUN, status="Scheduled"), RUN), {"status": "Completed", "ended": True}),
        (
            answers_for(dict(RUNNING, status="Completed"), dict(RUN, status="Cancelled")),
            {"status": "Cancelled", "ended": True, "error": None},
        ),
        (
            answers_for(dict(RUNNING, status="Scheduled"), dict(RUNNING, status="Scheduled")),
            {"status": "Scheduled", "ended": False, "error": None},
        ),
        (
            answers_for(RUNNING, dict(RUNNING, status="Skipped")),
            {"status": "Skipped", "ended": True},
        ),
        # the list is believed where the run itself cannot be read, if it has ended
        (answers_for(FAILED, NO_SUCH_RUN), {"error": "E: m", "ended": True}),
        (answers_for(FAILED, (404, "")), {"error": "E: m", "ended": True}),
        (
            answers_for(dict(RUNNING, status="Completed"), NO_SUCH_RUN),
            {"status": "Running", "ended": False},
        ),
        (answers_for(RUN, dict(FAILED, output="text")), {"error": "text"}),
        (answers_for(RUN, dict(FAILED, output=None)), {"ended": True}),
        ([(200, {"data": [dict(RUN, run_id="../x?y")]}), HTML], {"page": None, "id": "../x?y"}),
        (
            answers_for(RUN, dict(RUN, output="é" * 20000)),
            {"output": '"' + "é" * 9999 + "\n... (20002 characters in all)"},
        ),
        (answers_for(RUN, dict(RUN, output=2**60 + 1)), {"output": str(2**60 + 1)}),
    ],
)
def test_a_run_is_read_back(answers, expected):
    server = Scripted(*answers)
    with serving(server) as origin:
        found = ask(Endpoint(handler, base_url=origin), "runs", event="e1").get_json()
    assert found["error"] is None
    (run,) = found["runs"]
    if expected.get("page"):
        expected["page"] = origin + "/run?runID=01RUN"
    assert {name: run[name] for name in expected} == expected
    assert server.requests[0].path == "/v1/events/e1/runs"


def test_no_answer_that_a_server_has_kept_is_read():
    """A server keeps the answer to a URL for some seconds."""
    listed, run = (200, {"data": [RUNNING]}), (200, {"data": RUNNING})
    server = Scripted(listed, run, HTML, listed, run, listed, run)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        for _ in range(3):
            ask(endpoint, "runs", event="e1")
    asked = [request.url for request in server.requests if request.path.startswith("/v1/")]
    assert len(set(asked)) == len(asked) == 6


def test_a_run_that_has_ended_is_not_asked_for_again():
    listed = (200, {"data": [RUN]})
    server = Scripted(listed, (200, {"data": FAILED}), HTML, listed)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        found = [ask(endpoint, "runs", event="e1").get_json()["runs"][0] for _ in range(2)]
    assert found[0] == found[1] and found[0]["status"] == "Failed"


def test_the_server_is_asked_for_its_pages_until_it_has_them():
    runs, run, nothing = (200, {"data": [RUN]}), (200, {"data": RUN}), (404, "")
    server = Scripted(runs, run, nothing, runs, HTML, runs, runs)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin)
        pages = [ask(endpoint, "runs", event="e").get_json()["runs"][0]["page"] for _ in range(4)]
    assert pages == [None] + [origin + "/run?runID=01RUN"] * 3
    assert [request.path for request in server.requests].count("/run") == 2


@pytest.mark.parametrize(
    "answer", [(200, "<html>"), (200, "[]"), (200, {"data": None}), (200, {"data": {}}), (500, "")]
)
def test_an_invalid_answer_about_runs_is_an_error_message(answer):
    with serving(Scripted(answer)) as origin:
        found = ask(Endpoint(handler, base_url=origin), "runs", event="e1").get_json()
    assert found["runs"] == [] and len(found["error"]) > 10


@pytest.mark.parametrize("event", ["", "../v1/runs", "a b", "é", "x" * 65, "a/b", "a\n"])
def test_an_event_id_cannot_change_the_url(dev, event):
    answer = ask(dev, "runs", event=event)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_invalid")


# -- many at once ------------------------------------------------------------


def test_the_number_of_remembered_runs_is_limited(dev):
    def call_often(n):
        for run in range(300):
            dev.call(run_id=f"run-{n}-{run}")

    threads = [threading.Thread(target=call_often, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(dev.application._router._landing._runs._known) == 500


def known(endpoint):
    return list(endpoint.application._router._landing._runs._known)


def test_the_last_runs_are_remembered(dev):
    for run in ["first", "second"] + [f"run-{n}" for n in range(498)] + ["first", "new"]:
        assert dev.call(run_id=run).status_code == 200
    assert len(known(dev)) == 500
    assert "second" not in known(dev) and known(dev)[-2:] == ["first", "new"]


@pytest.mark.parametrize("run", ["", "x" * 65, "x" * 100000, "../x", "a b", "\u0660", "a\n"])
def test_an_invalid_run_id_is_not_remembered(dev, run):
    assert dev.call(run_id=run).status_code == 200
    assert known(dev) == []
