"""Bodies of requests: their stated length, their limit, and bodies that
something in front of the endpoint has read already."""

import io
import json

import bottle
import django_settings
import flask
import pytest
import webob
from apps import KEY, Endpoint, call_body, is_signed, sign
from pyramid.config import Configurator
from pyramid.wsgi import wsgiapp2
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request, Response

import inngest_wsgi as inngest

CALL = json.dumps(call_body()).encode()
FN = "fnId=shop-f&stepId=step"


@pytest.fixture(scope="module", autouse=True)
def django(tmp_path_factory):
    django_settings.configure(tmp_path_factory.mktemp("django"))


class Socket(io.RawIOBase):
    """An input like a socket's: it cannot be rewound, and its end is the end of
    the body only where the server says so."""

    def __init__(self, body, wait=True):
        self._stream = io.BytesIO(body)
        self._wait = wait
        self.bytes_read = 0

    def readable(self):
        return True

    def read(self, size=-1):
        found = self._stream.read(size)
        self.bytes_read += len(found)
        assert found or not size or not self._wait, "a socket would wait here"
        return found

    def readline(self, size=-1):
        return self.read(size)

    def readinto(self, buffer):
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def answered(application, environ):
    chunks, status, headers = run_wsgi_app(application, environ)
    return Response(b"".join(chunks), status, headers)


def environ_of(body=CALL, method="POST", query=FN, **environ):
    found = EnvironBuilder(path="/api/inngest", method=method, query_string=query).get_environ()
    found.update({"wsgi.input": Socket(body), "CONTENT_LENGTH": str(len(body))})
    found.update(environ)
    return found


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize(
    "stated",
    [
        "\u00b2",
        "\u0661",
        "1_0",
        "+5",
        "-5",
        "5.0",
        "0x5",
        "5,5",
        "5 5",
        "\u00a05",
        "5\u2003",
        "ten",
    ],
)
def test_a_length_that_is_no_number_is_refused(stated, terminated, cloud):
    endpoint = Endpoint(lambda ctx: "done", cloud=cloud)
    environ = environ_of(CONTENT_LENGTH=stated, HTTP_X_INNGEST_SIGNATURE=sign(CALL))
    environ["wsgi.input_terminated"] = terminated
    response = answered(endpoint.application, environ)
    assert (response.status_code, response.get_json()["code"]) == (400, "body_invalid")
    assert environ["wsgi.input"].bytes_read == 0


@pytest.mark.parametrize("stated", [" 12", "12\t", "00012", "0" * 30 + "12", "0" * 5000 + "12"])
def test_blanks_and_zeros_around_a_length_mean_nothing(stated):
    stated = stated.replace("12", str(len(CALL)))
    endpoint = Endpoint(lambda ctx: "done")
    assert answered(endpoint.application, environ_of(CONTENT_LENGTH=stated)).status_code == 200


@pytest.mark.parametrize("stated", ["0", "0" * 30])
def test_a_length_of_zeros_is_none(stated):
    endpoint = Endpoint(lambda ctx: "done")
    environ = environ_of(b"", "GET", "", CONTENT_LENGTH=stated)
    assert answered(endpoint.application, environ).status_code == 200


@pytest.mark.parametrize("stated", ["9" * 21, "9" * 5000, "0" * 5000 + "9" * 5000])
def test_a_length_of_many_digits_is_too_large(stated):
    environ = environ_of(CONTENT_LENGTH=stated)
    assert answered(Endpoint(lambda ctx: "done").application, environ).status_code == 413


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize("terminated", [False, True])
def test_nothing_is_read_of_a_body_that_is_stated_as_too_large(cloud, method, terminated):
    endpoint = Endpoint(lambda ctx: "done", cloud=cloud, max_body_bytes=len(CALL) - 1)
    environ = environ_of(method=method, HTTP_X_INNGEST_SIGNATURE=sign(CALL))
    environ["wsgi.input_terminated"] = terminated
    response = answered(endpoint.application, environ)
    assert response.status_code == 413
    assert environ["wsgi.input"].bytes_read == 0
    if method != "HEAD":
        assert f"{len(CALL) - 1} bytes, the max_body_bytes" in response.get_json()["message"]


