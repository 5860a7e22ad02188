"""A redirect turns a call into a GET. Its answer must never be taken for the
function's result (W73)."""

import json
import logging

import pytest
import recordings
from apps import KEY, Endpoint, call_body, is_signed, sign
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

import inngest_wsgi as inngest

CALL = json.dumps(call_body()).encode()
OLD = "http://shop.example/api/inngest?fnId=shop-f&stepId=step&secret=1"


def followed(endpoint, method="GET", query="fnId=shop-f&stepId=step", body=CALL, **headers):
    """Send what the server's client sends when it follows a redirect, as in the
    recording: a GET with the body and the signature of the POST."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("Referer", OLD)
    builder = EnvironBuilder(
        path="/api/inngest",
        base_url="https://www.shop.example/",
        query_string=query,
        method=method,
        headers=list(headers.items()),
        data=body,
    )
    chunks, status, answered = run_wsgi_app(endpoint.application, builder.get_environ())
    return Response(b"".join(chunks), status, answered)


def test_a_recorded_redirected_call_gets_a_retriable_error():
    recording = recordings.load("125")
    bent = [e for e in recording.exchanges if e.method == "GET" and "fnId" in e.query]
    ran = []
    client = inngest.Inngest(app_id="wire-app", is_production=False)
    declare = client.create_function(
        fn_id="redirected", trigger=inngest.TriggerEvent(event="wire/redirected")
    )
    application = inngest.serve(client, [declare(lambda ctx: ran.append(1))])
    for exchange in bent:
        assert exchange.answer.status == 200
        response = recordings.replay(application, exchange)
        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (500, "redirected")
        assert response.headers.get("X-Inngest-No-Retry") != "true"
        assert response.headers["X-Inngest-Sdk"]
        assert "from http://localhost:3000/api/inngest," in problem["message"]
        assert "'wire-app-redirected'" in problem["message"]
    assert bent and ran == []


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize(
    "method, query, headers, said",
    [
        ("GET", "fnId=shop-f&stepId=step", {}, "A call of function 'shop-f'"),
        ("HEAD", "fnId=shop-f&stepId=step", {}, None),
        ("GET", "fnId=unknown", {}, "A call of function 'unknown'"),
        ("GET", "stepId=abc", {}, "A call"),
        ("GET", "probe=trust", {}, "A probe"),
        ("GET", "deployId=1", {}, "A sync"),
        ("GET", "", {}, "A sync"),
        # a redirected browser gets the same answer, and no page
        ("GET", "fnId=shop-f&stepId=step", {"Accept": "text/html"}, "A call of function"),
    ],
)
def test_a_redirected_request_gets_an_error_with_advice(
    method, query, headers, said, cloud, caplog
):
    ran = []
    endpoint = Endpoint(lambda ctx: ran.append(1), cloud=cloud)
    if cloud:
        headers = dict(headers, X_Inngest_Signature=sign(CALL))
    response = followed(endpoint, method, query, **headers)
    assert (response.status_code, ran) == (500, [])
    assert response.headers.get("X-Inngest-No-Retry") != "true"
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    logged = record.getMessage()
    for text in [logged] if said is None else [logged, response.get_json()["message"]]:
        assert (said or "A call of function 'shop-f'") in text
        assert "redirect" in text and "INNGEST_SERVE_ORIGIN" in text
        assert "from http://shop.example/api/inngest," in text and "secret" not in text
        assert "leads to, https://www.shop.example/api/inngest:" in text
    if cloud and said is not None:
        assert is_signed(response)


@pytest.mark.parametrize(
    "referer, shown",
    [
        ("", None),
        ("http://a.example/x\r\nForged: line", "from http://a.example/x\\r\\nForged: line,"),
        ("http://a.example/" + 1000 * "x", "from http://a.example/" + 483 * "x" + ","),
        ("http://\xe4.example/", "from http://\\xe4.example/,"),
    ],
)
def test_a_hostile_referer_is_quoted_safely(referer, shown, caplog):
    endpoint = Endpoint(lambda ctx: None)
    environ = EnvironBuilder(query_string="fnId=shop-f").get_environ()
    environ["HTTP_REFERER"] = referer
    run_wsgi_app(endpoint.application, environ)
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    message = record.getMessage()
    assert message.isprintable()
    assert ("redirects it with" in message) if shown is None else (shown in message)


def test_the_advice_names_the_configured_address(caplog):
    endpoint = Endpoint(lambda ctx: None, serve_origin="https://set.example", serve_path="/x")
    message = followed(endpoint).get_json()["message"]
    assert "leads to, https://set.example/x:" in message


def test_an_unknown_address_is_left_out():
    endpoint = Endpoint(lambda ctx: None)
    environ = EnvironBuilder(query_string="fnId=shop-f").get_environ()
    environ["HTTP_HOST"] = "no host"
    chunks, status, _ = run_wsgi_app(endpoint.application, environ)
    assert status.startswith("500") and b"leads to: sync" in b"".join(chunks)


@pytest.mark.parametrize("signature", [None, "t=1&s=00", "other"])
def test_an_unauthenticated_caller_learns_nothing(signature):
    endpoint = Endpoint(lambda ctx: None, cloud=True, key=KEY)
    headers = {}
    if signature is not None:
        headers["X_Inngest_Signature"] = sign(b"other") if signature == "other" else signature
    response = followed(endpoint, **headers)
    assert response.status_code == 401
    assert b"redirect" not in response.data and b"shop" not in response.data
    assert "X-Inngest-Sdk" not in response.headers


@pytest.mark.parametrize("headers", [{}, {"Referer": "http://shop.example/admin"}])
def test_an_introspection_is_not_taken_for_a_redirected_call(headers):
    response = Endpoint(lambda ctx: None).request("GET", headers=headers)
    assert (response.status_code, response.get_json()["function_count"]) == (200, 1)


def test_a_redirect_that_keeps_the_method_works():
    endpoint = Endpoint(lambda ctx: "done")
    response = endpoint.request(body=CALL, headers={"Referer": OLD})
    assert (response.status_code, response.get_json()) == (200, "done")


def test_a_redirect_that_only_adds_a_slash():
    """As of a controller of TurboGears: two addresses that read alike would not help."""
    ours = "https://www.shop.example/api/inngest?fnId=shop-f"
    message = followed(Endpoint(lambda ctx: None), Referer=ours).get_json()["message"]
    assert "from https://www.shop.example/api/inngest to the same address with or " in message
    assert message.count("https://") == 1 and "DispatcherMiddleware" in message
