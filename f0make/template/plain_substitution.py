"""Plain substitution without Jinja2: `book`, `config.a.b`, `inputs[0]`, with `| raw` or `| quote` at most."""

from __future__ import annotations

import re
from collections.abc import Mapping

from f0make.lazy_re import later
from f0make.template.quote import quoted
from f0make.template.template_values import Raw, to_text
from f0make.template.value_access import Missing, attribute, item, unknown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYWORDS = frozenset(
    {
        "and",
        "else",
        "false",
        "False",
        "if",
        "in",
        "is",
        "none",
        "None",
        "not",
        "or",
        "true",
        "True",
        "elif",
        "for",
        "recursive",
    }
)
"""Words that mean something else at the beginning of a Jinja2 expression."""

_STEP = r"""\s*\.\s*[A-Za-z_]\w*|\s*\[\s*(?:-?(?:0|[1-9]\d{0,8})|'[^'\\\r]*'|"[^"\\\r]*")\s*\]"""
NAME = rf"[A-Za-z_]\w*(?:{_STEP})*"
"""A pattern for a name and a path from it, as Jinja2 reads them; without groups, for `re.ASCII`."""

_SIMPLE = later(rf"\s*([A-Za-z_]\w*)((?:{_STEP})*)\s*(?:\|\s*(raw|quote)\s*)?", re.ASCII)
_EACH = later(r"""\.\s*([A-Za-z_]\w*)|\[\s*(?:(-?\d+)|'([^']*)'|"([^"]*)")\s*\]""", re.ASCII)


class Simple:
    """A name, the way from its value to the one that is meant, and a filter or none."""

    __slots__ = ("filter", "path", "root")

    def __init__(self, root: str, path: tuple[str | int, ...], filter: str | None) -> None:
        self.root = root
        self.path = path
        self.filter = filter

    def __call__(self, scope: Mapping[str, Any]) -> Any:
        """The value in ``scope``. Raises Missing; NotText where `raw` or `quote` meet a map."""
        try:
            value = scope[self.root]
        except KeyError:
            raise unknown_name(self.root, scope) from None
        for key in self.path:
            try:
                value = attribute(value, key) if type(key) is str else item(value, key)
            except Missing as missing:
                raise Missing(f"{missing.message} in `{self.spelled()}`", missing.hint) from None
        if self.filter is None:
            return value
        return Raw(to_text(value)) if self.filter == "raw" else quoted(value)

    def spelled(self) -> str:
        """The expression without its filter, for messages."""
        return self.root + "".join(
            f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in self.path
        )


def compile_simple(source: str) -> Simple | None:
    """``source`` as plain substitution, or None where it needs Jinja2."""
    match = _SIMPLE.fullmatch(source)
    if match is None or match[1] in _KEYWORDS:
        return None
    path: list[str | int] = []
    for found in _EACH.finditer(match[2]):
        name, index, single, double = found.groups()
        path.append(int(index) if index is not None else name or single or double or "")
    return Simple(match[1], tuple(path), match[3])
