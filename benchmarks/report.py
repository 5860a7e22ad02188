"""Show results: tables as text and as Markdown, and the parts of a page that are generated."""

import re
import typing


class Table(typing.NamedTuple):
    """A table of results.

    :ivar name: its marker in docs/performance.md
    :ivar title: a line above it
    :ivar heads: the heads of the columns
    :ivar rows: the cells, as text
    """

    name: str
    title: str
    heads: typing.Sequence[str]
    rows: typing.Sequence[typing.Sequence[str]]

    def text(self):
        """Return the table for a terminal."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        shown = [self.title, ""]
        for line in lines:
            # the first column has names, the others numbers
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            shown.append("  " + "  ".join(cells).rstrip())
        return "\n".join(shown)

    def markdown(self):
        """Return the table for a page."""
        rule = ["---", *("---:" for _ in self.heads[1:])]
        return "\n".join(f"| {' | '.join(line)} |" for line in [self.heads, rule, *self.rows])


class Skipped(Exception):
    """Raised if something cannot be measured here; the message says why."""


class Skips(list):
    """What was not measured, with the reasons. Each is printed when it is found."""

    def add(self, part, reason):
        line = f"{part}: {reason}"
        if line not in self:
            self.append(line)
            print(f"Skipped: {line}", flush=True)


def replace(page, name, content):
    """Replace what is between two markers of a page.

    :raises ValueError: the page has no such markers, or several
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page must have {begin} and {end} once each")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{begin}\n{content}\n{end}", page, flags=re.DOTALL)


# -- numbers, with three digits that mean something ----------------------------


def digits(value):
    """Write a number with about three digits: 0.0123, 1.23, 12.3, 1,234."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 or not size else f"{value:.3f}"


def micros(seconds):
    return "-" if seconds is None else digits(seconds * 1e6)


def millis(seconds):
    return "-" if seconds is None else digits(seconds * 1e3)


def mebibytes(count):
    return "-" if count is None else digits(count / 2**20)


def kibibytes(count):
    return "-" if count is None else digits(count / 2**10)


def ratio(one, other):
    """Write one value as a multiple of another one."""
    return "-" if not one or not other else f"{one / other:.2f}"
