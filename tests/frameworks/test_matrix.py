"""Each cell of the matrix in docs/frameworks/index.md: a framework on a real server, with
its ordinary pages, and both endpoints driven by local servers over HTTP."""

import contextlib
import json
import typing as t

import framework_table
import pytest
from browser import Browser
from frameworks import NO_CHUNKED
from stream_client import Answer, Call, ask, connect, head

BUFFERED, STREAMED = "/api/inngest", "/api/streamed"
HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def browser(site):
    return Browser(site.origin)


@pytest.fixture(params=["buffered", "streamed"])
def synced(request, site):
    """The server of one of the endpoints, which has just synced it."""
    name = {"buffered": "dev_server", "streamed": "cloud_server"}[request.param]
    server = request.getfixturevalue(name)
    server.sync(site.origin + {"buffered": BUFFERED, "streamed": STREAMED}[request.param])
    return server


def whole(answer):
    """Read an answer that has a length, or ends with its connection or last chunk."""
    answer.read_until(lambda body: answer.whole)
    return answer


def run(server, name, data=None):
    (event_id,) = server.send({"name": "test/" + name, "data": data or {}})
    return server.wait_for_run(event_id, timeout=60)


# -- ordinary pages -------------------------------------------------------


def test_a_page(site, browser):
    page = browser.ask("/page")
    assert page.status == 200 and "a page" in page.text
    if site.cell.row.name not in site.framework.no_toolbar:
        assert (site.framework.toolbar or "") in page.text


def test_a_form(site, browser):
    page = browser.ask("/form")
    assert page.status == 200
    fields = page.hidden()
    assert bool(fields) == site.framework.csrf
    saved = browser.ask("/form", dict(fields, text="tea"))
    assert saved.status == 200 and "saved: tea" in saved.text
    if site.framework.csrf:
        assert browser.ask("/form", {"text": "tea"}).status in (400, 403)


def test_the_error_pages(site, browser):
    page = browser.ask("/error")
    assert page.status == 500 and site.error in page.text
    page = browser.ask("/missing")
    assert page.status == 404 and site.framework.missing in page.text


def test_a_slash_redirect(site, browser):
    if site.framework.slash is None:
        assert browser.ask("/folder").status in (200, 404)
        return
    page = browser.ask("/folder")
    assert page.status == site.framework.slash
    assert page.headers["location"].replace(site.origin, "") == "/folder/"
    page = browser.ask("/folder/")
    assert page.status == 200 and "in the folder" in page.text


# -- functions ------------------------------------------------------------


@pytest.mark.parametrize(
    "name, output",
    [
        ("steps", ["é0", "é1", "é2"]),
        ("sleeping", True),
        ("failing_once", "at last"),
        ("parallel", [0, 1, 4]),
        ("keeping", ["kept by the framework"] * 2),
    ],
)
def test_a_function(synced, name, output):
    found = run(synced, name)
    assert (found.status, found.output) == ("Completed", output), found.history
    if name == "failing_once":
        assert "not yet" in str(found.history)


def test_a_function_that_fails(synced):
    """The framework's error page and debugger do not see it."""
    found = run(synced, "broken")
    assert found.status == "Failed", found.history
    assert found.output["name"] == "NonRetriableError"
    assert found.output["message"] == "broken for good"


def test_spaces_arrive_before_the_answer(site):
    call = Call(site.place)
    answer = ask(site.port, path=STREAMED, query=call.query, body=call.body)
    assert answer.read_spaces(2)
    call.go()
    found = json.loads(answer.read_all().body)
    assert (answer.status, found["status"]) == (201, 200)
    assert json.loads(found["body"]) == "é was waited for"


# -- what a framework or a server may do to a request ---------------------


def test_the_page_of_dev_mode(browser):
    page = browser.ask(BUFFERED, Accept=HTML)
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "Inngest" in page.text


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("OPTIONS", 200), ("DELETE", 405)])
def test_other_methods(browser, method, status):
    page = browser.ask(BUFFERED, method=method)
    assert page.status == status
    if method == "HEAD":
        assert page.text == ""
    else:
        assert "PUT" in page.headers["allow"]


def test_our_errors_are_answered_as_they_are(site):
    body = Call(site.place).body
    cases: t.List[t.Tuple[int, t.Dict[str, t.Any]]] = [
        (401, dict(body=body, query="fnId=streamed-steps&stepId=step", signed=False)),
        (500, dict(body=body, query="fnId=streamed-unknown&stepId=step")),
        (400, dict(body=b"{", query="fnId=streamed-steps&stepId=step")),
    ]
    for status, asked in cases:
        answer = whole(ask(site.port, path=STREAMED, **asked))
        # gunicorn waits for that after a body that it has not read
        answer.sock.close()
        assert answer.status == status and json.loads(answer.body)["code"], answer.body


LIMIT = 8 * 1024 * 1024


def test_bodies_up_to_the_limit(site):
    # the body has its event twice
    size = LIMIT // 2 - 1000
    call = Call(site.place, "large", text="x" * size)
    assert LIMIT - 2000 < len(call.body) <= LIMIT
    answer = ask(site.port, path=STREAMED, query=call.query, body=call.body)
    found = json.loads(whole(answer).body)
    assert (found.get("status"), found.get("body")) == (200, str(size))


def test_bodies_beyond_the_limit(site):
    call = Call(site.place, "large", text="x" * (LIMIT // 2))
    answer = Answer(connect(site.port))
    # a server may close a connection without having read what is sent
    with contextlib.suppress(ConnectionError):
        answer.sock.sendall(head(path=STREAMED, query=call.query, body=call.body) + call.body)
    whole(answer)
    if answer.status is not None:
        assert answer.status == 413 and json.loads(answer.body)["code"] == "body_too_large"


def test_a_call_with_expect_100_continue(site):
    call = Call(site.place)
    call.go()
    answer = Answer(connect(site.port))
    options = dict(
        path=STREAMED, query=call.query, body=call.body, headers=["Expect: 100-continue"]
    )
    answer.sock.sendall(head(**options))
    # some servers answer 100 when the body is read, some do not answer
    answer.read_until(lambda body: False, 0.05)
    assert answer.status is None
    answer.sock.sendall(call.body)
    assert json.loads(answer.read_all().body)["status"] == 200


def test_a_chunked_call(site):
    call = Call(site.place)
    call.go()
    sock = connect(site.port)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(call.body), call.body)
    start = head(
        path=STREAMED, query=call.query, body=call.body, headers=["Transfer-Encoding: chunked"]
    )
    sock.sendall(start + chunked)
    answer = whole(Answer(sock))
    if answer.status == 411:
        assert site.cell.row.name in NO_CHUNKED
    else:
        assert json.loads(answer.body)["status"] == 200


def test_a_slash_at_the_end(site, dev_server):
    """The calls come to the address as it was in the sync."""
    dev_server.sync(site.origin + BUFFERED + "/")
    assert run(dev_server, "steps").status == "Completed"
    found = dev_server.sync(site.origin + BUFFERED + "/", in_band=True)
    assert found.body["url"] == site.origin + BUFFERED + "/"


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mount_under_a_prefix(prefixed, dev_server, end):
    url = prefixed.origin + "/outer" + BUFFERED + end
    dev_server.sync(url)
    assert run(dev_server, "steps").status == "Completed"
    assert dev_server.sync(url, in_band=True).body["url"] == url
    assert Browser(prefixed.origin).ask("/outer/page").status == 200


def test_the_tables_have_these_cells(request):
    if request.config.getoption("--write-docs"):
        pytest.skip("the tables are written when all cells have run")
    framework_table.Tables().check()
