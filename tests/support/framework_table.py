"""The tables of docs/frameworks/index.md: compare them with the list of cells, or write
them after all cells of an interpreter have run."""

import pathlib
from importlib import metadata

import frameworks
import pytest

PATH = pathlib.Path(__file__).resolve().parents[2] / "docs" / "frameworks" / "index.md"
BEGIN, END = "<!-- {} -->\n", "<!-- /{} -->\n"
NONE = "does not run"
WRITE = "; to write it: nox -s frameworks -- --write-docs"


class Tables:
    """What the page says.

    :ivar ran: (framework, column) to the versions of Python on which the cell has run
    :ivar tested: framework to (version of Python to version of the framework)
    """

    def __init__(self):
        self.text = PATH.read_text(encoding="utf-8")
        self.ran = {}
        self.tested = {}
        columns, rows = self._read("matrix")
        for name, *found in rows:
            for column, cell in zip(columns[1:], found):
                self.ran[name, column] = _versions(cell.partition(" (")[0].rpartition(": ")[2])
        columns, rows = self._read("versions")
        for name, *found in rows:
            self.tested[name] = {v: cell for v, cell in zip(columns[1:], found) if cell}

    def _read(self, name):
        """Return the columns and the rows of a table."""
        found = self._between(name).splitlines()
        lines = [line for line in found if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return (cells[0], cells[2:]) if cells else ([], [])

    def _between(self, name):
        return self.text.split(BEGIN.format(name))[1].split(END.format(name))[0]

    def observe(self, passed):
        """Replace what is said of this interpreter.

        :param passed: the cells all whose tests have passed
        """
        here = frameworks.HERE
        if here not in frameworks.VERSIONS:
            return
        names = {(cell.framework.name, cell.column) for cell in passed}
        for key in {*self.ran, *names}:
            others = [v for v in self.ran.get(key, ()) if v != here]
            self.ran[key] = others + [here] * (key in names)
        for framework in frameworks.FRAMEWORKS:
            versions = self.tested.setdefault(framework.name, {})
            versions.pop(here, None)
            if framework.distribution and framework.why_not("", here) is None:
                versions[here] = _version(framework.distribution)

    def write(self):
        for name, made in (("matrix", self.matrix()), ("versions", self.versions())):
            before, rest = self.text.split(BEGIN.format(name))
            after = rest.split(END.format(name))[1]
            self.text = before + BEGIN.format(name) + made + END.format(name) + after
        PATH.write_text(self.text, encoding="utf-8")

    def check(self):
        """Assert that every cell of the list is on the page, and nothing else."""
        expected = {}
        for framework in frameworks.FRAMEWORKS:
            for column in frameworks.COLUMNS:
                reasons = framework.reasons(column)
                versions = [v for v in frameworks.VERSIONS if v not in reasons]
                expected[framework.name, column] = versions
        assert self.ran == expected, "docs/frameworks/index.md has other cells" + WRITE
        for name in ("matrix", "versions"):
            assert self._between(name) == getattr(self, name)(), (
                f"docs/frameworks/index.md: the table {name!r} has another form" + WRITE
            )

    def matrix(self):
        notes = {}
        rows = [["framework", *frameworks.COLUMNS]]
        for framework in frameworks.FRAMEWORKS:
            row = [framework.name]
            for column in frameworks.COLUMNS:
                row.append(self._cell(framework, column, notes))
            rows.append(row)
        listed = "".join(f"* ({letter}) {reason}.\n" for reason, letter in notes.items())
        return _table(rows) + "\n" + listed

    def _cell(self, framework, column, notes):
        reasons = framework.reasons(column)
        marks = []
        for reason in reasons.values():
            marks.append(notes.setdefault(reason, chr(ord("a") + len(notes))))
        text = _ranges(self.ran.get((framework.name, column), ())) or NONE
        if column == frameworks.OWN and framework.own:
            text = f"{framework.own.name}: {text}"
        return " ".join([text, *(f"({mark})" for mark in dict.fromkeys(marks))])

    def versions(self):
        rows = [["framework", *frameworks.VERSIONS]]
        for framework in frameworks.FRAMEWORKS:
            if framework.distribution:
                found = self.tested.get(framework.name, {})
                rows.append([framework.name, *(found.get(v, "") for v in frameworks.VERSIONS)])
        return _table(rows)


def _version(distribution):
    """Return the installed version, by the name on the page of the distribution.

    ``metadata.version`` of Python 3.9 and older does not find ``web.py``.
    """
    for found in metadata.distributions():
        # newer ones are called web-py
        if found.metadata["Name"].lower().replace("-", ".") == distribution:
            return found.version
    raise AssertionError(f"{distribution} is not installed")


def _table(rows):
    head, *body = rows
    lines = ["| {} |".format(" | ".join(row)) for row in [head, *body]]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"


def _ranges(versions):
    """Return versions as text: ``3.8–3.10, 3.12``."""
    parts = []
    for version in frameworks.VERSIONS:
        if version not in versions:
            parts.append([])
        elif not parts:
            parts.append([version])
        else:
            parts[-1].append(version)
    return ", ".join(
        part[0] if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts if part
    )


def _versions(text):
    """Return the versions in such a text."""
    found = []
    for part in text.split(", "):
        first, _, last = part.partition("–")
        if first in frameworks.VERSIONS:
            begin = frameworks.VERSIONS.index(first)
            end = frameworks.VERSIONS.index(last or first)
            found.extend(frameworks.VERSIONS[begin : end + 1])
    return found


class Observer:
    """Sees which cells pass, in whatever process they run."""

    def __init__(self, config):
        self._config = config
        self._seen = set()
        self._failed = set()

    def pytest_runtest_logreport(self, report):
        for name, value in report.user_properties:
            if name == "cell":
                self._seen.add(value)
                if report.failed:
                    self._failed.add(value)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if not self._config.getoption("--write-docs"):
            return
        passed = [c for c in frameworks.cells() if c.id in self._seen - self._failed]
        tables = Tables()
        tables.observe(passed)
        tables.write()
