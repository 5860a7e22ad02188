"""Streamed answers on real servers, over a plain socket. The table in
docs/streaming.md has the expected behaviour of each server."""

import contextlib
import json

import pytest
import stream_servers as rows
import stream_table as says
from apps import KEY, call_body, sign, step_hash
from real_servers import gunicorn
from stream_client import PATIENCE_S, Answer, Call, ask, comes, connect, head

#: How long is waited for what should not come, or need not.
WHILE_S = 1.5


def patience(unlikely):
    """Return how long to wait, in seconds: long enough that a busy machine
    changes no result."""
    return WHILE_S if unlikely else PATIENCE_S


def open_stream(server, function="waiting", path="/api/inngest", receive_buffer=None, **options):
    """Make a call; return it and its answer."""
    version = options.pop("version", "1.1")
    call = Call(server.place, function, **options)
    answer = ask(
        server.port,
        path=path,
        query=call.query,
        body=call.body,
        version=version,
        receive_buffer=receive_buffer,
    )
    return call, answer


def final(answer):
    """Return the object at the end of a stream, with its body decoded.

    :raises ValueError: the stream has no such object
    """
    assert answer.status == 201
    found = json.loads(answer.body)
    assert sorted(found) == ["body", "headers", "status"]
    body = found["body"].encode()
    header = found["headers"]["X-Inngest-Signature"]
    assert header == sign(body, KEY, int(header[2:].partition("&")[0]))
    found["body"] = json.loads(body)
    return found


def is_complete(answer):
    """Return True if the answer of ``waiting`` is complete; assert that it is
    correct if so."""
    try:
        found = final(answer)
    except ValueError:
        return False
    assert (found["status"], found["body"]) == (200, "é was waited for")
    return True


def test_spaces_arrive_while_the_function_runs(server, table):
    call, answer = open_stream(server)
    said = table.says(server.row.name, "spaces")
    live = answer.read_spaces(2, patience(said == "at the end"))
    call.go()
    assert is_complete(answer.read_all()) and answer.whole
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-inngest-sdk"].startswith("inngest-wsgi:")
    assert "x-inngest-signature" not in answer.headers
    table.observed(server.row.name, "spaces", "live" if live else "at the end")
    table.observed(server.row.name, "framing", framing(server, answer))


def framing(server, answer):
    """Return how the answer's end is marked, and whether the connection accepts
    another request."""
    if answer.framing == "close":
        return "until close"
    with contextlib.suppress(OSError):
        if answer.headers.get("connection", "").lower() == "close":
            # the server waits for the client to close
            return answer.framing + ", closed"
        call = Call(server.place)
        call.go()
        answer.sock.sendall(head(query=call.query, body=call.body) + call.body)
        again = Answer(answer.sock).read_all()
        if again.status is not None:
            assert is_complete(again)
            return answer.framing + ", kept open"
    return answer.framing + ", closed"


def test_spaces_arrive_while_the_function_computes(server, table):
    call, answer = open_stream(server, "computing")
    said = table.remarks(server.row.name)
    live = answer.read_spaces(2, patience(says.COMPUTING in said))
    call.go()
    assert final(answer.read_all())["body"] is True
    table.remark(server.row.name, says.COMPUTING, not live)


def test_streams_at_once(server, table):
    streams = [open_stream(server), open_stream(server)]
    # one of the two is served first
    assert comes(lambda: any(answer.read_spaces(2, 0.1) for _, answer in streams))
    said = table.remarks(server.row.name)
    seconds = patience(says.ONE_AT_A_TIME in said)
    live = [answer.read_spaces(2, seconds) for _, answer in streams]
    for call, _ in streams:
        call.go()
    for _, answer in streams:
        assert is_complete(answer.read_all())
    table.remark(server.row.name, says.ONE_AT_A_TIME, sorted(live) == [False, True])


def test_a_client_of_http_1_0(server, table):
    call, answer = open_stream(server, version="1.0")
    assert answer.read_spaces(2) and not (answer.over or (call.place / "go").exists())
    call.go()
    assert is_complete(answer.read_all()) and answer.whole
    assert answer.framing in ("close", "chunked")
    table.remark(server.row.name, says.CHUNKED_10, answer.framing == "chunked")


