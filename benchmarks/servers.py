"""Measure signed calls under gunicorn, with wrk as the client.

The empty application shows what gunicorn and wrk cost by themselves.
"""

import contextlib
import http.client
import importlib.util
import json
import pathlib
import shutil
import subprocess
import tempfile

import contestants
import in_process
import processes
import turns
from calls import CASES
from report import Skipped, Table, digits, millis

NAME = "servers"
TITLE = "Signed calls under gunicorn gthread (1 worker, 4 threads, 4 connections of wrk)"
THREADS = 4
CONTESTANTS = (
    contestants.EMPTY,
    contestants.FLOOR,
    contestants.OURS,
    contestants.ORJSON,
    contestants.STREAMED,
    contestants.OFFICIAL,
)
PATH = "/{}/api/inngest?fnId=bench-f&stepId=step"

#: Sends the same signed call again and again; prints the results as JSON.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Inngest-Signature"] = "%(signature)s"
local file = io.open("%(body)s", "rb")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %%d, "us": %%d, "p50_us": %%d, "p99_us": %%d, "errors": %%d}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def measure(quick, skips, others=()):
    """Return a row for each case: requests a second, and latencies in seconds."""
    if not find_wrk():
        raise Skipped("without wrk; on Debian: apt-get install wrk")
    if importlib.util.find_spec("gunicorn") is None:
        raise Skipped("without gunicorn")
    entrants = []
    for contestant in [*CONTESTANTS, *others]:
        if contestant.missing:
            skips.add(f"{NAME}, {contestant.name}", contestant.missing)
        else:
            entrants.append(contestant)
    cases, rounds = (["10"], 1) if quick else (list(CASES), 4)
    counts = sorted({CASES[case][0] for case in cases})
    with contextlib.ExitStack() as stack:
        addresses = {}
        for each in entrants:
            settings = {"BENCHMARK_KIND": each.kind, "BENCHMARK_MEMOS": ",".join(map(str, counts))}
            running = processes.gunicorn("served:make()", THREADS, **settings, **each.environ)
            addresses[each.name] = stack.enter_context(running)
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return [measure_case(case, addresses, folder, rounds) for case in cases]


def measure_case(case, addresses, folder, rounds):
    count, size = CASES[case]
    body = in_process.call(count, size)
    (folder / "body").write_bytes(body)
    path = PATH.format(count)
    found = {name: [] for name in addresses}
    for name, address in addresses.items():
        check(name, address, path, body)
    for _ in range(rounds):
        for name, address in addresses.items():
            found[name].append(run_wrk(f"http://{address}{path}", folder, body))
    return {
        "memos": case,
        "body_bytes": len(body),
        "per_second": turns.medians(found, per_second),
        "empty_ratio": turns.ratios(
            found, contestants.EMPTY.name, lambda one: 1 / per_second(one)
        ),
        "p50_s": turns.medians(found, lambda one: one["p50_us"] / 1e6),
        "p99_s": turns.medians(found, lambda one: one["p99_us"] / 1e6),
    }


def per_second(result):
    return result["requests"] / result["us"] * 1e6


def find_wrk():
    return shutil.which("wrk")


def signature(body):
    return in_process.environ_of(body)["HTTP_X_INNGEST_SIGNATURE"]


def check(name, address, path, body):
    """Make several calls, and make sure that a server does what it is measured for."""
    for _ in range(2 * THREADS):
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("POST", path, body, {"X-Inngest-Signature": signature(body)})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        status = response.status
        if status == 201:
            # a streamed answer: its object has the status and the body
            streamed = json.loads(answer)
            status, answer = streamed["status"], streamed["body"]
        assert status == 206, (name, status, answer)
        if name != contestants.EMPTY.name:
            assert json.loads(answer)[0]["displayName"] == "new", (name, answer)


def run_wrk(url, folder, body):
    """Let wrk make calls for a second, its shortest time, and return its results."""
    script = folder / "call.lua"
    # a signature is valid for five minutes
    script.write_text(SCRIPT % {"signature": signature(body), "body": folder / "body"})
    command = [find_wrk(), "--threads", "1", "--connections", str(THREADS), "--duration", "1s"]
    done = subprocess.run(
        [*command, "--script", str(script), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk failed:\n{done.stdout}")
    result = json.loads(lines[0])
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} calls to {url} failed:\n{done.stdout}")
    return result


def tables(rows):
    names = list(rows[0]["per_second"])
    heads = ["memos", "endpoint", "requests/s", "of the empty application", "p50, ms", "p99, ms"]
    lines = []
    for row in rows:
        for name in names:
            lines.append(
                [
                    row["memos"],
                    name,
                    digits(row["per_second"][name]),
                    digits(row["empty_ratio"][name]),
                    millis(row["p50_s"][name]),
                    millis(row["p99_s"][name]),
                ]
            )
    return [Table(NAME, TITLE, heads, lines)]
