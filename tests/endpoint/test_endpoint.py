"""Requests that are not calls of a function are refused, and have no effect."""

import io
import json
import logging
import typing as t
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from apps import KEY, OTHER_KEY, Endpoint, call_body, is_signed, sign
from hypothesis import given, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi._codec import jcs
from inngest_wsgi._endpoint import introspection

ran = []
SECRET = "fe" * 32


def handler(ctx):
    ran.append(ctx.run_id)
    return "done"


@pytest.fixture(autouse=True)
def nothing_has_run():
    del ran[:]


@pytest.fixture
def dev():
    return Endpoint(handler)


@pytest.fixture
def cloud():
    return Endpoint(handler, cloud=True)


BODY = json.dumps(call_body()).encode()


def now_and(seconds):
    import time

    return time.time() + seconds


@pytest.mark.parametrize(
    "header, code",
    [
        (lambda: None, "signature_missing"),
        (lambda: "", "signature_malformed"),
        (lambda: "garbage", "signature_malformed"),
        (lambda: "t=&s=", "signature_malformed"),
        (lambda: "t=soon&s=" + "0" * 64, "signature_malformed"),
        (lambda: sign(BODY).partition("&")[0], "signature_malformed"),
        (lambda: sign(BODY).partition("&")[2], "signature_malformed"),
        (lambda: sign(BODY).upper(), "signature_malformed"),
        (lambda: sign(BODY) + "&x=1", "signature_malformed"),
        (lambda: sign(BODY) + "\t", "signature_malformed"),
        (lambda: sign(BODY).replace("t=", "t=-"), "signature_malformed"),
        (lambda: sign(BODY).replace("t=1", "t=\u00b9"), "signature_malformed"),
        (lambda: sign(BODY, at=now_and(-302)), "signature_expired"),
        (lambda: sign(BODY, at=now_and(302)), "signature_early"),
        (lambda: sign(BODY, at=10**14), "signature_early"),
        (lambda: sign(BODY, key=OTHER_KEY), "signature_mismatch"),
        (lambda: sign(BODY + b" "), "signature_mismatch"),
        (lambda: sign(b""), "signature_mismatch"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_without_a_valid_signature_a_caller_learns_nothing(cloud, method, header, code):
    value = header()
    headers = {} if value is None else {"X-Inngest-Signature": value}
    response = cloud.request(method=method, body=BODY, headers=headers, signed=False)
    expected = "signature_required" if (method, value) == ("PUT", None) else code
    if (method, code) == ("GET", "signature_mismatch"):
        # its body is not read
        expected = "body_unexpected"
    assert response.status_code == (400 if expected == "body_unexpected" else 401)
    assert response.mimetype == "application/json"
    assert response.get_json()["code"] == expected
    assert response.get_json()["message"]
    ours = {name for name in response.headers.keys() if name.lower().startswith("x-inngest")}
    assert ours == {"X-Inngest-Sdk-Handled"}
    assert b"inngest-wsgi" not in response.data and "User-Agent" not in response.headers
    assert ran == []


@pytest.mark.parametrize("seconds", [-298, 0, 298])
def test_a_signature_may_be_five_minutes_off(cloud, seconds):
    headers = {"X-Inngest-Signature": sign(BODY, at=now_and(seconds))}
    response = cloud.request(body=BODY, headers=headers)
    assert (response.status_code, ran) == (200, ["01RUN"])


def test_the_answer_is_signed_with_the_key_of_the_request():
    endpoint = Endpoint(handler, cloud=True, signing_key=OTHER_KEY, signing_key_fallback=KEY)
    for key in (OTHER_KEY, KEY):
        headers = {"X-Inngest-Signature": sign(BODY, key)}
        response = endpoint.request(body=BODY, headers=headers)
        assert response.status_code == 200
        assert is_signed(response, key)


def test_dev_mode_needs_no_signature(dev):
    response = dev.request(body=BODY)
    assert (response.status_code, response.get_json()) == (200, "done")
    assert "X-Inngest-Signature" not in response.headers


def body_with(**fields):
    return json.dumps(dict(call_body(), **fields)).encode()


FN = "fnId=shop-f&stepId=step"


@pytest.mark.parametrize(
    "query, body, status, code, said",
    [
        (FN, b"", 400, "body_not_json", "JSON"),
        (FN, b"nonsense", 400, "body_not_json", "JSON"),
        (FN, BODY[:-1], 400, "body_not_json", "JSON"),
        (FN, b"\xff\xfe", 400, "body_not_json", "JSON"),
        (FN, b'{"ctx": NaN}', 400, "body_not_json", "NaN"),
        (FN, b"[" * 100000, 400, "body_not_json", "nested"),
        (FN, b'{"a":' * 100000, 400, "body_not_json", "nested"),
        (FN, b"1" * 10000, 400, None, ""),
        (FN, b"null", 400, "body_invalid", "object"),
        (FN, b"[]", 400, "body_invalid", "object"),
        (FN, b'"text"', 400, "body_invalid", "object"),
        (FN, b"{}", 400, "body_invalid", "ctx"),
        (FN, body_with(ctx=None), 400, "body_invalid", "ctx"),
        (FN, body_with(ctx=[]), 400, "body_invalid", "ctx must be a JSON object"),
        (FN, body_with(ctx={}), 400, "body_invalid", "ctx.run_id"),
        (FN, body_with(ctx={"run_id": 1}), 400, "body_invalid", "ctx.run_id must be a string"),
        (FN, body_with(ctx={"run_id": "1", "attempt": "0"}), 400, "body_invalid", "ctx.attempt"),
        (FN, body_with(ctx={"run_id": "1", "attempt": True}), 400, "body_invalid", "ctx.attempt"),
        (FN, body_with(ctx={"run_id": "1", "use_api": 1}), 400, "body_invalid", "ctx.use_api"),
        (FN, body_with(steps=[]), 400, "body_invalid", "steps must be a JSON object"),
        (FN, body_with(events={}), 400, "body_invalid", "events must be a JSON list"),
        (FN, body_with(events=[1]), 400, "body_invalid", "events"),
        (FN, body_with(events=[{"name": ""}]), 400, "body_invalid", "name"),
        (FN, body_with(events=[{"name": "a", "data": 1}]), 400, "body_invalid", "data"),
        (FN, body_with(event="a"), 400, "body_invalid", "event must be a JSON object"),
        (FN, body_with(event=None, events=None), 400, "body_invalid", "event"),
        ("", BODY, 400, "fn_id_missing", "fnId"),
        ("stepId=step", BODY, 400, "fn_id_missing", "fnId"),
        ("fnId=&stepId=step", BODY, 400, "fn_id_missing", "fnId"),
        ("fnId=shop-g&stepId=step", BODY, 500, "function_not_found", "shop-g"),
        ("fnId=f&stepId=step", BODY, 500, "function_not_found", "'f'"),
    ],
)
@pytest.mark.parametrize("mode", ["dev", "cloud"])
def test_a_request_that_is_not_a_call_is_refused_with_a_message(
    mode, query, body, status, code, said, request
):
    response = request.getfixturevalue(mode).request(query=query, body=body)
    assert response.status_code == status
    problem = response.get_json()
    assert problem["code"] == (code or problem["code"])
    assert said in problem["message"] and len(problem["message"]) > 10
    assert "Traceback" not in response.get_data(as_text=True)
    assert response.headers["X-Inngest-Sdk"]
    assert ran == []


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE", "BREW", "get"])
@pytest.mark.parametrize("mode", ["dev", "cloud"])
def test_an_unknown_method_gets_the_allowed_ones(mode, method, request):
    environ = {"REQUEST_METHOD": method, "wsgi.input": io.BytesIO(), "QUERY_STRING": FN}
    endpoint = request.getfixturevalue(mode)
    answered = {}

    def start_response(status, headers):
        answered.update(status=status, headers=dict(headers))

    (body,) = endpoint.application(environ, start_response)
    assert answered["status"].startswith("405 ")
    assert answered["headers"]["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"
    assert json.loads(body)["code"] == "method_not_allowed"


@pytest.mark.parametrize("mode", ["dev", "cloud"])
def test_options_lists_the_methods_and_allows_no_other_origin(mode, request):
    endpoint = request.getfixturevalue(mode)
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = endpoint.request("OPTIONS", signed=False, headers=headers)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]
    assert ("X-Inngest-Sdk" in answer.headers) is (mode == "dev")


@pytest.mark.parametrize(
    "environ, status, code",
    [
        ({"CONTENT_LENGTH": str(9 * 1024 * 1024)}, 413, "body_too_large"),
        ({"CONTENT_LENGTH": "9" * 5000}, 413, "body_too_large"),
        ({"CONTENT_LENGTH": "-1"}, 400, "body_invalid"),
        ({"CONTENT_LENGTH": "\u0662"}, 400, "body_invalid"),
        ({"CONTENT_LENGTH": "ten"}, 400, "body_invalid"),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, 411, "length_required"),
        ({"CONTENT_LENGTH": "999"}, 400, "body_unreadable"),
        ({"CONTENT_LENGTH": "999", "wsgi.input_terminated": True}, 400, "body_unreadable"),
        ({"CONTENT_LENGTH": ""}, 400, "body_not_json"),
        ({}, 400, "body_not_json"),
    ],
)
def test_a_body_that_cannot_be_read(dev, environ, status, code):
    base = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"{}"), "QUERY_STRING": FN}
    answered = []
    (body,) = dev.application(dict(base, **environ), lambda s, h: answered.append(s))
    assert answered[0].startswith(str(status))
    assert json.loads(body)["code"] == code


