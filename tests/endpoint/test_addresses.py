"""The registered address: through each framework's own mount, behind proxies,
under real servers, and for unsigned syncs."""

import contextlib
import json
import re
import socket
import urllib.parse

import pytest
from apps import KEY, Endpoint, call_body, sign
from mounts import ALL, MOUNTS, bare, dispatcher, in_bottle, in_pyramid
from server_process import process
from stub_server import Scripted, serving
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

OK = (200, {"ok": True})
ORIGIN = "https://shop.example"
SIGNED = "https://signed.example:8443/in/band"
LONGEST = "/" + 999 * "x"


def ask(application, method, target, body=b"", environ=None, headers=None):
    """Make a request.

    :param target: path and query as they are on the wire
    :param environ: what is otherwise in the environ; None: it is not there
    """
    path, _, query = target.partition("?")
    found = EnvironBuilder(method=method, data=body, headers=headers).get_environ()
    found["PATH_INFO"] = urllib.parse.unquote_to_bytes(path).decode("latin-1")
    found["QUERY_STRING"] = query
    found["RAW_URI"] = found["REQUEST_URI"] = target
    found.update(environ or {})
    found = {name: value for name, value in found.items() if value is not None}
    chunks, status, headers = run_wsgi_app(application, found, buffered=True)
    return Response(b"".join(chunks), status, headers)


@pytest.fixture(scope="module")
def running():
    server = Scripted(OK)
    with serving(server) as origin:
        yield server, origin


@pytest.fixture
def server(running):
    server, origin = running
    server.requests.clear()
    server.origin = origin
    return server


# -- where a request comes in ----------------------------------------------


def case(
    url,
    asked="/api/inngest",
    *,
    at="/api/inngest",
    mounts=ALL,
    under="",
    fix=None,
    serve=None,
    called=None,
    signed=SIGNED,
    sent="",
    **environ,
):
    """One request and the address that comes of it.

    :param url: the address to be registered; None: the request is refused
    :param asked: path and query as the server reads them
    :param at: where the endpoint is mounted
    :param mounts: which mounts answer there
    :param under: where that application is mounted in turn
    :param fix: the arguments of the ProxyFix before it
    :param serve: the arguments of serve()
    :param called: the path of a call as the proxy passes it on, where it is
        another one than the address has
    :param signed: the address to be answered to an in-band sync that has
        SIGNED in its body
    :param sent: the query of our own request
    :param environ: of the request; None: it is not there
    """
    return locals()


def host(value, **more):
    return dict({"HTTP_HOST": value}, **more)


def https(value, **more):
    return dict({"HTTP_HOST": value, "wsgi.url_scheme": "https"}, **more)


def unnamed(name, port, scheme="http"):
    return {
        "HTTP_HOST": None,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "wsgi.url_scheme": scheme,
    }


FORWARDED = {
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "shop.example",
    "HTTP_X_FORWARDED_PORT": "8443",
    "HTTP_X_FORWARDED_PREFIX": "/shop",
    "HTTP_FORWARDED": "host=shop.example;proto=https",
    "HTTP_X_ORIGINAL_URL": "/elsewhere",
    "HTTP_X_REWRITE_URL": "/elsewhere",
}
HERE = "http://localhost/api/inngest"

