"""Importing strictyaml without the parser of dates that it brings along: half of the time, for what no recipe has."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DATES = "dateutil.parser"


def import_strictyaml() -> None:
    """Put the module `strictyaml` in its place among the modules."""
    if "strictyaml" in sys.modules or _DATES in sys.modules:
        return
    stand_in = ModuleType(_DATES)
    stand_in.__getattr__ = _of_the_real_one  # type: ignore[method-assign]
    import_module("dateutil").parser = stand_in  # type: ignore[attr-defined]
    sys.modules[_DATES] = stand_in
    try:
        import_module("strictyaml")
    finally:
        # Any other import gets the real one, which then takes this one's place.
        del sys.modules[_DATES]


def _of_the_real_one(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(import_module(_DATES), name)
