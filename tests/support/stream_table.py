"""The table of servers in docs/streaming.md: compare it with what is observed, or
write it."""

import pathlib

PATH = pathlib.Path(__file__).resolve().parents[2] / "docs" / "streaming.md"
BEGIN, END = "<!-- servers -->\n", "<!-- /servers -->\n"

#: The columns between the server's name and the remarks.
COLUMNS = {
    "spaces": "spaces",
    "framing": "framing",
    "noticed": "disconnect is noticed",
    "killed": "worker killed",
    "shutdown": "shutdown",
    "allow": '`"allow"`',
}

#: What is not as elsewhere, in the order of the table.
ONE_AT_A_TIME = "one stream at a time in a process"
COMPUTING = "no space while a function computes"
CHUNKED_10 = "chunked to HTTP/1.0 clients, too"
NO_CHUNKED_CALLS = "a call with a chunked body gets 411"
TIMEOUT = "`--timeout`, 30 s by default, kills the worker"
STANDS_STILL = "the function is suspended when its client has disconnected"
REMARKS = (ONE_AT_A_TIME, COMPUTING, CHUNKED_10, NO_CHUNKED_CALLS, TIMEOUT, STANDS_STILL)

WRITE = "; to write that there: nox -s servers -- tests/servers/streaming --write-docs"


class Table:
    """What docs/streaming.md says of the servers.

    :param names: of the rows
    :param write: whether what differs is written there
    """

    def __init__(self, names, write):
        self.names = names
        self.write = write
        text = PATH.read_text(encoding="utf-8")
        assert BEGIN in text and END in text, f"{PATH} has not the two markers"
        found = text.split(BEGIN)[1].split(END)[0]
        self._found = found
        self.cells = {}
        for line in found.splitlines()[2:]:
            name, *cells, remarks = [cell.strip() for cell in line.strip("|").split("|")]
            self.cells[name] = dict(zip(COLUMNS, cells), remarks=remarks)

    def says(self, name, column):
        return self.cells.get(name, {}).get(column, "")

    def observed(self, name, column, value):
        said = self.says(name, column)
        if said == value:
            return
        assert self.write, (
            f"docs/streaming.md, {name}, {COLUMNS[column]}: it says {said!r}, observed was "
            f"{value!r}" + WRITE
        )
        self.cells.setdefault(name, {})[column] = value

    def remark(self, name, remark, holds):
        """Check that the table has a remark if and only if it holds."""
        said = self.remarks(name)
        if (remark in said) == holds:
            return
        assert self.write, (
            "docs/streaming.md, {}, remarks: {!r} should {}be there".format(
                name, remark, "" if holds else "not "
            )
            + WRITE
        )
        said = [found for found in REMARKS if (holds if found == remark else found in said)]
        self.cells.setdefault(name, {})["remarks"] = "; ".join(said)

    def remarks(self, name):
        return [remark for remark in self.says(name, "remarks").split("; ") if remark]

    def check(self):
        """Check that the table has the form in which it would be written."""
        assert self.write or self._found == self._text(), (
            "docs/streaming.md: the table has other rows, columns or remarks than the tests"
            + WRITE
        )

    def save(self):
        if self.write:
            # the text around the table may have changed meanwhile
            before, rest = PATH.read_text(encoding="utf-8").split(BEGIN)
            text = before + BEGIN + self._text() + END + rest.split(END)[1]
            PATH.write_text(text, encoding="utf-8")

    def _text(self):
        rows = [["server", *COLUMNS.values(), "remarks"]]
        rows.append(["---"] * len(rows[0]))
        for name in self.names:
            remarks = "; ".join(found for found in REMARKS if found in self.remarks(name))
            rows.append([name, *(self.says(name, column) for column in COLUMNS), remarks])
        return "".join(
            (
                "|{}|\n".format("|".join(row))
                if row[0] == "---"
                else "| {} |\n".format(" | ".join(row))
            )
            for row in rows
        )
