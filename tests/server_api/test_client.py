import concurrent.futures
import json
import logging
import multiprocessing
import os
import re

import pytest
from apps import Endpoint
from stub_server import Scripted, serving
from werkzeug.wrappers import Response

import inngest_wsgi as inngest
from inngest_wsgi._server_api import client as _client

EVENT = inngest.Event(name="shop/order.placed", data={"id": 1})


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The pauses between attempts, recorded instead of waited for."""
    found = []
    monkeypatch.setattr(_client.time, "sleep", found.append)
    return found


def client_of(origin, **options):
    return inngest.Inngest(
        app_id="shop", event_api_base_url=origin, is_production=False, **options
    )


def test_sending_one_event():
    server = Scripted((200, {"ids": ["01A"], "status": 200}))
    with serving(server) as origin:
        assert client_of(origin, event_key="k/1", env="branch").send(EVENT) == ["01A"]
    (request,) = server.requests
    assert (request.method, request.environ["RAW_URI"]) == ("POST", "/e/k%2F1")
    (sent,) = request.get_json()
    assert sent.pop("ts") > 1_500_000_000_000
    assert sent == {"name": "shop/order.placed", "data": {"id": 1}}
    assert request.headers["X-Inngest-Env"] == "branch"
    stamp, _, entropy = request.headers["X-Inngest-Event-Id-Seed"].partition(",")
    assert stamp.isdigit() and len(entropy) == 16


def test_sending_many_with_all_their_fields():
    server = Scripted((200, {"ids": ["01A", "01B"], "status": 200}))
    full = inngest.Event(name="a", data={}, id="mine", ts=7, user={"id": "u"}, v="2")
    with serving(server) as origin:
        assert client_of(origin).send_sync([EVENT, full]) == ["01A", "01B"]
    (request,) = server.requests
    assert request.path == "/e/NO_EVENT_KEY_SET"
    assert request.get_json()[1] == {
        "name": "a",
        "data": {},
        "id": "mine",
        "ts": 7,
        "user": {"id": "u"},
        "v": "2",
    }


def test_an_empty_list_is_not_sent():
    assert client_of("http://127.0.0.1:9").send([]) == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_retry_asks_for_the_same_ids(status, waits):
    server = Scripted((status, "busy"), (status, "busy"), (200, {"ids": ["01A"]}))
    with serving(server) as origin:
        assert client_of(origin).send(EVENT) == ["01A"]
    seeds = {r.headers["X-Inngest-Event-Id-Seed"] for r in server.requests}
    assert (len(server.requests), len(seeds), len(waits)) == (3, 1, 2)


def test_five_attempts_with_growing_waits(waits):
    server = Scripted((503, {"error": "busy"}))
    with serving(server) as origin:
        with pytest.raises(inngest.SendEventsError, match="0 of 1 events were accepted: busy"):
            client_of(origin).send(EVENT)
    assert len(server.requests) == 5
    for n, wait in enumerate(waits):
        assert 0.1 * 2**n <= wait <= 0.2 * 2**n


@pytest.mark.parametrize(
    "answer, ids, said",
    [
        ((400, {"ids": [""], "status": 400, "error": "event name is empty"}), [], "0 of 2"),
        ((400, {"ids": ["01A"], "status": 400, "error": "event name is empty"}), ["01A"], "1 of"),
        ((401, {"status": 401, "message": "", "error": "Event key not found"}), [], "not found"),
        ((200, {"ids": ["01A"], "status": 200}), ["01A"], "1 of 2"),
        ((200, "not JSON"), [], "not JSON"),
        ((303, ""), [], "HTTP status 303"),
    ],
)
def test_an_error_has_the_ids_of_the_accepted_events(answer, ids, said):
    server = Scripted(answer)
    with serving(server) as origin:
        with pytest.raises(inngest.SendEventsError, match=said) as caught:
            client_of(origin).send([EVENT, EVENT])
    assert caught.value.ids == ids
    assert caught.value.http_status == answer[0]
    assert len(server.requests) == 1, "a client's own mistake is not sent again"


def test_a_server_that_cannot_be_reached(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(inngest.SendEventsError) as caught:
        client_of("http://127.0.0.1:9", event_key="secret-key").send(EVENT)
    assert "http://127.0.0.1:9 cannot be reached: Connection refused" in str(caught.value)
    assert "Is the Inngest Dev Server running, and INNGEST_DEV its address?" in str(caught.value)
    assert "secret-key" not in str(caught.value) + caplog.text


def test_only_dev_mode_asks_for_the_dev_server():
    client = inngest.Inngest(
        app_id="shop",
        event_api_base_url="http://127.0.0.1:9",
        event_key="secret-key",
        is_production=True,
    )
    with pytest.raises(inngest.SendEventsError, match="Connection refused") as caught:
        client.send(EVENT)
    assert "Dev Server" not in str(caught.value)


def test_the_event_key_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    server = Scripted((503, ""), (200, {"ids": ["01A"]}))
    with serving(server) as origin:
        client_of(origin, event_key="secret-key").send(EVENT)
    assert '"POST /e/... ' in caplog.text
    ours = [r.getMessage() for r in caplog.records if r.name.startswith(("urllib3", "inngest"))]
    assert ours and not any("secret-key" in line for line in ours)


def test_in_cloud_mode_an_event_key_is_needed():
    with pytest.raises(inngest.SettingsError, match="event_key: .*INNGEST_EVENT_KEY"):
        inngest.Inngest(app_id="shop").send(EVENT)


@pytest.mark.parametrize(
    "events, error, said",
    [
        ("order/received", TypeError, "not 'order/received': write inngest_wsgi.Event("),
        (b"order", TypeError, "not b'order'"),
        ({"name": "a"}, TypeError, "not {'name': 'a'}"),
        (None, TypeError, "not None"),
        (["order/received"], TypeError, "not 'order/received'"),
        ([EVENT, {"name": "a"}], TypeError, "not {'name': 'a'}"),
        (inngest.Event(name="a", data={"x": object()}), inngest.OutputError, "cannot be sent"),
    ],
)
def test_an_invalid_event_is_not_sent(events, error, said):
    with pytest.raises(error, match=re.escape(said)):
        client_of("http://127.0.0.1:9").send(events)


def _send_in_child(client, results):
    results.put(client.send(EVENT))


def test_the_event_key_is_masked_in_any_path(caplog):
    caplog.set_level(logging.DEBUG)
    server = Scripted((200, {"ids": ["01A"]}))
    with serving(server) as origin:
        client_of(origin + "/proxy", event_key="secret-key").send(EVENT)
    assert server.requests[0].path == "/proxy/e/secret-key"
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("urllib3")]
    assert any("/proxy/e/..." in line for line in ours)
    assert not any("secret-key" in line for line in ours)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_after_a_fork_each_process_has_its_own_connection():
    server = Scripted((200, {"ids": ["01A"]}))
    with serving(server, plain=True) as origin:
        client = client_of(origin)
        client.send(EVENT)
        client.send(EVENT)
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        child = context.Process(target=_send_in_child, args=(client, results))
        child.start()
        assert results.get(timeout=60) == ["01A"]
        child.join()
        client.send(EVENT)
    ports = [request.environ["REMOTE_PORT"] for request in server.requests]
    first, second, childs, last = ports
    assert first == second == last != childs


class OwnHttp:
    """An object with the minimum that the ``http`` option needs."""

    def __init__(self):
        self.asked = []

    def request(self, method, url, **kwargs):
        self.asked.append((method, url, kwargs["timeout"].read_timeout))
        return type("Response", (), {"status": 200, "data": b'{"modified": true}'})


def test_the_http_option_makes_the_requests():
    own = OwnHttp()
    endpoint = Endpoint(
        lambda ctx: None,
        http=own,
        base_url="http://inngest.internal",
        client={"request_timeout": "7s"},
    )
    assert endpoint.request("PUT").get_json()["modified"] is True
    assert own.asked == [("POST", "http://inngest.internal/fn/register", 7.0)]


def test_an_event_that_is_too_large_is_refused_before_any_is_sent():
    server = Scripted((200, {"ids": ["01A"]}))
    large = inngest.Event(name="large", data={"x": "x" * (3 * 1024 * 1024)})
    with serving(server) as origin:
        with pytest.raises(inngest.SendEventsError, match="0 of 2 .*'large' has 31457"):
            client_of(origin).send([EVENT, large])
    assert server.requests == []


def accepting(environ, start_response):
    """A server that accepts every event."""
    count = len(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
    answer = {"ids": ["01A"] * count, "status": 200}
    return Response(json.dumps(answer), 200)(environ, start_response)


def test_more_events_than_the_server_takes_at_once():
    with serving(accepting) as origin:
        assert len(client_of(origin).send([EVENT] * 10_001)) == 10_001


def test_ids_of_earlier_parts_are_kept_if_a_later_part_fails():
    server = Scripted((200, {"ids": ["01A"] * 5000}), (400, {"error": "no", "ids": ["01B"]}))
    with serving(server) as origin:
        with pytest.raises(inngest.SendEventsError, match="5001 of 5002") as caught:
            client_of(origin).send([EVENT] * 5002)
    assert caught.value.ids == ["01A"] * 5000 + ["01B"]
    seeds = {r.headers["X-Inngest-Event-Id-Seed"] for r in server.requests}
    assert len(seeds) == 2


def test_sending_in_many_threads():
    with serving(accepting) as origin:
        client = client_of(origin)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: client.send([EVENT] * n), range(1, 33)))
    assert [len(ids) for ids in found] == list(range(1, 33))
