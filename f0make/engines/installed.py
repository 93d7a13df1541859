"""Whether the engine's own library is there: asked before anything runs, without importing it."""

from __future__ import annotations

from importlib.util import find_spec

from f0make.errors import UsageError

_NEEDS = {"dask": ("dask", "distributed"), "ray": ("ray",)}
"""Engine -> the modules it is made of; also the name of f0make's extra."""


def check(engine: str) -> None:
    """Raises UsageError, with the pip line, when ``engine`` is not installed."""
    for module in _NEEDS[engine]:
        if not _there(module):
            raise UsageError(
                f"--backend {engine}: the module {module!r} is not installed (pip install 'f0make[{engine}]')"
            )


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
