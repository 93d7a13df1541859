"""CSV and TSV text -> rows, with every fault at its line. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from f0make.allowance import scaled
from f0make.errors import Problem, Where
from f0make.template.template_values import Row

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""By the file's extension, in any case of letters."""
MAX_ROWS = scaled(1_000_000)
MAX_COLUMNS = 10_000
MAX_CELLS = scaled(3_000_000)
"""More would only fill the memory: a few hundred bytes for each."""
MAX_REPORTED = 20
"""Faulty rows that are reported one by one."""


def delimiter_of(path: str) -> str | None:
    """What stands between the columns of the table ``path``, or None for an extension that says nothing."""
    dot = path.rfind(".")
    return DELIMITERS.get(path[dot:].lower()) if dot >= 0 else None


def parse_table(
    text: str, path: str, delimiter: str, key: Sequence[str] = (), variables: Sequence[str] = ()
) -> tuple[list[Row], list[Problem]]:
    """The rows below the header, and what is wrong: places are lines of ``path``.

    ``key`` names the columns that a row goes by, by default the first; with several ``variables`` the columns that are called so.
    Lines that begin with `#`, empty rows, and the empty columns that a spreadsheet leaves at the end count for nothing, nor do blanks around a
    cell without quotes.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    names: list[str] = []
    lines: dict[tuple[str, ...], int] = {}
    cells_left = MAX_CELLS
    reader = _Reader(text, delimiter)
    try:
        for cells in reader:
            line = reader.line
            if header is None:
                header = cells
                problems += _header_problems(header, path, line, delimiter)
                names = [*(variables or key or header[:1])]
                problems += [_no_column(name, header, path, line) for name in names if name not in header]
                if problems:
                    break
                continue
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            cells_left -= len(cells)
            if cells_left < 0 or len(rows) == MAX_ROWS:
                most = f"{MAX_ROWS:,} rows" if cells_left >= 0 else f"{MAX_CELLS:,} cells"
                problems.append(Problem(f"a table may have {most} at most", Where(path, line)))
                break
            if len(cells) != len(header):
                text = f"this row has {len(cells)} cells, the header names {len(header)} columns"
                problems.append(Problem(text, Where(path, line)))
                continue
            row = Row(zip(header, cells, strict=True))
            fault = _fault(row, names, lines, line)
            if fault:
                problems.append(Problem(fault, Where(path, line)))
                continue
            if key:
                row.name = ":".join(row[name] for name in names)
            rows.append(row)
    except csv_error() as error:
        problems.append(Problem(f"not a table: {error}", Where(path, max(reader.line, 1))))
    if header is None and not problems:
        problems.append(
            Problem("the table is empty", Where(path, 1), hint="its first line names the columns")
        )
    if len(problems) > MAX_REPORTED:
        more = Problem(f"… and {len(problems) - MAX_REPORTED} more faulty rows", Where(path, 0))
        problems = [*problems[:MAX_REPORTED], more]
    return rows, problems


class _Reader:
    """Records of a table that hold something; ``line`` is the last one of the record."""

    def __init__(self, text: str, delimiter: str) -> None:
        import csv

        self.line = 0
        self._lines = io.StringIO(text, newline=None)
        self._raw: list[str] = []
        """Lines of the record that is being read."""
        self._records = csv.reader(
            self._physical(), delimiter=delimiter, strict=True, skipinitialspace=delimiter != " "
        )

    def _physical(self) -> Iterator[str]:
        for line in self._lines:
            self.line += 1
            if self._raw or not line.startswith("#"):
                self._raw.append(line)
                yield line

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            self._raw.clear()
            cells = next(self._records, None)
            if cells is None:
                return
            raw = self._raw[0] if len(self._raw) == 1 else "".join(self._raw)
            if '"' in raw:
                cells = [cell if _quoted(cell) in raw else cell.strip() for cell in cells]
            else:
                cells = [cell.strip() for cell in cells]
            if any(cells):
                yield cells


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def csv_error() -> type[Exception]:
    """What the standard library's reader raises."""
    import csv

    return csv.Error


def _no_column(name: str, header: list[str], path: str, line: int) -> Problem:
    from f0make.suggest import did_you_mean

    return Problem(f"there is no column {name!r}", Where(path, line), hint=did_you_mean(name, header))


def _header_problems(header: list[str], path: str, line: int, delimiter: str) -> list[Problem]:
    """What is wrong with the names of the columns; empty ones at the end are taken off."""
    while header and not header[-1]:
        header.pop()
    if len(header) > MAX_COLUMNS:
        return [Problem(f"a table may have {MAX_COLUMNS:,} columns at most", Where(path, line))]
    problems = []
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        if not name:
            problems.append(Problem(f"column {number} has no name", Where(path, line)))
        elif name in seen:
            problems.append(Problem(f"two columns are called {name!r}", Where(path, line)))
        elif any(sign in name for sign in _SIGNS if sign != delimiter) and len(header) == 1:
            other = next(sign for sign in _SIGNS if sign != delimiter and sign in name)
            text = f"the only column is called {name!r}: columns are separated by {_SIGNS[delimiter]} here, not by {_SIGNS[other]}"
            problems.append(Problem(text, Where(path, line)))
        seen.add(name)
    return problems


_SIGNS = {";": "semicolons", ",": "commas", "\t": "tabs"}


def _fault(row: Row, names: list[str], lines: dict[tuple[str, ...], int], line: int) -> str:
    """What is wrong with how the row is called; one that is right is taken into ``lines``."""
    called = tuple(row[name] for name in names)
    for name, cell in zip(names, called, strict=True):
        if not cell.strip():
            return f"the column {name!r} names the row and is empty"
    if called in lines:
        shown = ", ".join(map(repr, called))
        which = ", ".join(map(repr, names))
        return f"{shown} is already in line {lines[called]}; what names a row ({which}) must be unique" + (
            "" if len(names) > 1 else ": `key:` may list several columns"
        )
    lines[called] = line
    return ""