def test_a_body_of_unknown_length_is_read_up_to_the_limit():
    body = b"x" * 10_000_000
    environ = environ_of(body, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    environ.update({"wsgi.input_terminated": True, "HTTP_X_INNGEST_SIGNATURE": sign(body)})
    endpoint = Endpoint(lambda ctx: "done", cloud=True, max_body_bytes=1000)
    assert answered(endpoint.application, environ).status_code == 413
    assert environ["wsgi.input"].bytes_read == 1001


@pytest.mark.parametrize("value", [0, -1, True, "8", 1.5])
def test_the_limit_must_be_a_whole_number(value):
    with pytest.raises(inngest.SettingsError, match="max_body_bytes: must be a whole number"):
        Endpoint(lambda ctx: "done", max_body_bytes=value)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize("signature", [None, "", "t=1", sign(CALL, at=1), sign(CALL, at=10**10)])
def test_nothing_is_read_before_the_signature_can_be_valid(method, signature):
    endpoint = Endpoint(lambda ctx: "done", cloud=True)
    environ = environ_of(method=method)
    if signature is not None:
        environ["HTTP_X_INNGEST_SIGNATURE"] = signature
    response = answered(endpoint.application, environ)
    assert response.status_code in (401, 403)
    assert environ["wsgi.input"].bytes_read == 0


def test_an_unsigned_sync_needs_no_body():
    endpoint = Endpoint(lambda ctx: "done", cloud=True, serve_origin="https://shop.example")
    environ = environ_of(method="PUT", query="")
    answered(endpoint.application, environ)
    assert environ["wsgi.input"].bytes_read == 0


# -- read by something in front ------------------------------------------------


def read_by_bottle(endpoint, read):
    outer = bottle.Bottle()
    outer.add_hook("before_request", lambda: read(bottle.request))
    outer.mount("/api/inngest", endpoint)
    return outer


def read_by_flask(endpoint, read):
    app = flask.Flask("shop")
    app.before_request(lambda: read(flask.request))

    @app.route("/api/inngest", methods=["POST"])
    def view():
        return Response.from_app(endpoint, flask.request.environ)

    return app


def read_by_django(endpoint, read):
    from django.core.handlers.wsgi import WSGIRequest

    def middleware(environ, start_response):
        read(WSGIRequest(environ))
        return endpoint(environ, start_response)

    return middleware


def read_by_nothing_known(endpoint, read):
    def middleware(environ, start_response):
        read(environ)
        return endpoint(environ, start_response)

    return middleware


def read_by_webob(endpoint, read):
    def middleware(environ, start_response):
        read(webob.Request(environ))
        return endpoint(environ, start_response)

    return middleware


def read_by_pyramid(endpoint, read):
    def tween(handler, registry):
        def handle(request):
            read(request)
            return handler(request)

        return handle

    with Configurator() as config:
        config.registry.settings["tween"] = tween
        config.add_tween(f"{__name__}.pyramid_tween")
        config.add_route("inngest", "/api/inngest")
        config.add_view(wsgiapp2(endpoint), route_name="inngest")
        return config.make_wsgi_app()


def pyramid_tween(handler, registry):
    return registry.settings["tween"](handler, registry)


def a_part_of(request):
    request.body.read(10)


HOOKS = {
    "bottle json": (read_by_bottle, lambda request: request.json),
    "bottle body": (read_by_bottle, lambda request: request.body.read()),
    "bottle part": (read_by_bottle, a_part_of),
    "bottle forms": (read_by_bottle, lambda request: dict(request.forms)),
    "flask json": (read_by_flask, lambda request: request.get_json()),
    "flask data": (read_by_flask, lambda request: request.get_data()),
    "flask form": (read_by_flask, lambda request: request.form),
    "pyramid json": (read_by_pyramid, lambda request: request.json_body),
    "pyramid body": (read_by_pyramid, lambda request: request.body),
    "webob body": (read_by_webob, lambda request: request.body),
}


def returning_nothing(read):
    def hook(request):
        read(request)

    return hook


def hooked(name_or_hook, cloud=True):
    endpoint = Endpoint(lambda ctx: "done", cloud=cloud)
    mount, read = HOOKS.get(name_or_hook, name_or_hook)
    return mount(endpoint.application, returning_nothing(read))


def called(application, **environ):
    environ = environ_of(
        CONTENT_TYPE="application/json", HTTP_X_INNGEST_SIGNATURE=sign(CALL), **environ
    )
    return answered(application, environ)


@pytest.mark.parametrize("name", list(HOOKS))
def test_a_body_that_a_hook_has_read_is_read_again(name):
    response = called(hooked(name))
    assert (response.status_code, response.get_data()) == (200, b'"done"'), response.get_data()
    assert is_signed(response)


@pytest.mark.parametrize("name", [name for name in HOOKS if name.startswith(("flask", "bottle"))])
def test_a_chunked_body_that_a_hook_has_read_is_read_again(name):
    body = CALL
    if name.startswith("bottle"):
        # it undoes the chunks by itself
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CALL), CALL)
    environ = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": ""}
    environ.update({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True})
    response = called(hooked(name), **environ)
    assert (response.status_code, response.get_data()) == (200, b'"done"'), response.get_data()