def test_a_chunked_body_is_read_if_the_server_terminates_the_input(dev):
    environ = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": FN,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.input_terminated": True,
    }
    answered = []
    dev.application(environ, lambda s, h: answered.append(s))
    assert answered == ["200 OK"]


class Slow(io.BytesIO):
    def read(self, size=-1):
        return super().read(min(size, 7))


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": str(len(BODY)), "wsgi.input": Slow(BODY + b"next request")},
        {"wsgi.input_terminated": True, "wsgi.input": Slow(BODY)},
    ],
)
def test_short_reads_of_the_body_are_continued(dev, environ):
    answered = []
    base = {"REQUEST_METHOD": "POST", "QUERY_STRING": FN}
    dev.application(dict(base, **environ), lambda s, h: answered.append(s))
    assert answered == ["200 OK"]


@pytest.mark.parametrize("environ", [{"CONTENT_LENGTH": "10"}, {"wsgi.input_terminated": True}])
def test_a_body_that_breaks_off_is_a_client_error(dev, environ, caplog):
    class Broken:
        def read(self, size):
            raise OSError("invalid chunk size")

    base = {"REQUEST_METHOD": "POST", "QUERY_STRING": FN, "wsgi.input": Broken()}
    (body,) = dev.application(dict(base, **environ), lambda s, h: None)
    assert json.loads(body)["code"] == "body_unreadable"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "DELETE"])
