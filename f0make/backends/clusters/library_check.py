"""Whether the engine's own library is there: asked before anything runs, without importing it."""

from __future__ import annotations

from importlib.util import find_spec

from f0make.errors import UsageError

_NEEDS = {"dask": ("dask", "distributed"), "ray": ("ray",)}
"""Engine -> the modules it is made of; also the name of f0make's extra."""
RAY_TOKENS = (2, 52)
"""The first version of Ray with token authentication."""


def check(engine: str) -> None:
    """Raises UsageError, with the pip line, when ``engine`` is not installed."""
    for module in _NEEDS[engine]:
        if not _there(module):
            raise UsageError(
                f"--backend {engine}: the module {module!r} is not installed (pip install 'f0make[{engine}]')"
            )


def check_guarded(engine: str) -> None:
    """Raises UsageError when a cluster of ``engine`` started here could not be closed to other users."""
    if engine != "ray":
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("ray")
    except PackageNotFoundError:
        return  # A copy that nobody installed: Ray itself will say what it cannot do.
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdecimal())
    if numbers < RAY_TOKENS:
        raise UsageError(
            f"--backend ray: Ray {found} cannot keep other users of this machine out of a cluster that is started "
            f"here; {'.'.join(map(str, RAY_TOKENS))} can (pip install -U 'f0make[ray]')"
        )


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
