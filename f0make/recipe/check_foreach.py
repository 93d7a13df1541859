"""What the schema cannot say about `foreach` and `combine`."""

from __future__ import annotations

import re

from f0make.allowance import scaled
from f0make.lazy_re import later
from f0make.model import TEMPLATE_OPEN
from f0make.recipe.validate import Checker
from f0make.recipe.value_kinds import is_identifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED = frozenset({"config", "env", "inputs", "outputs", "resources", "step", "attempt", "steps"})
"""What templates call something else."""

KEYWORDS = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"}
)
"""Words of Jinja2's expressions, which cannot be variables."""

MAX_RANGE = scaled(1_000_000)
"""Longer ranges are a mistake: the graph of a million instances does not fit a small machine."""

_RANGE = later(r"(-?[0-9]{1,12}) ?\.\. ?(-?[0-9]{1,12})\Z")


def variable_fault(name: str) -> str | None:
    """Why ``name`` cannot be a variable of `foreach` or `wildcards`, or None."""
    if name in RESERVED:
        return f"{name!r} means something else in templates, so it cannot be a variable"
    if name in KEYWORDS:
        return f"{name!r} is a word of the template language, so it cannot be a variable"
    if not is_identifier(name):
        return f"{name!r} cannot be a variable: letters, digits and `_`, beginning with a letter or `_`"
    return None


def range_of(text: str) -> tuple[int, int]:
    """First and last number of `1..10`.

    Raises:
        ValueError: ``text`` is no range, or an empty or an absurdly long one.
    """
    found = _RANGE.match(text.strip())
    if not found:
        raise ValueError(f"expected a range such as 1..10, found {text!r}")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise ValueError(f"the range {text!r} is empty: its end comes before its start")
    if last - first >= MAX_RANGE:
        raise ValueError(f"the range {text!r} has more than {MAX_RANGE:,} numbers")
    return first, last


def check_foreach(values: dict[str, Any], fields: dict[str, Any], checker: Checker) -> None:
    """Report to ``checker`` what is wrong with a step's `foreach` and `combine`."""
    if "combine" in values and "foreach" not in checker.marks:
        checker.at("combine", "`combine` says how to combine `foreach`, and this step has none")
    seen: set[str] = set()
    lengths: dict[str, int] = {}
    for variables, kind, source, after, key, columns, optional in fields.get("foreach", ()):
        for name in variables:
            fault = variable_fault(name) if name else "a variable's name is missing beside the comma"
            if fault:
                checker.at(key, fault)
            elif name in seen:
                checker.at(key, f"the variable {name!r} is bound twice")
            seen.add(name)
        if kind == "list":
            length = _check_rows(variables, source, key, checker)
        else:
            given = values["foreach"][key.removeprefix("foreach.")]
            length = _check_source(variables, kind, given, key, checker)
        if length is not None:
            lengths[key] = length
        if optional and kind != "glob":
            checker.at(f"{key}.optional", f"only a `glob` can be optional, and this is a {kind}")
        if columns and kind == "table" and len(variables) > 1:
            checker.at(
                f"{key}.key", "several variables name the rows by their own columns, so there is no `key`"
            )
        if after is not None and after == fields["name"]:
            checker.at(f"{key}.after", "a step cannot wait for itself")
    if values.get("combine") == "zip" and len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key.removeprefix('foreach.')} has {n}" for key, n in lengths.items())
        checker.at("combine", f"`zip` needs lists of one length, but {shown}")


def _check_rows(variables: tuple[str, ...], rows: list[Any], key: str, checker: Checker) -> int | None:
    """Check a list of values; its length, where that is known before templates are evaluated."""
    many = len(variables)
    seen: set[Any] = set()
    static = True
    for n, row in enumerate(rows):
        path = f"{key}[{n}]"
        if row is None or (isinstance(row, list) and None in row):
            continue  # reported by the schema
        if isinstance(row, list):
            if many == 1:
                checker.at(
                    path,
                    "expected text, found a list",
                    'several variables are bound with a key such as "a, b"',
                )
                continue
            if len(row) != many:
                checker.at(path, f"expected {many} values for {', '.join(variables)}, found {len(row)}")
                continue
            row = tuple(row)
        elif TEMPLATE_OPEN in row:
            static = False
            continue
        if any(TEMPLATE_OPEN in part for part in row) if isinstance(row, tuple) else False:
            continue
        if row in seen:
            shown = ", ".join(row) if isinstance(row, tuple) else row
            checker.at(path, f"{shown!r} stands in the list twice, so two instances would have one name")
        seen.add(row)
    return len(rows) if static else None


def _check_source(
    variables: tuple[str, ...], kind: str, given: dict[str, Any], key: str, checker: Checker
) -> int | None:
    kinds = [k for k in ("glob", "table", "range") if f"{key}.{k}" in checker.marks]
    if not kinds:
        if not checker.blamed(key):
            checker.at(key, "expected a list, or one of `glob`, `table`, `range`")
        return None
    if len(kinds) > 1:
        checker.at(f"{key}.{kinds[1]}", f"`{kinds[0]}` and `{kinds[1]}` exclude each other")
        return None
    if "after" in given and kind != "glob":
        checker.at(f"{key}.after", "`after` goes with `glob` only")
    if "key" in given and kind != "table":
        checker.at(f"{key}.key", "`key` goes with `table` only")
    if kind not in given:
        return None
    text = given[kind]
    if kind == "glob":
        for name in variables:
            if is_identifier(name) and not re.search(r"\$\{\{[^}]*\b" + re.escape(name) + r"\b", text):
                checker.at(
                    f"{key}.glob", f"the glob holds no ${{{{ {name} }}}}, so it gives {name!r} no value"
                )
        return None
    if len(variables) > 1 and kind != "table":
        checker.at(key, f"a {kind} binds one variable, not {len(variables)}")
        return None
    if kind == "range" and TEMPLATE_OPEN not in text:
        try:
            first, last = range_of(text)
        except ValueError as error:
            checker.at(f"{key}.range", str(error))
            return None
        return last - first + 1
    return None
