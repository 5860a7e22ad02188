"""Requests to the dev page that are refused: tokens, origins, bodies."""

import json

import freezegun
import pytest
from apps import Endpoint
from dev_page import NOWHERE, OURS, act, ask, handler, state
from hypothesis import example, given, settings, strategies as st
from stub_server import Scripted, serving

from inngest_wsgi._dev_page import descriptions, page

# -- tokens ------------------------------------------------------------------


def other_process(endpoint):
    return state(Endpoint(handler, base_url=NOWHERE))["token"]


@pytest.mark.parametrize(
    "tokens, code",
    [
        (lambda e: [], "token_missing"),
        (lambda e: [""], "token_invalid"),
        (lambda e: ["garbage"], "token_invalid"),
        (lambda e: ["é"], "token_invalid"),
        (lambda e: ["\ud800"], "token_invalid"),
        (lambda e: [state(e)["token"][:-1]], "token_invalid"),
        (lambda e: [state(e)["token"] + "x"], "token_invalid"),
        (lambda e: ["x" + state(e)["token"]], "token_invalid"),
        (lambda e: [other_process(e)], "token_invalid"),
        (lambda e: [state(e)["token"]] + ["x"] * 16, "token_invalid"),
        (lambda e: None, "body_invalid"),
        (lambda e: state(e)["token"], "body_invalid"),
        (lambda e: [1], "body_invalid"),
    ],
)
@pytest.mark.parametrize("what", ["sync", "send"])
def test_an_action_without_a_valid_token_is_refused(scripted, what, tokens, code):
    body = json.dumps({"tokens": tokens(scripted), "event": {"name": "a"}})
    answer = act(scripted, what, body=body, tokens=[])
    assert answer.get_json()["code"] == code
    assert answer.status_code == (400 if code == "body_invalid" else 403)
    assert scripted.server.requests == []


@pytest.mark.parametrize("minutes, code", [(59, None), (61, "token_expired")])
def test_a_token_expires_within_the_hour(scripted, minutes, code):
    with freezegun.freeze_time("2026-01-01 00:00") as clock:
        token = state(scripted)["token"]
        clock.tick(minutes * 60)
        answer = act(scripted, "send", [token], event={"name": "a"})
    assert answer.get_json().get("code") == code
    assert len(scripted.server.requests) == (code is None)


def test_one_valid_token_among_several_is_enough(scripted):
    tokens = [other_process(scripted), state(scripted)["token"], other_process(scripted)]
    assert act(scripted, "send", tokens, event={"name": "a"}).get_json()["ids"] == ["e1"]


# -- origins -----------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, reads, acts",
    [
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"}, True, True),
        ({"Sec-Fetch-Site": "none"}, True, False),
        ({"Sec-Fetch-Site": "same-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site"}, False, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False, False),
        ({"Sec-Fetch-Site": ""}, False, False),
        ({"Origin": "http://localhost"}, True, True),
        ({"Origin": "https://shop.example"}, True, True),
        ({"Origin": "https://localhost"}, False, False),
        ({"Origin": "http://localhost:81"}, False, False),
        ({"Origin": "http://localhost.evil.example"}, False, False),
        ({"Origin": "null"}, False, False),
        ({"Origin": ""}, False, False),
        ({}, True, False),
    ],
)
def test_other_origins_are_refused(headers, reads, acts):
    server = Scripted((200, {"ids": ["e1"], "status": 200}))
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, serve_origin="https://shop.example")
        answers = [
            endpoint.http.get("/api/inngest?landing=" + what, headers=headers)
            for what in ("state", "server")
        ]
        token, asked = state(endpoint)["token"], len(server.requests)
        assert asked == reads
        answers.append(act(endpoint, "send", [token], headers=headers, event={"name": "a"}))
    for answer, good in zip(answers, (reads, reads, acts)):
        assert answer.status_code == (200 if good else 403)
        assert (answer.get_json().get("code") == "origin_refused") is not good
        assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]
    assert len(server.requests) == asked + acts


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x=y"]
)
def test_requests_that_a_form_could_send_are_refused(scripted, kind):
    answer = act(scripted, "send", headers=dict(OURS, **{"Content-Type": kind}), event={})
    assert (answer.status_code, answer.get_json()["code"]) == (415, "content_type")
    assert scripted.server.requests == []


