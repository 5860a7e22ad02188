"""Each measurement of ``make bench`` runs, with few rounds, and gives what it promises.

No time is checked.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"

#: What is measured if everything is there that it needs.
ALL_CALLS = {"floor", "ours", "ours+orjson", "official"}
ALL_SERVERS = {"empty", "floor", "ours", "ours+orjson", "ours, streamed", "official"}


def bench(*arguments, path=None):
    """Run the program, and return what it prints."""
    environ = dict(os.environ)
    if path is not None:
        environ["PATH"] = path
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS), *arguments],
        cwd=str(ROOT),
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Everything, measured once: what was printed, the JSON, and the page that was written."""
    folder = tmp_path_factory.mktemp("benchmarks")
    shutil.copy(str(PAGE), str(folder))
    printed = bench("--quick", "--output", str(folder), "--write-docs", "--docs", str(folder))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return printed, results, folder


def absent(*modules):
    return any(importlib.util.find_spec(module) is None for module in modules)


def check_names(found, wanted, skipped, part):
    """What is not there was named as skipped, with a reason."""
    for name in wanted - set(found):
        assert any(line.startswith(f"{part}, {name}: without ") for line in skipped), (name, found)


def test_a_call_is_timed_for_each_number_of_memos(quick):
    _, results, _ = quick
    rows = results["calls"]
    assert [row["memos"] for row in rows] == ["0", "10", "100", "1000", "4 MiB"]
    assert 4_000_000 < rows[-1]["body_bytes"] <= 4 * 1024 * 1024
    for row in rows:
        assert {"floor", "ours"} <= set(row["seconds"]) <= ALL_CALLS
        assert min(row["seconds"].values()) > 0
        assert set(row["floor_ratio"]) == set(row["seconds"])
        assert min(row["floor_ratio"].values()) > 0
        check_names(row["seconds"], ALL_CALLS, results["skipped"], "calls")


def test_servers_are_measured_where_there_is_wrk(quick):
    _, results, _ = quick
    if "servers" not in results:
        assert shutil.which("wrk") is None or absent("gunicorn")
        assert any(line.startswith("servers: without ") for line in results["skipped"])
        return
    for row in results["servers"]:
        for measured in ("per_second", "p50_s", "p99_s"):
            assert {"empty", "ours"} <= set(row[measured]) <= ALL_SERVERS
            assert min(row[measured].values()) > 0
        assert row["empty_ratio"]["empty"] == 1
        check_names(row["per_second"], ALL_SERVERS, results["skipped"], "servers")


def test_imports_and_memory_are_measured(quick):
    _, results, _ = quick
    startup = results["startup"]
    assert {"the dependencies", "ours"} <= set(startup["import_s"])
    if os.path.exists("/proc/self/status"):
        assert {"floor", "ours"} <= set(startup["resident_bytes"])
        assert min(startup["resident_bytes"].values()) > 1024 * 1024
    else:
        assert "startup, memory: without /proc, which Linux has" in results["skipped"]


def test_runs_have_the_calls_and_the_requests_that_their_setting_makes(quick):
    _, results, _ = quick
    found = {
        (row["queue_delay_s"], row["shape"], row["entrant"]): (row["calls"], row["sent"])
        for row in results["steps"]
    }
    for delay in (0.0, 0.15):
        # a call for each of five steps and one for the end; or one call
        assert found[delay, "row", "without checkpointing"] == (6, 0)
        assert found[delay, "row", "with checkpointing"] == (1, 5)
        assert found[delay, "row", "buffered_steps=10"] == (1, 1)
        # one that plans them
        assert found[delay, "group", "without checkpointing"] == (7, 0)
        assert found[delay, "group", "with checkpointing"] == (7, 0)
    waited = {
        row["entrant"]: row["wall_s"]
        for row in results["steps"]
        if (row["queue_delay_s"], row["shape"]) == (0.15, "row")
    }
    assert waited["without checkpointing"] >= 6 * 0.15
    assert waited["with checkpointing"] >= 0.15
    check_names(
        {entrant for _, _, entrant in found}, {"official SDK"}, results["skipped"], "steps"
    )


def test_growth_has_a_point_for_each_number_of_steps(quick):
    _, results, _ = quick
    calls = {}
    for row in results["growth"]:
        calls.setdefault(row["curve"], {})[row["steps"]] = row["calls"]
    assert calls == {
        "a row without checkpointing": {3: 4, 6: 7},
        "a row with checkpointing": {3: 1, 6: 1},
        "a row, buffered_steps=10": {3: 1, 6: 1},
        "a group": {3: 5, 6: 8},
    }
    for row in results["growth"]:
        assert row["cpu_s"] > 0 and row["wall_s"] > 0


def test_streams_are_measured(quick):
    _, results, _ = quick
    assert len(results["streams"]["call"]["ratio"]) == 4
    row = results["streams"]["open"]
    assert (row["count"], row["spaces"] >= 5 * 3) == (5, True)
    assert row["late_p50_s"] <= row["late_p99_s"] <= row["late_max_s"]


def test_the_results_are_printed_as_tables(quick):
    printed, results, _ = quick
    for head in ("memos", "import of", "steps", "run", "a call", "open streams"):
        assert re.search(rf"^  {head} ", printed, re.MULTILINE), printed
    for line in results["skipped"]:
        assert f"Skipped: {line}" in printed


def test_the_page_gets_the_tables_and_nothing_else_of_it_changes(quick):
    _, _, folder = quick
    table = re.compile(r"<!-- ([a-z-]+) -->.*?<!-- /\1 -->", re.DOTALL)
    before, after = PAGE.read_text(encoding="utf-8"), (folder / PAGE.name).read_text("utf-8")
    assert table.sub(r"<!-- \1 -->", before) == table.sub(r"<!-- \1 -->", after)
    written = {found[1]: found[0] for found in table.finditer(after)}
    for name in ("calls", "imports", "steps-delayed", "steps-at-once", "growth", "stream-open"):
        assert "QUICK" in written[name]
    assert (folder / "performance" / "results.json").exists()


def test_every_table_of_the_page_was_measured_in_earnest():
    page = PAGE.read_text(encoding="utf-8")
    assert "QUICK" not in page
    assert page.count("*Python 3.") == page.count("<!-- /")
    for chart in re.findall(r"\(performance/(\S+\.svg)\)", page):
        assert (PAGE.parent / "performance" / chart).stat().st_size < 100_000


def test_another_source_tree_is_measured_beside_this_one(tmp_path):
    printed = bench(
        *("--quick", "--only", "startup", "--also", f"before={ROOT}", "--output", str(tmp_path))
    )
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    if results["startup"]["resident_bytes"]:
        assert "before" in results["startup"]["resident_bytes"], printed


def test_what_is_missing_is_said(tmp_path):
    printed = bench("--quick", "--only", "servers", "--output", str(tmp_path), path="/nowhere")
    assert "Skipped: servers: without wrk; on Debian: apt-get install wrk" in printed
    assert "servers" not in json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
