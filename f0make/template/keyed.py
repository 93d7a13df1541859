"""Texts as they stand in a key: `resources.NAME` as itself, so that another number of threads re-runs nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from f0make.lazy_re import later
from f0make.template.plain_substitution import NAME, compile_simple
from f0make.template.render_text import Piece, Scope, Template
from f0make.template.template_values import NotText, to_text
from f0make.template.value_access import EvaluationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REFERENCE = later(rf"(?<![\w.'\"]){NAME}", re.ASCII)


def uses_resources(template: Template, unkeyed: frozenset[str]) -> bool:
    """Whether `resources`, or a variable of `env` among ``unkeyed``, is in an expression of ``template``."""
    return any(_is_symbolic(piece, unkeyed) for piece in template.pieces())


def _is_symbolic(piece: Piece, unkeyed: frozenset[str]) -> bool:
    if "resources" in piece.names:
        return True
    return "env" in piece.names and any(re.search(rf"\b{name}\b", piece.source) for name in unkeyed)


def key_text(
    template: Template, writers: Sequence[Callable[[Any], str]], scope: Scope, unkeyed: frozenset[str]
) -> str:
    """``template`` as it stands in the key: expressions with `resources` as their own text.

    What else such an expression uses follows with its value. ``writers``: how each value is written. Raises as
    `Template.render`.
    """
    out: list[str] = []
    number = 0
    for part in template.parts:
        if isinstance(part, str):
            out.append(part)
            continue
        if _is_symbolic(part, unkeyed):
            out.append(f"${{{{ {part.source.strip()} }}}}{_used(part, scope, unkeyed)}")
        else:
            out.append(template.convert(part, scope, writers[number]))
        number += 1
    return "".join(out)


def _used(piece: Piece, scope: Scope, unkeyed: frozenset[str]) -> str:
    """The values that an expression uses beside resources, as `<name=value>`."""
    found: dict[str, str] = {}
    for match in _REFERENCE.finditer(piece.source):
        simple = compile_simple(match[0])
        if simple is None or simple.root == "resources" or simple.root not in scope:
            continue
        if simple.root == "env" and simple.path and simple.path[0] in unkeyed:
            continue
        # What ends the path may be a method: `config.path.split`.
        for end in range(len(simple.path), -1, -1):
            simple.path = simple.path[:end]
            try:
                found[simple.spelled()] = _shown(simple(scope))
                break
            except (EvaluationError, NotText):
                continue
    return "".join(f"<{name}={value}>" for name, value in sorted(found.items()))


def _shown(value: Any) -> str:
    """``value`` as text, maps item by item. Raises NotText."""
    if isinstance(value, dict):
        return ",".join(f"{name}:{_shown(one)}" for name, one in sorted(value.items()))
    return to_text(value)
