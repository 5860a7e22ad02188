"""Write the results to docs/performance.md, and draw its charts."""

import json

import charts
import report

PAGE = "performance.md"
#: The folder of the charts and of the JSON, beside the page.
FOLDER = "performance"


def draw(results, folder, skips):
    """Draw the charts of what was measured; return their paths."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        skips.add("charts", "without matplotlib")
        return []
    return charts.draw(results, folder)


def write(docs, results, tables, drawn):
    """Write what was measured in the place of what the page had.

    :param docs: the folder of the page
    :raises ValueError: the page has no place for it
    """
    path = docs / PAGE
    page = path.read_text(encoding="utf-8")
    for table in tables:
        content = f"{table.markdown()}\n\n{caption(results)}"
        page = report.replace(page, table.name, content)
    path.write_text(page, encoding="utf-8")
    folder = docs / FOLDER
    folder.mkdir(exist_ok=True)
    file = folder / "results.json"
    # what was not measured this time stays
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(dump({**known, **results}), encoding="utf-8")
    for chart in drawn:
        (folder / chart.name).write_bytes(chart.read_bytes())
    print(f"Written to {path} and {folder}.")


def dump(results):
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def caption(results):
    """Return the line below each table."""
    machine = results["machine"]
    line = "Python {python}, {system}, {cpus} CPUs, {date}".format(**machine)
    return f"*{line}{'; QUICK, so no measurement' if results['quick'] else ''}*"
