"""The environment of an instance while it is rendered: a variable may use others, whatever their order."""

from __future__ import annotations

from typing import Any

from f0make.template.access import Missing
from f0make.template.render import Scope, Template


class Environment(dict[str, str]):
    """Rendered variables; one that is asked for early is rendered then."""

    def __init__(self, declared: dict[str, Any], scope: Scope) -> None:
        super().__init__({name: value for name, value in declared.items() if not isinstance(value, Template)})
        self._left = {name: value for name, value in declared.items() if isinstance(value, Template)}
        self._under_way: set[str] = set()
        self._scope = scope

    def __missing__(self, name: str) -> str:
        """Render ``name``. Raises KeyError for no variable, Missing for a circle, and what rendering raises."""
        template = self._left[name]
        if name in self._under_way:
            raise Missing(f"env.{name} is made from itself")
        self._under_way.add(name)
        try:
            text = template.render(self._scope)
        finally:
            self._under_way.discard(name)
        self[name] = text
        return text
