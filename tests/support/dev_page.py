"""Requests to the dev page, as the page itself makes them."""

import json

OURS = {"Sec-Fetch-Site": "same-origin"}
NOWHERE = "http://127.0.0.1:9"
RUN = {"run_id": "01RUN", "status": "Completed", "ended_at": "2026-01-01T00:00:00Z", "output": 1}
HTML = (200, "<html>", {"Content-Type": "text/html; charset=utf-8"})


def handler(ctx):
    return {"got": ctx.event.data}


def state(endpoint, **query):
    answer = ask(endpoint, "state", **query)
    assert answer.status_code == 200, answer.data
    return answer.get_json()


def ask(endpoint, what, **query):
    # the test client states that it is a server with one thread
    environ = {"wsgi.multithread": True}
    return endpoint.http.get(
        "/api/inngest",
        query_string=dict(query, landing=what),
        headers=OURS,
        environ_overrides=environ,
    )


def act(endpoint, what, tokens=None, headers=OURS, body=None, **fields):
    tokens = [state(endpoint)["token"]] if tokens is None else tokens
    text = json.dumps(dict(fields, tokens=tokens)) if body is None else body
    headers = dict({"Content-Type": "application/json"}, **headers)
    return endpoint.http.post("/api/inngest?landing=" + what, data=text, headers=headers)


def text(parts):
    return "".join(f"`{part}`" if n % 2 else part for n, part in enumerate(parts))