CASES = {
    "as it is": case(HERE),
    # the host
    "another port": case("http://a.example:8080/api/inngest", **host("a.example:8080")),
    "https": case("https://a.example/api/inngest", **https("a.example")),
    "https on 8443": case("https://a.example:8443/api/inngest", **https("a.example:8443")),
    "http on 80": case("http://a.example/api/inngest", **host("a.example:80")),
    "https on 443": case("https://a.example/api/inngest", **https("a.example:443")),
    "http on 443": case("http://a.example:443/api/inngest", **host("a.example:443")),
    "https on 80": case("https://a.example:80/api/inngest", **https("a.example:80")),
    "port with zeros": case("http://a.example/api/inngest", **host("a.example:0080")),
    "no port behind the colon": case("http://a.example/api/inngest", **host("a.example:")),
    "capitals": case("http://a.example:81/api/inngest", **host("A.EXAMPLE:81")),
    "scheme in capitals": case(
        "https://a.example/api/inngest", **https("a.example", **{"wsgi.url_scheme": "HTTPS"})
    ),
    "a container's name": case("http://my_app:8000/api/inngest", **host("my_app:8000")),
    "an IPv4 address": case("http://127.0.0.1:8000/api/inngest", **host("127.0.0.1:8000")),
    "an IPv6 address": case("http://[::1]:8000/api/inngest", **host("[::1]:8000")),
    "an IPv6 address on 80": case("http://[::1]/api/inngest", **host("[::1]:80")),
    "an IPv6 address alone": case("http://[fe80::a]/api/inngest", **host("[FE80::A]")),
    "no Host": case("http://app.local:8080/api/inngest", **unnamed("app.local", "8080")),
    "no Host, 80": case("http://app.local/api/inngest", **unnamed("app.local", "80")),
    "no Host, 443": case("https://app.local/api/inngest", **unnamed("app.local", "443", "https")),
    "no Host, IPv6": case("http://[::1]:8000/api/inngest", **unnamed("::1", "8000")),
    "no Host, IPv6 on 80": case("http://[::1]/api/inngest", **unnamed("::1", "80")),
    "no Host, IPv6 in brackets": case("http://[::1]:81/api/inngest", **unnamed("[::1]", "81")),
    "an empty Host": case(
        "http://app.local:81/api/inngest", **dict(unnamed("app.local", "81"), HTTP_HOST="")
    ),
    "no Host, a socket": case(None, **unnamed("/run/app.sock", "")),
    # proxies
    "forwarded by nobody we trust": case(HERE, **FORWARDED),
    "forwarded proto": case("https://localhost/api/inngest", fix={"x_proto": 1}, **FORWARDED),
    "forwarded host": case(
        "https://shop.example/api/inngest", fix={"x_proto": 1, "x_host": 1}, **FORWARDED
    ),
    "forwarded port": case(
        "https://shop.example:8443/api/inngest",
        fix={"x_proto": 1, "x_host": 1, "x_port": 1},
        **FORWARDED,
    ),
    "forwarded prefix": case(
        "https://shop.example:8443/shop/api/inngest",
        fix={"x_proto": 1, "x_host": 1, "x_port": 1, "x_prefix": 1},
        called="/api/inngest",
        **FORWARDED,
    ),
    "a forwarded prefix that is none": case(
        HERE, fix={"x_prefix": 1}, HTTP_X_FORWARDED_PREFIX="/"
    ),
    "a forwarded prefix without and with slashes": case(
        "http://localhost/shop/api/inngest",
        fix={"x_prefix": 1},
        called="/api/inngest",
        HTTP_X_FORWARDED_PREFIX="shop/",
    ),
    "a forwarded host that is none": case(
        None, fix={"x_host": 1}, HTTP_X_FORWARDED_HOST="shop.example/x"
    ),
    "a forwarded scheme that is none": case(
        None, fix={"x_proto": 1}, HTTP_X_FORWARDED_PROTO="https://evil.example/?"
    ),
    "a proxy that is not told of": case(
        "https://shop.example/api/inngest",
        serve={"serve_origin": ORIGIN},
        signed=ORIGIN + "/in/band",
    ),
    "and that adds a prefix": case(
        "https://shop.example/public/api/inngest",
        serve={"serve_origin": ORIGIN, "serve_path": "/public/api/inngest"},
        called="/api/inngest",
        signed=ORIGIN + "/public/api/inngest",
    ),
    "and that takes one off": case(
        "http://localhost/inngest",
        at="/app/inngest",
        asked="/app/inngest",
        serve={"serve_path": "/inngest"},
        called="/app/inngest",
        signed="https://signed.example:8443/inngest",
    ),
    "a path that is set and must be encoded": case(
        "http://localhost/gr%C3%B6%C3%9Fe/my%20api",
        at="/größe/my api",
        asked="/gr%C3%B6%C3%9Fe/my%20api",
        serve={"serve_path": "/größe/my%20api"},
        signed="https://signed.example:8443/gr%C3%B6%C3%9Fe/my%20api",
    ),
    "a Host that is none, where it does not matter": case(
        "https://shop.example/api/inngest",
        serve={"serve_origin": ORIGIN},
        signed=ORIGIN + "/in/band",
        **host("~^(.*)$"),
    ),
    # the path
    "a slash at the end": case(HERE + "/", "/api/inngest/", mounts=(bare, dispatcher, in_bottle)),
    "a slash at the end of the route": case(
        HERE + "/", "/api/inngest/", at="/api/inngest/", mounts=(in_pyramid,)
    ),
    "a slash at the end, and a query": case(
        HERE + "/", "/api/inngest/?tenant=/x", mounts=(bare, dispatcher, in_bottle)
    ),
    "a slash in the query alone": case(HERE, "/api/inngest?tenant=/x/"),
    "a slash at the end that no server tells of": case(
        HERE + "/",
        "/api/inngest/",
        mounts=(dispatcher, in_bottle),
        RAW_URI=None,
        REQUEST_URI=None,
    ),
    "no slash at the end, and no server tells": case(HERE, RAW_URI=None, REQUEST_URI=None),
    "a mount in a mount": case(
        "http://localhost/outer/api/inngest", "/outer/api/inngest", under="/outer"
    ),
    "SCRIPT_NAME from outside": case(
        "http://localhost/outer/api/inngest", called="/api/inngest", SCRIPT_NAME="/outer"
    ),
    "SCRIPT_NAME is a slash": case(HERE, SCRIPT_NAME="/"),
    "SCRIPT_NAME is missing": case(HERE, SCRIPT_NAME=None),
    "PATH_INFO is missing": case("http://localhost/", mounts=(bare,), PATH_INFO=None),
    "PATH_INFO is missing under a mount": case(
        HERE, mounts=(bare,), SCRIPT_NAME="/api/inngest", PATH_INFO=None
    ),
    "both are missing": case(
        "http://localhost/", mounts=(bare,), SCRIPT_NAME=None, PATH_INFO=None
    ),
    "PATH_INFO without its slash": case(HERE, mounts=(bare,), PATH_INFO="api/inngest"),
    "PATH_INFO without its slash under a mount": case(
        HERE, mounts=(bare,), SCRIPT_NAME="/api", PATH_INFO="inngest"
    ),
    "at the root": case("http://localhost/", "/", mounts=(bare,)),
    "below the mount": case(HERE + "/v2", "/api/inngest/v2", mounts=(dispatcher, in_bottle)),
    "a space": case("http://localhost/my%20api/x", "/my%20api/x", at="/my api/x"),
    "an encoded slash": case(HERE, "/api%2Finngest"),
    "an encoded percent": case("http://localhost/100%25/x", "/100%25/x", at="/100%/x"),
    "twice encoded": case("http://localhost/%252e%252e/x", "/%252e%252e/x", mounts=(bare,)),
    "what a path may have": case(
        "http://localhost/a;b=1,2@c+d/x", "/a;b=1,2@c+d/x", at="/a;b=1,2@c+d/x"
    ),
    "that, encoded": case(
        "http://localhost/a;b=1,2@c+d/x", "/a%3Bb%3D1%2C2%40c%2Bd/x", at="/a;b=1,2@c+d/x"
    ),
    # a colon has another meaning in the patterns of Bottle and Pyramid
    "a colon": case("http://localhost/v1:x/y", "/v1:x/y", at="/v1:x/y", mounts=ALL[:2]),
    "what a path may not have": case(
        "http://localhost/%3C%22%3E%7B%5E%7D%5C%0D%0A%00%3F%23",
        "/%3C%22%3E%7B%5E%7D%5C%0D%0A%00%3F%23",
        mounts=(bare,),
    ),
    "umlauts": case("http://localhost/gr%C3%B6%C3%9Fe/x", "/gr%C3%B6%C3%9Fe/x", at="/größe/x"),
    "beyond Latin-1": case(
        "http://localhost/%E6%97%A5%E6%9C%AC/x", "/%E6%97%A5%E6%9C%AC/x", at="/日本/x"
    ),
    "umlauts in a mount in a mount": case(
        "http://localhost/%C3%BC/gr%C3%B6%C3%9Fe/x",
        "/%C3%BC/gr%C3%B6%C3%9Fe/x",
        under="/ü",
        at="/größe/x",
    ),
    "bytes that are not UTF-8": case("http://localhost/%F6/x", "/%F6/x", mounts=(bare,)),
    "an authority in the path": case(
        "http://localhost/evil.example/x", "//evil.example/x", mounts=(bare,)
    ),
    "doubled slashes": case(HERE, "///api//inngest", mounts=(bare,)),
    "doubled slashes at the end": case(HERE + "/", "/api/inngest//", mounts=(dispatcher,)),
    "dots": case(None, "/api/../inngest", mounts=(bare,)),
    "a dot": case(None, "/api/./inngest", mounts=(bare,)),
    "encoded dots": case(None, "/api/%2e%2E%2Finngest", mounts=(bare,)),
    "dots below the mount": case(None, "/api/inngest/../../admin", mounts=(dispatcher, in_bottle)),
    "dots that are a name": case("http://localhost/...", "/...", mounts=(bare,)),
    "dots that do not matter": case(
        "http://localhost/x",
        "/api/../inngest",
        mounts=(bare,),
        serve={"serve_path": "/x"},
        signed="https://signed.example:8443/x",
    ),
    "the longest path": case("http://localhost" + LONGEST, LONGEST, mounts=(bare,)),
    "a longer one": case(None, LONGEST + "x", mounts=(bare,)),
    # the query
    "a query": case(HERE, "/api/inngest?tenant=1&probe=x"),
    "our own parameters": case(HERE, "/api/inngest?fnId=x&stepId=y"),
    "a deployId": case(HERE, "/api/inngest?tenant=1&deployId=d%261", sent="deployId=d%261"),
    "two": case(HERE, "/api/inngest?deployId=a&deployId=b", sent="deployId=a"),
    "an empty one": case(HERE, "/api/inngest?deployId="),
}
#: Host headers that are none.
HOSTILE = [
    "evil.example/path",
    "a@evil.example",
    "a:b@evil.example",
    "evil example",
    " ",
    "evil.example\r\nX-Evil: 1",
    "evil.example\n",
    "evil.example#",
    "evil.example?",
    "evil.example\\",
    "evil.example%2f",
    "http://evil.example",
    "evil.example,other.example",
    "evil.example:80:80",
    "evil.example:0",
    "evil.example:65536",
    "evil.example:1234567890",
    "evil.example:x",
    "evil.example:-1",
    "evil.example:８０".encode().decode("latin-1"),
    "evil.example:\xb2",
    "\xe9vil.example",
    "[",
    "[]",
    "[evil]",
    "[::1",
    "::1",
    "[::1]evil.example",
    "[::1%25eth0]",
    ":8000",
]
CASES.update((f"the Host {value!a}", case(None, **host(value))) for value in HOSTILE)