def test_a_chunked_call(server, table):
    call = Call(server.place)
    call.go()
    sock = connect(server.port)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(call.body), call.body)
    start = head(query=call.query, body=call.body, headers=["Transfer-Encoding: chunked"])
    sock.sendall(start + chunked)
    answer = Answer(sock).read_all()
    assert answer.status == 411 or is_complete(answer)
    table.remark(server.row.name, says.NO_CHUNKED_CALLS, answer.status == 411)


def test_a_call_with_expect_100_continue(server):
    call = Call(server.place)
    call.go()
    answer = Answer(connect(server.port))
    options = dict(query=call.query, body=call.body, headers=["Expect: 100-continue"])
    answer.sock.sendall(head(**options))
    # some servers answer 100 when the body is read, some do not answer
    answer.read_until(lambda body: False, 0.2)
    assert answer.status is None
    answer.sock.sendall(call.body)
    assert is_complete(answer.read_all())


SYNC = b'{"url":"http://127.0.0.1/api/inngest"}'
CALL = json.dumps(call_body()).encode()
UNIT = 'é"\\ '


@pytest.mark.parametrize(
    "function, status, no_retry, body",
    [
        ("failing", 500, "false", {"name": "ValueError", "message": "not é today"}),
        ("final", 400, "true", {"name": "NonRetriableError", "message": "never"}),
        ("unserializable", 400, "true", {"name": "OutputError"}),
        (
            "stepping",
            206,
            None,
            {"id": step_hash("a step"), "op": "StepRun", "data": {"done": "é"}},
        ),
        # bytes of JSON: 7 for the unit, 2 for the quotation marks
        ("large", 200, None, UNIT * (4 * 1024 * 1024 // 7)),
    ],
    ids=["failing", "final", "unserializable", "stepping", "large"],
)
def test_answers(server, function, status, no_retry, body):
    _, answer = open_stream(server, function, text=UNIT, times=4 * 1024 * 1024 // 7)
    found = final(answer.read_all())
    assert answer.whole
    assert found["status"] == status
    assert found["headers"].get("X-Inngest-No-Retry") == no_retry
    if function == "large":
        # "is True", since pytest would print the whole text
        assert (found["body"] == body) is True
        return
    value = found["body"][0] if status == 206 else found["body"]
    assert {name: value[name] for name in body} == body


@pytest.mark.parametrize(
    "status, asked",
    [
        (200, dict(method="GET")),
        (200, dict(method="PUT", headers=["X-Inngest-Sync-Kind: in_band"], body=SYNC)),
        (200, dict(query="probe=trust")),
        (401, dict(signed=False)),
        (500, dict(query="fnId=streamed-unknown&stepId=step", body=CALL)),
        (400, dict(query="fnId=streamed-waiting&stepId=step", body=b"{")),
    ],
    ids=["GET", "PUT", "probe", "unsigned", "unknown", "broken"],
)
def test_other_requests_are_answered_in_one_piece(server, status, asked):
    answer = ask(server.port, **asked)
    answer.read_until(lambda body: answer.framing == "length" and answer.whole)
    assert (answer.status, answer.framing) == (status, "length"), answer.body
    assert answer.whole and not answer.body.startswith(b" ")


def test_a_client_that_disconnects(server, table):
    name = server.row.name
    found = []
    said = table.says(name, "noticed")
    # a machine that is busy elsewhere may let a space more through
    while len(found) < 10 and cell_of(found) != said:
        call, answer = open_stream(server)
        assert answer.read_spaces(3)
        answer.sock.close()
        seconds = PATIENCE_S if said.startswith("within ") else 5
        if comes(lambda: server.lost(call.run_id) is not None, seconds):
            found.append(server.lost(call.run_id) - 3)
        else:
            found.append(1000)
        runs_on = call.is_noticed(patience(says.STANDS_STILL in table.remarks(name)))
        call.go()
    table.observed(name, "noticed", cell_of(found))
    table.remark(name, says.STANDS_STILL, not runs_on)


def cell_of(found):
    """Return the table's cell for the number of spaces until the disconnect was
    noticed."""
    if not found:
        return None
    spaces = min(found)
    return "never" if spaces == 1000 else "within {} space{}".format(spaces, "s" * (spaces > 1))


def test_allow_streams_where_the_table_says_so(server, table):
    """The endpoint streams exactly where the table says that the server can."""
    name = server.row.name
    call, answer = open_stream(server, path="/allow")
    spaces = answer.read_spaces(1, patience(table.says(name, "allow") == "one piece"))
    call.go()
    answer.read_all()
    if spaces:
        assert is_complete(answer)
        assert table.says(name, "spaces") == "live"
        assert table.says(name, "noticed").startswith("within ")
        assert says.STANDS_STILL not in table.remarks(name)
    else:
        assert (answer.status, json.loads(answer.body)) == (200, "é was waited for")
    table.observed(name, "allow", "streams" if spaces else "one piece")


def test_a_worker_that_is_killed(server, table):
    call, answer = open_stream(server)
    assert answer.read_spaces(2)
    server.kill(call.pid())
    assert not is_complete(answer.read_all())
    looks = "broken, looks whole" if answer.whole else "broken"
    table.observed(server.row.name, "killed", looks)


def test_a_worker_that_is_killed_while_it_answers(server):
    size = 7 * 1024 * 1024
    # the worker still has much of the answer when its first bytes arrive
    call, answer = open_stream(server, "large", text="x", times=size, receive_buffer=4096)
    pid = call.pid()
    assert answer.read_until(lambda body: b"{" in body)
    server.kill(pid)
    answer.read_all()
    try:
        whole = final(answer)["body"] == "x" * size
    except ValueError:
        assert len(answer.body) < size
    else:
        assert whole


def test_a_server_that_shuts_down(server, table):
    call, answer = open_stream(server)
    assert answer.read_spaces(2)
    server.shut_down()
    if table.says(server.row.name, "shutdown") == "broken":
        answer.read_until(lambda body: False)
    else:
        # it has heard
        answer.read_spaces(len(answer.body) + 2, WHILE_S)
    cut = answer.over
    call.go()
    if is_complete(answer.read_all()):
        server.wait()
        in_time = table.says(server.row.name, "shutdown") == IN_TIME
        outcome = shut_down_for_good(server.running(), PATIENCE_S if in_time else 7)
    else:
        outcome = "broken" if cut else "complete or broken"
    table.observed(server.row.name, "shutdown", outcome)


#: What is said of a server that waits for its streams, but not for ever.
IN_TIME = "complete if it ends in time"


def shut_down_for_good(server, seconds):
    """Shut down during a stream that does not end soon; return what the client has."""
    call, answer = open_stream(server)
    assert answer.read_spaces(2)
    server.shut_down()
    answer.read_until(lambda body: False, seconds)
    waits = not answer.over
    call.go()
    complete = is_complete(answer.read_all())
    assert complete == waits
    return "complete" if waits else IN_TIME


@pytest.mark.parametrize("own_server", ["gunicorn sync"], indirect=True)
def test_the_timeout_of_a_worker(own_server, table):
    """A worker of gunicorn that has but one thread says nothing meanwhile."""
    # preload: a worker that is killed while it still imports is never there
    options = ["--timeout=2", "--preload"]
    row = rows.Row(own_server.row.name, gunicorn(*options), workers=True)
    server = rows.Server(row, own_server.application)
    try:
        call, answer = open_stream(server.running())
        seconds = patience(says.TIMEOUT not in table.remarks(row.name))
        answer.read_until(lambda body: False, seconds)
        killed = answer.over
        call.go()
        assert is_complete(answer.read_all()) != killed
    finally:
        server.stop()
    table.remark(row.name, says.TIMEOUT, killed)


def test_the_table_has_these_rows(table):
    table.check()
