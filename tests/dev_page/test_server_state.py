"""The state of the server on the dev page."""

import subprocess

import pytest
from apps import KEY, Endpoint
from dev_page import NOWHERE, OURS, ask, handler, text
from stub_server import Scripted, serving


@pytest.mark.parametrize(
    "answer, words",
    [
        ((200, {}, {"X-Inngest-Server-Kind": "dev"}), None),
        ((401, "no", {}), None),
        ((500, "", {}), None),
        ((404, "not found", {}), "does not seem to be an Inngest server"),
        ((404, "", {"X-Inngest-Server-Kind": "dev"}), None),
        ((401, "", {"X-Inngest-Server-Kind": "cloud"}), "is not a dev server"),
        ((302, "", {"Location": "http://127.0.0.1:9/"}), None),
    ],
)
def test_any_answer_shows_that_the_server_is_reachable(answer, words):
    server = Scripted(answer)
    with serving(server) as origin:
        endpoint = Endpoint(handler, base_url=origin, signing_key=KEY)
        found = ask(endpoint, "server").get_json()
    (one,) = found["servers"]
    assert (one["origin"], one["reached"]) == (origin, True)
    assert 0 <= one["ms"] < 3000
    assert [words in text(problem["what"]) for problem in found["problems"]] == [True] * bool(
        words
    )
    (request,) = server.requests
    assert "Authorization" not in request.headers


def test_a_missing_server_is_reported_with_the_command_to_start_one(dev):
    found = ask(dev, "server").get_json()
    assert found["servers"][0]["reached"] is False
    (problem,) = found["problems"]
    assert problem["level"] == "error" and "Connection refused" in text(problem["what"])
    command = "npx inngest-cli@latest dev -u http://localhost/api/inngest"
    assert command in problem["advice"] and "INNGEST_DEV" in problem["advice"]


@pytest.mark.parametrize("path", ["/a;b", "/a$(b)", "/a&b'c", "/(x)"])
def test_the_command_to_copy_is_safe_in_a_shell(dev, path):
    state, server = (
        dev.http.get(
            "/?landing=" + what, headers=OURS, environ_overrides={"PATH_INFO": path}
        ).get_json()
        for what in ("state", "server")
    )
    script = 'npx() { printf "%s\\n" "$@"; }; ' + server["problems"][0]["advice"][1]
    said = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE).stdout.decode()
    assert said.splitlines() == ["inngest-cli@latest", "dev", "-u", state["url"]]


def test_a_separate_event_api_is_checked_too():
    api = Scripted((200, {}, {"X-Inngest-Server-Kind": "dev"}))
    with serving(api) as origin:
        client = {"api_base_url": origin, "event_api_base_url": NOWHERE}
        found = ask(Endpoint(handler, client=client), "server").get_json()
    assert [one["reached"] for one in found["servers"]] == [True, False]
    assert [problem["level"] for problem in found["problems"]] == ["error"]
    assert "Start one" in text(found["problems"][0]["advice"])