@pytest.mark.parametrize("query", [FN, "probe=trust", ""])
def test_the_application_conforms_to_pep_3333(method, query):
    application = validator(Endpoint(handler, http=NoApi()).application)
    sent = b"" if query == "probe=trust" else BODY
    environ = {
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
    }
    setup_testing_defaults(environ)
    answered = []
    start_response: t.Any = lambda status, headers, *_: answered.append(status)  # noqa: E731
    body: t.Any = application(environ, start_response)
    text = b"".join(body)
    body.close()
    assert answered[0][:3] in ("200", "400", "405", "500")
    assert bool(text) == (method != "HEAD" and (method, query) != ("POST", "probe=trust"))


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_requests_from_a_browser_run_no_function(dev, method, headers):
    answer = dev.request(method, FN, body=BODY, headers=headers)
    assert (answer.status_code, ran) == (403, [])
    assert "browser" in answer.get_json()["message"]


@pytest.mark.parametrize("signed, status", [(True, "200 OK"), (False, "401 Unauthorized")])
@pytest.mark.parametrize("mode", ["dev", "cloud"])
def test_head_is_answered_like_get_without_the_body(mode, signed, status, request):
    endpoint = request.getfixturevalue(mode)
    answered = {}
    for method in ("GET", "HEAD"):
        environ = {"REQUEST_METHOD": method, "QUERY_STRING": "", "wsgi.input": io.BytesIO()}
        if signed and endpoint.cloud:
            environ["HTTP_X_INNGEST_SIGNATURE"] = sign(b"")
        said = []
        body = endpoint.application(environ, lambda *said_now, said=said: said.extend(said_now))
        assert bool(list(body)) == (method == "GET")
        answered[method] = said[0], [h for h in said[1] if h[0] != "X-Inngest-Signature"]
        assert (len(answered[method][1]) < len(said[1])) is (signed and endpoint.cloud)
    assert answered["HEAD"] == answered["GET"]
    assert answered["HEAD"][0] == (status if endpoint.cloud else "200 OK")