@pytest.mark.parametrize(
    "method, what", [("GET", "nonsense"), ("POST", "nonsense"), ("POST", "state"), ("GET", "send")]
)
def test_unknown_actions_are_not_found(dev, method, what):
    answer = dev.http.open("/api/inngest?landing=" + what, method=method, headers=OURS)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "landing_unknown")


@pytest.mark.parametrize(
    "method, what, headers, body, status",
    [
        ("GET", "runs&event=..", OURS, "", 400),
        ("GET", "state", {"Sec-Fetch-Site": "cross-site"}, "", 403),
        ("GET", "nonsense", OURS, "", 404),
        ("POST", "send", OURS, "{}", 415),
        ("POST", "send", dict(OURS, **{"Content-Type": "application/json"}), "[", 400),
        ("POST", "send", dict(OURS, **{"Content-Type": "application/json"}), "{}", 400),
        ("GET", "state", OURS, "", 200),
    ],
)
def test_answers_to_the_page_cannot_be_stored_or_embedded(
    dev, method, what, headers, body, status
):
    answer = dev.http.open("/?landing=" + what, method=method, headers=headers, data=body)
    assert answer.status_code == status
    for name, value in page.PAGE_HEADERS:
        assert answer.headers.getlist(name) == [value]


def test_internal_errors_cannot_be_stored_or_embedded(dev, monkeypatch):
    monkeypatch.setattr(descriptions, "functions", None)
    answer = ask(dev, "state")
    assert answer.status_code == 500
    assert answer.headers.getlist("Cache-Control") == ["no-store"]


# -- bad bodies --------------------------------------------------------------


@pytest.mark.parametrize(
    "event, words",
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("a", "must be a JSON object"),
        ({}, "needs a name"),
        ({"name": ""}, "needs a name"),
        ({"name": 1}, "needs a name"),
        ({"name": "a", "data": [1]}, "data of event 'a' must be a dict"),
        ({"name": "a", "user": 1}, "user of event 'a' must be a dict"),
        ({"name": "a", "ts": "now"}, "ts of event 'a'"),
        ({"name": "a", "ts": True}, "ts of event 'a'"),
        ({"name": "a", "id": 1}, "id of event 'a'"),
        ({"name": "a", "v": 1}, "v of event 'a'"),
        ({"name": "a", "dta": {}}, "no field 'dta'"),
    ],
)
def test_an_invalid_event_is_not_sent(scripted, event, words):
    answer = act(scripted, "send", event=event)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_invalid")
    assert words in answer.get_json()["message"]
    assert scripted.server.requests == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"tokens": NaN}', "[" * 100000])
def test_a_body_that_is_not_a_json_object_is_refused(scripted, body):
    answer = act(scripted, "send", tokens=[], body=body)
    assert answer.status_code == 400
    assert answer.get_json()["code"] in ("body_not_json", "body_invalid")


# with lone surrogates, which are valid in JSON
words = st.text(st.characters())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=5,
)
fields = st.sampled_from(["tokens", "event", "name", "data", "id", "ts", "user", "v"]) | words
tokens = st.fixed_dictionaries({"tokens": st.lists(words)})


# on a busy machine it is slow to make the examples
@settings(max_examples=settings().max_examples // 2)
@given(st.dictionaries(fields, values) | tokens, st.dictionaries(fields, values))
@example({"tokens": ["\ud800"]}, {"name": "\udfff", "data": {"\ud800": "\ud800"}})
@example({}, {"\ud800": 1})
def test_no_body_causes_an_internal_error(hostile, event):
    answer = act(HOSTILE, "send", tokens=[], body=json.dumps(hostile))
    assert answer.status_code in (400, 403)
    answer = act(HOSTILE, "send", event=event)
    assert answer.status_code in (200, 400)


class Nobody:
    """An HTTP client that accepts every request."""

    status, data, headers = 200, b'{"ids": ["e"], "status": 200}', {}

    def request(self, method, url, **options):
        return self


HOSTILE = Endpoint(handler, http=Nobody())
