"""Problems in the set-up, and the advice given for each."""

import pytest
from apps import KEY
from dev_page import OURS, state, text

from inngest_wsgi import _settings
from inngest_wsgi._dev_page import diagnostics

LOCAL = "http://localhost:8000/api/inngest"


def problems(client=None, told=LOCAL, came=LOCAL, here=LOCAL, concurrent=True, **rest):
    serve = {"serve_origin": rest.pop("serve_origin", None)}
    client = dict({"app_id": "shop", "is_production": False}, **(client or {}))
    serve.update(rest.pop("serve", {}))
    found = _settings.resolve(client, serve, {})
    facts = diagnostics.RequestFacts(told, came, here, concurrent)
    return diagnostics.problems(found, facts, rest.get("events", ["a"]), rest.get("refused"))


@pytest.mark.parametrize(
    "options, level, what, advice",
    [
        ({"refused": "App ID required"}, "error", "App ID required", "sync the app again"),
        ({"client": {"api_base_url": "https://api.inngest.com"}}, "error", "Cloud", "INNGEST_DEV"),
        (
            {"client": {"event_api_base_url": "https://inn.gs"}},
            "error",
            "`https://inn.gs`",
            "keys",
        ),
        (
            {"client": {"event_api_base_url": "http://localhost:9999"}},
            "warning",
            "`http://localhost:9999`",
            "INNGEST_DEV",
        ),
        ({"told": None, "came": None}, "error", "address of this app", "INNGEST_SERVE_ORIGIN"),
        ({"here": "https://shop.test/api/inngest"}, "warning", "such as a proxy", "ProxyFix"),
        ({"here": "http://localhost:8000/app/inngest"}, "warning", "such as a proxy", "ProxyFix"),
        (
            {"serve_origin": "http://app:8000", "told": "http://app:8000/api/inngest"},
            "note",
            "is told to call `http://app:8000/api/inngest`",
            "another container",
        ),
        (
            {"serve": {"base_url": "http://inngest:8288"}},
            "warning",
            "`http://inngest:8288` is told to call `http://localhost:8000/api/inngest`",
            "`INNGEST_SERVE_ORIGIN`",
        ),
        (
            {k: "https://a1b2.tunnel.example.com/x" for k in ("told", "came", "here")},
            "warning",
            "a1b2.tunnel.example.com",
            "unset `INNGEST_DEV`",
        ),
        ({k: "http://8.8.8.8/x" for k in ("told", "came", "here")}, "warning", "8.8.8.8", "keys"),
        ({"client": {"env": "branch"}}, "note", "`branch`", "`INNGEST_ENV`"),
        ({"events": ["user/created "]}, "warning", '`"user/created "`', "Take it out"),
        ({"concurrent": False}, "note", "one request at a time", "threads"),
        (
            {"client": {"event_key": "ab" * 32}, "serve": {"signing_key": "ab" * 32}},
            "warning",
            "is the signing key",
            "`INNGEST_EVENT_KEY`",
        ),
        (
            {"client": {"event_key": KEY.split("-")[-1]}, "serve": {"signing_key": KEY}},
            "warning",
            "is the signing key",
            "`INNGEST_EVENT_KEY`",
        ),
        (
            {"serve": {"signing_key": KEY, "signing_key_fallback": KEY}},
            "note",
            "no fallback",
            "`INNGEST_SIGNING_KEY_FALLBACK`",
        ),
    ],
)
def test_each_problem_is_reported_with_advice(options, level, what, advice):
    (problem,) = problems(**options)
    assert problem.level == level
    assert what in text(problem.what) and advice in text(problem.advice)
    for parts in (problem.what, problem.advice):
        assert text(parts).endswith((".", "`")) and "  " not in text(parts)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"here": None},
        {"here": LOCAL + "/"},
        {"serve": {"base_url": "http://127.0.0.1:8288"}},
        {"serve": {"base_url": "http://[::1]:8288"}},
        {"serve": {"base_url": "http://dev.localhost:8288"}},
        {"serve": {"base_url": "http://host.docker.internal:8288"}},
        {k: "http://app:8000/x" for k in ("told", "came", "here")},
        {k: "http://192.168.1.5:8000/x" for k in ("told", "came", "here")},
        {k: "http://shop.test/x" for k in ("told", "came", "here")},
        {
            "serve": {"base_url": "http://inngest:8288"},
            "serve_origin": "http://localhost:8000",
        },
        {"client": {"event_key": "word"}, "serve": {"signing_key": KEY}},
        # the signing key ends with this letter
        {"client": {"event_key": "f"}, "serve": {"signing_key": KEY}},
        {
            "client": {
                "env": "branch",
                "api_base_url": "http://x",
                "event_api_base_url": "http://x",
            },
            "serve_origin": "http://localhost:8000",
            "events": [],
        },
    ],
)
def test_a_correct_setup_has_no_problems(options):
    assert [p for p in problems(**options) if "environment" not in text(p.what)] == []


@pytest.mark.parametrize(
    "here, words",
    [
        ("https://shop.test/api/inngest", ["https://shop.test/api/inngest"]),
        ("javascript:alert(1)", []),
        ("http://[", []),
        ("http://x:99999/", []),
        ("http://x/" + "y" * 3000, []),
        ("http://x/\u202e", []),
        ("", []),
    ],
)
def test_the_address_that_the_browser_shows_is_compared(dev, here, words):
    found = state(dev, here=here)["problems"]
    assert [problem["what"][1] for problem in found] == words


def test_a_server_with_one_thread_is_reported(dev):
    for threads, processes, count in ((True, False, 0), (False, True, 0), (False, False, 1)):
        environ = {"wsgi.multithread": threads, "wsgi.multiprocess": processes}
        answer = dev.http.get("/?landing=state", environ_overrides=environ, headers=OURS)
        assert len(answer.get_json()["problems"]) == count


def test_the_page_works_with_an_invalid_host(dev):
    answer = dev.http.get("/?landing=state", headers=dict(OURS, Host="no host"))
    problem = answer.get_json()["problems"][0]
    assert answer.get_json()["url"] is None and problem["level"] == "error"
    assert "INNGEST_SERVE_ORIGIN" in problem["advice"]
    answer = dev.http.get("/?landing=server", headers=dict(OURS, Host="no host"))
    assert "the address of this page" in text(answer.get_json()["problems"][0]["advice"])
