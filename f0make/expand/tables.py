"""CSV and TSV text -> rows, with every fault at its line. Pure."""

from __future__ import annotations

import io

from f0make.errors import Problem, Where
from f0make.template.values import Row

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""By the file's extension, in any case of letters."""
MAX_REPORTED = 20
"""Faulty rows that are reported one by one."""


def delimiter_of(path: str) -> str | None:
    """What stands between the columns of the table ``path``, or None for an extension that says nothing."""
    dot = path.rfind(".")
    return DELIMITERS.get(path[dot:].lower()) if dot >= 0 else None


def parse_table(text: str, path: str, delimiter: str) -> tuple[list[Row], list[Problem]]:
    """The rows below the header, and what is wrong: places are lines of ``path``."""
    import csv

    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    lines: dict[str, int] = {}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            line = reader.line_num
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                problems += _header_problems(header, path, line)
                continue
            fault = _fault(cells, header, lines)
            if fault:
                problems.append(Problem(fault, Where(path, line)))
                continue
            lines[cells[0]] = line
            rows.append(Row(zip(header, cells, strict=True)))
    except csv.Error as error:
        problems.append(Problem(f"not a table: {error}", Where(path, max(reader.line_num, 1))))
    if header is None and not problems:
        problems.append(
            Problem("the table is empty", Where(path, 1), hint="its first line names the columns")
        )
    if len(problems) > MAX_REPORTED:
        more = Problem(f"… and {len(problems) - MAX_REPORTED} more faulty rows", Where(path, 0))
        problems = [*problems[:MAX_REPORTED], more]
    return rows, problems


def _header_problems(header: list[str], path: str, line: int) -> list[Problem]:
    problems = []
    for number, name in enumerate(header, 1):
        if not name:
            problems.append(Problem(f"column {number} has no name", Where(path, line)))
        elif name in header[: number - 1]:
            problems.append(Problem(f"two columns are called {name!r}", Where(path, line)))
    return problems


def _fault(cells: list[str], header: list[str], lines: dict[str, int]) -> str:
    if len(cells) != len(header):
        return f"this row has {len(cells)} cells, the header names {len(header)} columns"
    if not cells[0].strip():
        return f"the first column ({header[0]!r}) names the row and is empty"
    if cells[0] in lines:
        return f"{cells[0]!r} is already in line {lines[cells[0]]}; the first column ({header[0]!r}) must be unique"
    return ""