class Endless(io.RawIOBase):
    """An input whose end never comes."""

    bytes_read = 0

    def readable(self):
        return True

    def read(self, size=-1):
        assert size >= 0, "this would be read for ever"
        self.bytes_read += size
        return b"x" * size

    def readinto(self, buffer):
        buffer[:] = self.read(len(buffer))
        return len(buffer)


@pytest.mark.parametrize("touch", [lambda request: request.form, lambda request: request.stream])
def test_a_body_that_a_hook_has_only_touched_is_read_up_to_the_limit(touch):
    endpoint = Endpoint(lambda ctx: "done", cloud=True, max_body_bytes=1000)
    environ = environ_of(b"", HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    environ.update({"wsgi.input": Endless(), "wsgi.input_terminated": True})
    environ["HTTP_X_INNGEST_SIGNATURE"] = sign(CALL)
    touch(Request(environ))
    response = answered(endpoint.application, environ)
    assert response.status_code == 413
    assert environ["wsgi.input"].bytes_read == 1001


LOST = {
    "django": (read_by_django, lambda request: request.body),
    "webob": (read_by_webob, lambda request: request.body_file.read(10)),
    "flask stream": (read_by_flask, lambda request: request.stream.read()),
    "flask data": (read_by_flask, lambda request: request.get_data(cache=False)),
    "other": (read_by_nothing_known, lambda environ: environ["wsgi.input"].read()),
}


def is_lost(name, caplog, **environ):
    # as most servers do it, where it has been read
    environ["wsgi.input"] = Socket(CALL, wait=False)
    response = called(hooked(LOST[name]), **environ)
    problem = response.get_json()
    assert (response.status_code, problem["code"]) == (400, "body_unreadable")
    for text in ("something in front of this app has read it", "Django", "io.BytesIO(body)"):
        assert text in problem["message"] and text in caplog.text


@pytest.mark.parametrize("name", list(LOST))
def test_a_body_that_is_lost_is_an_error_with_advice(name, caplog):
    is_lost(name, caplog)


@pytest.mark.parametrize("name", ["flask stream", "flask data", "other"])
def test_a_chunked_body_that_is_lost_is_an_error_with_advice(name, caplog):
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    is_lost(name, caplog, CONTENT_LENGTH="", **environ)


def test_a_sync_may_have_chunks_of_nothing():
    endpoint = Endpoint(lambda ctx: "done", cloud=True, base_url="http://127.0.0.1:9")
    environ = environ_of(b"", "PUT", "", HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")
    environ.update({"wsgi.input": io.BytesIO(), "wsgi.input_terminated": True})
    environ["HTTP_X_INNGEST_SIGNATURE"] = sign(b"")
    response = answered(endpoint.application, environ)
    assert is_signed(response) and "cannot be reached" in response.get_json()["message"]


def test_the_advice_works_for_django():
    def give_back(request):
        request.environ["wsgi.input"] = io.BytesIO(request.body)

    assert called(hooked((read_by_django, give_back))).get_data() == b'"done"'


def test_a_body_that_django_has_read_from_a_file_is_read_again():
    application = hooked((read_by_django, lambda request: request.body))
    response = called(application, **{"wsgi.input": io.BytesIO(CALL)})
    assert response.get_data() == b'"done"'


# -- no body, no new signature, no cache ---------------------------------------

EARLIER = 1_000_000_000


@pytest.fixture
def hour(monkeypatch):
    """Signatures are checked a minute after :data:`EARLIER`."""
    from inngest_wsgi._endpoint import authentication, router

    class Clock:
        perf_counter = staticmethod(lambda: 0.0)
        time = staticmethod(lambda: float(EARLIER + 60))

    for module in (authentication, router):
        monkeypatch.setattr(module, "time", Clock)


def fails(ctx):
    raise ValueError("no")


@pytest.mark.parametrize(
    "method, query, body, handler, status, renewed",
    [
        ("GET", "", b"", None, 200, False),
        ("POST", "probe=trust", b"", None, 200, False),
        ("PUT", "", b"", None, 500, False),
        ("POST", FN, b"{", None, 400, False),
        ("POST", "fnId=shop-none&stepId=step", CALL, None, 500, False),
        ("POST", "", CALL, None, 400, False),
        ("POST", FN, json.dumps(call_body(use_api=True, run_id="/")).encode(), None, 400, False),
        ("POST", FN, CALL, lambda ctx: "done", 200, True),
        ("POST", FN, CALL, fails, 500, True),
    ],
)
def test_an_answer_without_a_run_does_not_renew_the_signature(
    hour, method, query, body, handler, status, renewed
):
    endpoint = Endpoint(handler or fails, cloud=True, base_url="http://127.0.0.1:9")
    signature = sign(body, at=EARLIER)
    response = Client(endpoint.application).open(
        path="/api/inngest",
        method=method,
        query_string=query,
        data=body,
        headers={"X-Inngest-Signature": signature},
    )
    assert response.status_code == status, response.data
    stamp = EARLIER + 60 if renewed else EARLIER
    assert response.headers["X-Inngest-Signature"] == sign(response.data, KEY, stamp)
    assert response.headers.getlist("Cache-Control") == ["no-store"]


def test_a_recorded_signature_ends(hour):
    """The empty body of the probe's answer is that of the probe itself."""
    endpoint = Endpoint(fails, cloud=True)
    signature = sign(b"", at=EARLIER)
    for _ in range(3):
        response = Client(endpoint.application).post(
            "/api/inngest?probe=trust", headers={"X-Inngest-Signature": signature}
        )
        assert response.status_code == 200
        signature = response.headers["X-Inngest-Signature"]
    assert signature == sign(b"", at=EARLIER)


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "method, query",
    [("GET", ""), ("HEAD", ""), ("GET", "deployId=1"), ("POST", "probe=trust")]
    + [("PUT", "probe=trust&fnId=shop-f")],
)
def test_a_body_is_refused_unread_where_none_may_be(method, query, chunked, cloud, caplog):
    endpoint = Endpoint(fails, cloud=cloud)
    environ = environ_of(method=method, query=query, HTTP_X_INNGEST_SIGNATURE=sign(CALL))
    if chunked:
        environ.update({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"})
        environ["wsgi.input_terminated"] = True
    response = answered(DispatcherMiddleware(endpoint.application), environ)
    assert response.status_code == 400 and "body_unexpected" in caplog.text
    assert environ["wsgi.input"].bytes_read == 0
    assert not is_signed(response)
