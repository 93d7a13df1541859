"""The environment of an instance while it is rendered: a variable may use others, whatever their order."""

from __future__ import annotations

from f0make.template.render_text import Scope, Template, TemplateError
from f0make.template.template_values import Broken
from f0make.template.value_access import Missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 60
"""Variables of which each is made from the next: as many as Python's stack has room for below any caller."""


class Environment(dict[str, str]):
    """Rendered variables; one that is asked for early is rendered then."""

    def __init__(self, declared: dict[str, Any], scope: Scope) -> None:
        super().__init__({name: value for name, value in declared.items() if not isinstance(value, Template)})
        self._left = {name: value for name, value in declared.items() if isinstance(value, Template)}
        self._under_way: set[str] = set()
        self._failed: set[str] = set()
        """Those that came to nothing: it was said why, and each is tried once, however many are made from it."""
        self._scope = scope

    def __missing__(self, name: str) -> str:
        """Render ``name``.

        Raises KeyError for no variable, Missing for a circle, Broken where it has failed before, and what
        rendering raises.
        """
        template = self._left[name]
        if name in self._failed:
            raise Broken
        if name in self._under_way:
            raise Missing(f"env.{name} is made from itself")
        if len(self._under_way) == MAX_DEPTH:
            raise Missing(f"env.{name} ends a chain of more than {MAX_DEPTH} variables made from each other")
        self._under_way.add(name)
        try:
            text = template.render(self._scope)
        except (TemplateError, Broken):
            self._failed.add(name)
            raise
        finally:
            self._under_way.discard(name)
        self[name] = text
        return text