EACH = [
    pytest.param(mount, found, id=f"{mount.__name__}-{name}")
    for name, found in CASES.items()
    for mount in found["mounts"]
]


NO_PROXY = {"x_for": 0, "x_proto": 0, "x_host": 0, "x_port": 0, "x_prefix": 0}


def build(mount, given, server):
    serve = dict(given["serve"] or {})
    endpoint = Endpoint(lambda ctx: "done", signing_key=KEY, base_url=server.origin, **serve)
    application = mount(endpoint.application, given["at"])
    if given["under"]:
        application = dispatcher(application, given["under"])
    if given["fix"]:
        application = ProxyFix(application, **dict(NO_PROXY, **given["fix"]))
    return application


def registered(body):
    """The address that a registration or an in-band answer states, for the
    app and for each function."""
    for function in body["functions"]:
        query = urllib.parse.urlencode([("fnId", function["id"]), ("stepId", "step")])
        runtime = {"type": "http", "url": "{}?{}".format(body["url"], query)}
        assert function["steps"]["step"]["runtime"] == runtime
    return body["url"]


@pytest.mark.parametrize("mount, given", EACH)
def test_the_registered_address_is_where_the_endpoint_answers(mount, given, server):
    application, url, environ = build(mount, given, server), given["url"], given["environ"]

    def in_band(body):
        headers = {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Signature": sign(body)}
        return ask(application, "PUT", given["asked"], body, environ, headers)

    answer, told = ask(application, "PUT", given["asked"], b"", environ), in_band(b"{}")
    if url is None:
        for refused in (answer, told):
            assert (refused.status_code, refused.get_json()["code"]) == (400, "address_unknown")
            assert re.search("Set serve_(origin|path), or the envi", refused.get_json()["message"])
        assert server.requests == []
    else:
        assert (answer.status_code, told.status_code) == (200, 200), (answer.data, told.data)
        (request,) = server.requests
        assert request.query_string.decode() == given["sent"]
        # without a URL in its body, an in-band sync states the same address
        assert registered(request.get_json()) == registered(told.get_json()) == url
        path = given["called"] or urllib.parse.urlsplit(url).path
        # what a server or a proxy adds to a sync, it adds to a call too
        kept = {name: value for name, value in environ.items() if name != "PATH_INFO"}
        call = json.dumps(call_body()).encode()
        answer = ask(application, "POST", path + "?fnId=shop-f&stepId=step", call, kept)
        assert (answer.status_code, answer.get_json()) == (200, "done")
    told = in_band(json.dumps({"url": SIGNED + "?fnId=x&tenant=1#top"}).encode())
    assert (told.status_code, registered(told.get_json())) == (200, given["signed"])


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_endpoint_answers_at_no_other_address(mount):
    application = mount(Endpoint(lambda ctx: "done").application, "/api/inngest")
    assert ask(application, "GET", "/api/inngest").status_code == 200
    assert ask(application, "GET", "/api/inngestfoo").status_code == 404


# -- the body of an in-band sync -------------------------------------------


def sync_in_band(body, **serve):
    endpoint = Endpoint(lambda ctx: "done", cloud=True, **serve)
    headers = {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Signature": sign(body)}
    return ask(endpoint.application, "PUT", "/api/inngest", body, None, headers)


@pytest.mark.parametrize(
    "told, url",
    [
        (None, HERE),
        ("", HERE),
        ("http://localhost:3000/api/inngest", "http://localhost:3000/api/inngest"),
        ("https://a.example/x?tenant=1&fnId=f#top", "https://a.example/x"),
        ("https://a.example/x#?", "https://a.example/x"),
        ("https://a.example", "https://a.example"),
        ("HTTPS://A.example:443/X/", "https://a.example/X/"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        # credentials for a proxy in front of the endpoint
        ("https://user:pass@a.example/x", "https://user:pass@a.example/x"),
        ("https://a.example/my%20api/größe", "https://a.example/my%20api/gr%C3%B6%C3%9Fe"),
    ],
)
def test_an_in_band_sync_uses_the_url_of_its_body(told, url):
    answer = sync_in_band(json.dumps({"url": told}).encode())
    assert (answer.status_code, registered(answer.get_json())) == (200, url)


@pytest.mark.parametrize(
    "told",
    [
        "/api/inngest",
        "api/inngest",
        "//a.example/x",
        "a.example/x",
        "a.example:8000/x",
        "ftp://a.example/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:///x",
        "https://:8000/x",
        "https://[/x",
        "https://a.example:x/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example/x y",
        "https://a.example/x\r\nX-Evil: 1",
        " https://a.example/x",
        "https://a.example\\@b.example/x",
        "?",
        7,
        True,
        ["https://a.example/x"],
        {},
    ],
)
def test_an_invalid_url_in_a_signed_body_is_refused(told):
    answer = sync_in_band(json.dumps({"url": told}).encode())
    assert (answer.status_code, answer.get_json()["code"]) == (400, "body_invalid")
    assert answer.get_json()["message"].startswith("url: ")


def test_a_url_with_dot_segments_is_refused():
    answer = sync_in_band(b'{"url":"https://a.example/x/../y"}')
    assert (answer.status_code, answer.get_json()["code"]) == (400, "address_unknown")
    answer = sync_in_band(b'{"url":"https://a.example/x/../y"}', serve_path="/x")
    assert (answer.status_code, answer.get_json()["url"]) == (200, "https://a.example/x")


# -- a stranger asks -------------------------------------------------------

EVIL = "https://evil.example/evil"
ATTACKS = {
    "Host": ({"Host": "evil.example"}, "", b""),
    "Host that is none": ({"Host": "evil.example/@#"}, "", b""),
    "no Host": ({"Host": ""}, "", b""),
    "proxy headers": (
        {
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "evil",
            "X-Forwarded-Port": "666",
            "X-Forwarded-Prefix": "/evil",
            "Forwarded": "host=evil.example;proto=evil",
            "X-Original-Url": "/evil",
            "X-Rewrite-Url": "/evil",
            "Script-Name": "/evil",
            "X-Real-Ip": "evil",
        },
        "",
        b"",
    ),
    "a body": ({"Content-Type": "application/json"}, "", json.dumps({"url": EVIL}).encode()),
    "a body that is no JSON": ({}, "", b"evil"),
    "a body and the kind of sync": (
        {"X-Inngest-Sync-Kind": "out_of_band"},
        "",
        json.dumps({"url": EVIL}).encode(),
    ),
    "a query": ({}, "?deployId=evil&fnId=evil&url=" + EVIL + "&evil=1&probe=evil", b""),
    "a long deployId": ({}, "?deployId=" + 3000 * "evil", b""),
    "our headers": (
        {
            "X-Inngest-Server-Kind": "evil",
            "X-Inngest-Expected-Server-Kind": "evil",
            "X-Inngest-Env": "evil",
            "X-Inngest-Framework": "evil",
            "X-Inngest-Platform": "evil",
            "X-Inngest-Sdk": "evil",
            "X-Inngest-Event-Id-Seed": "evil",
            "Authorization": "Bearer evil",
            "Traceparent": "evil",
            "Tracestate": "evil",
            "Baggage": "evil",
            "User-Agent": "evil",
            "Cookie": "evil=1",
            "Referer": EVIL,
            "Origin": EVIL,
            "Accept": "text/html; evil",
        },
        "",
        b"",
    ),
}


def whole(request):
    """Return everything that a server received, as text."""
    return (
        request.method,
        request.environ["REQUEST_URI" if "REQUEST_URI" in request.environ else "RAW_URI"],
        sorted(request.headers.items()),
        request.get_data(),
    )


def stranger(server, mount=dispatcher, serve=None):
    serve = dict({"serve_origin": ORIGIN} if serve is None else serve)
    endpoint = Endpoint(lambda ctx: "done", cloud=True, base_url=server.origin, **serve)
    return mount(endpoint.application, "/api/inngest")


@pytest.mark.parametrize("path", [None, "/set"])
@pytest.mark.parametrize("mount", ALL)
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_unsigned_sync_passes_nothing_on(attack, mount, path, server):
    headers, query, body = ATTACKS[attack]
    serve = {"serve_origin": ORIGIN, "serve_path": path}
    application = stranger(server, mount, serve)
    assert ask(application, "PUT", "/api/inngest").status_code == 200
    answer = ask(application, "PUT", "/api/inngest" + query, body, None, headers)
    assert answer.status_code == 200, answer.data
    plain, attacked = server.requests
    assert whole(attacked) == whole(plain)
    assert "evil" not in repr(whole(attacked)).lower()
    assert registered(attacked.get_json()) == ORIGIN + (path or "/api/inngest")
    assert attacked.query_string == b""


@pytest.mark.parametrize("serve", [{}, {"serve_path": "/api/inngest"}])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_address_is_taken_from_an_unsigned_sync(attack, serve, server):
    headers, query, body = ATTACKS[attack]
    application = stranger(server, serve=serve)
    answer = ask(application, "PUT", "/api/inngest" + query, body, None, headers)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "signature_required")
    assert "set INNGEST_SERVE_ORIGIN" in answer.get_json()["message"]
    assert server.requests == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_unsigned_syncs_can_be_disabled(attack, server, monkeypatch):
    monkeypatch.setenv("INNGEST_ENABLE_UNAUTHED_SYNC", "false")
    headers, query, body = ATTACKS[attack]
    application = stranger(server)
    answer = ask(application, "PUT", "/api/inngest" + query, body, None, headers)
    assert (answer.status_code, server.requests) == (401, [])


@pytest.mark.parametrize("serve_origin", [None, ORIGIN])
def test_an_unsigned_in_band_sync_is_refused(serve_origin, server):
    application = stranger(server, serve={"serve_origin": serve_origin})
    headers = {"X-Inngest-Sync-Kind": "in_band"}
    body = json.dumps({"url": EVIL}).encode()
    answer = ask(application, "PUT", "/api/inngest", body, None, headers)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "signature_missing")
    assert (b"functions" in answer.data, server.requests) == (False, [])


@pytest.mark.parametrize(
    "mount, path, status",
    [
        (bare, "/api/inngest", 200),
        (dispatcher, "/api/inngest/", 200),
        (in_bottle, "/api/inngest/", 200),
        # an unsigned caller may not extend the path of the mount
        (dispatcher, "/api/inngest/evil", 401),
        (dispatcher, "/api/inngest//evil.example", 401),
        (dispatcher, "/api/inngest/..%2F..%2Fevil", 401),
        (in_bottle, "/api/inngest/evil", 401),
        (in_bottle, "/api/inngest/../../evil", 401),
        # without a mount, only the path at which a server looks first
        (bare, "/api/inngest//", 401),
        (bare, "/", 401),
        (bare, "/evil", 401),
        (bare, "//evil.example/x", 401),
        (bare, "/api/inngest/..%2F..%2Fevil", 401),
    ],
)
def test_the_path_of_an_unsigned_sync(mount, path, status, server):
    answer = ask(stranger(server, mount), "PUT", path)
    assert answer.status_code == status
    assert len(server.requests) == (status == 200)
    if status == 200:
        assert registered(server.requests[0].get_json()) == ORIGIN + path
    else:
        assert "serve_path" in answer.get_json()["message"]
    server.requests.clear()
    # if the path is configured, the path of the request does not matter
    serve = {"serve_origin": ORIGIN, "serve_path": "/set"}
    assert ask(stranger(server, mount, serve), "PUT", path).status_code == 200
    assert registered(server.requests[0].get_json()) == ORIGIN + "/set"


def test_an_authority_in_the_path_is_treated_as_a_path(server):
    application = stranger(server, bare)
    headers = {"X-Inngest-Signature": sign(b"")}
    assert ask(application, "PUT", "//evil.example/x", headers=headers).status_code == 200
    assert registered(server.requests[0].get_json()) == ORIGIN + "/evil.example/x"


@pytest.mark.parametrize("signed", [True, False])
def test_a_deploy_id_is_passed_on_but_not_registered(signed, server):
    headers = {"X-Inngest-Signature": sign(b"")} if signed else {}
    target = "/api/inngest?deployId=d1"
    assert ask(stranger(server), "PUT", target, headers=headers).status_code == 200
    assert server.requests[0].args.to_dict() == ({"deployId": "d1"} if signed else {})


# -- real servers ----------------------------------------------------------

LISTENING = r"(?:Listening at:|Serving on) http://(\S+)"
SERVERS = {
    "gunicorn": ["gunicorn", "--bind=127.0.0.1:0", "--workers=1"],
    "waitress": ["waitress", "--listen=127.0.0.1:0"],
}


@pytest.fixture(scope="module", params=list(SERVERS))
def process_of(request, running, tmp_path_factory):
    """Starts a server of one kind, with the endpoint mounted somewhere or,
    for None, alone."""
    with contextlib.ExitStack() as stack:
        started = {}

        def start(at):
            if at not in started:
                home = tmp_path_factory.mktemp("home")
                environ = {"INNGEST_DEV": running[1], "HOME": str(home)}
                environ["EFFECTS"] = str(home / "effects")
                name = "mounted:endpoint"
                if at is not None:
                    name, environ["MOUNTED_AT"] = "mounted:application", at
                command = SERVERS[request.param] + [name]
                started[at] = stack.enter_context(process(command, LISTENING, **environ))
            return started[at]

        yield start


def exchange(address, target, host, method="PUT", body=b""):
    """Send exactly these bytes; return the status and the body of the answer."""
    name, _, port = address.rpartition(":")
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    lines += [b"Host: " + host] if host is not None else []
    lines += [b"Content-Length: %d" % len(body), b"Connection: close", b"", body]
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        connection.sendall(b"\r\n".join(lines))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


@pytest.mark.parametrize(
    "at, target, host, url",
    [
        ("/api/inngest", b"/api/inngest", b"a.example", "http://a.example/api/inngest"),
        ("/api/inngest", b"/api/inngest/?x=1", b"A:8443", "http://a:8443/api/inngest/"),
        ("/api/inngest", b"/api%2Finngest", b"[::1]:80", "http://[::1]/api/inngest"),
        ("/my api;v=1/x", b"/my%20api;v=1/x", b"a", "http://a/my%20api;v=1/x"),
        ("/größe/x", b"/gr%C3%B6%C3%9Fe/x", b"a", "http://a/gr%C3%B6%C3%9Fe/x"),
        (None, b"/%F6/100%25/x", b"a", "http://a/%F6/100%25/x"),
        (None, b"/", b"a", "http://a/"),
        (None, b"/api/inngest?deployId=1#top", b"a", "http://a/api/inngest"),
        (None, b"http://evil.example/x", b"a", "http://a/x"),
        (None, b"/x//evil.example/y", b"a", "http://a/x/evil.example/y"),
        (None, b"/a/../x", b"a", None),
        (None, b"/a/%2e%2e/x", b"a", None),
        (None, b"/x", b"evil.example/path", None),
        (None, b"/x", b"a@evil.example", None),
        (None, b"/x", b"evil.example#", None),
        (None, b"/x", b"[", None),
        (None, b"/x", "évil".encode(), None),
    ],
)
def test_under_a_real_server(process_of, server, at, target, host, url):
    address = process_of(at)
    status, content = exchange(address, target, host)
    if url is None:
        assert (status, b"address_unknown" in content) == (400, True), content
        assert server.requests == []
        return
    assert status == 200, content
    assert registered(server.requests[0].get_json()) == url
    call = urllib.parse.urlsplit(url)._replace(query="fnId=mounted-final&stepId=step")
    path = urllib.parse.urlunsplit(("", "", call.path, call.query, "")).encode()
    status, content = exchange(address, path, host, "POST", json.dumps(call_body()).encode())
    assert (status, b"give up" in content) == (400, True), content


def test_characters_that_a_request_line_may_not_have(process_of, server):
    # each server treats them differently; if a request arrives, its address is right
    exchange(process_of("/größe/x"), "/größe/x".encode(), b"a")
    found = [registered(request.get_json()) for request in server.requests]
    assert found in ([], ["http://a/gr%C3%B6%C3%9Fe/x"])