def test_an_internal_error_shows_no_details(caplog, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("signkey-test-" + SECRET)

    monkeypatch.setattr(introspection, "respond", broken)
    response = Endpoint(handler).request(method="GET")
    assert response.status_code == 500
    assert response.get_json()["code"] == "internal_error"
    assert SECRET.encode() not in response.data and b"RuntimeError" not in response.data
    assert "RuntimeError" in caplog.text, "the log has the whole of it"


def test_no_key_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    endpoint = Endpoint(handler, cloud=True, client={"event_key": SECRET})
    endpoint.request(body=BODY, headers={"X-Inngest-Signature": sign(BODY, OTHER_KEY)})
    endpoint.request(body=BODY)
    assert caplog.records
    assert KEY.split("-")[-1] not in caplog.text and SECRET not in caplog.text


def test_an_unverified_large_body_is_not_canonicalized(cloud, monkeypatch):
    """Canonicalizing it only to refuse it would take seconds."""
    asked = []
    monkeypatch.setattr(jcs, "canonical", lambda value: asked.append(value) or b"other")
    large = json.dumps({"url": "http://x", "filler": "x" * 70_000}).encode()
    for body, times in ((large, 0), (b'{"url": "http://x"}', 1)):
        headers = {"X-Inngest-Signature": sign(b""), "X-Inngest-Sync-Kind": "in_band"}
        assert cloud.request("PUT", body=body, headers=headers).status_code == 401
        assert len(asked) == times


def test_dev_mode_answers_a_signed_request_with_a_signature():
    endpoint = Endpoint(handler, signing_key=KEY)
    response = endpoint.request(body=BODY, headers={"X-Inngest-Signature": sign(BODY)})
    assert response.status_code == 200 and is_signed(response)
    wrong = endpoint.request(body=BODY, headers={"X-Inngest-Signature": sign(b"")})
    assert wrong.status_code == 200 and "X-Inngest-Signature" not in wrong.headers


def test_permanent_errors_are_not_retried(cloud):
    response = cloud.request(query=FN, body=b"{}")
    assert response.headers["X-Inngest-No-Retry"] == "true"
    response = cloud.request(query="fnId=shop-g", body=BODY)
    assert "X-Inngest-No-Retry" not in response.headers, "it may be there after a deploy"


def test_trust_probe(cloud):
    response = cloud.request(query="probe=trust", body=b"")
    assert (response.status_code, response.data) == (200, b"")
    assert is_signed(response)
    response = cloud.request(query="probe=trust", body=b"", signed=False)
    assert response.status_code == 401


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "ctx": json_values
        | st.fixed_dictionaries(
            {"run_id": st.just("01RUN")},
            optional={
                name: json_values
                for name in ("attempt", "max_attempts", "disable_immediate_execution", "use_api")
            },
        ),
        "event": json_values,
        "events": json_values,
        "steps": json_values,
    },
)


class NoApi:
    def request(self, method, url, **kwargs):
        raise inngest.ApiError("no server here")


@given(body=st.binary() | fields.map(lambda x: json.dumps(x).encode()), query=st.text())
def test_no_body_causes_an_unhandled_exception(body, query):
    response = Endpoint(handler, http=NoApi()).request(
        query="fnId=shop-f&" + query.encode("utf-8", "replace").decode(), body=body
    )
    assert response.status_code in (200, 400, 500)
    assert response.get_json() == "done" or response.get_json()["code"] != "internal_error"


@given(header=st.text(st.characters(min_codepoint=1, max_codepoint=255)), body=st.binary())
def test_no_random_header_is_a_valid_signature(header, body):
    environ = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": FN,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_X_INNGEST_SIGNATURE": header,
    }
    answered = []
    Endpoint(handler, cloud=True).application(environ, lambda s, h: answered.append(s))
    assert answered == ["401 Unauthorized"]
