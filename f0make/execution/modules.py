"""Importing the modules of python steps: the workspace first, from its sources as they are now.

Byte code is neither read nor written for modules of the workspace: a `.pyc` is matched by whole seconds and
size, so that it may be older than the source that the key was made from, and nothing but declared outputs
is written there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from types import CodeType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MOST_KEPT = 64
_compiled: dict[tuple[str, bytes], CodeType] = {}
"""(path, source) -> what it compiles to, of the modules imported last."""


class _FreshSource(SourceFileLoader):
    """Reads the source every time: without stats of the source the import system trusts no byte code."""

    def path_stats(self, path: Any) -> NoReturn:
        """Raises OSError, always."""
        raise OSError(f"no byte code for {path}")

    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any, *args: Any, **options: Any
    ) -> CodeType:
        """The code of the source ``data``; one that was compiled before is not compiled again."""
        if not isinstance(data, bytes) or not isinstance(path, str):
            return super().source_to_code(data, path, *args, **options)
        code = _compiled.pop((path, data), None)
        if code is None:
            code = super().source_to_code(data, path, *args, **options)
            if len(_compiled) >= _MOST_KEPT:
                del _compiled[next(iter(_compiled))]
        _compiled[path, data] = code
        return code


def _hook(workspace: str) -> Callable[[str], Any]:
    def finder(path: str) -> FileFinder:
        if not belongs(path, workspace):
            raise ImportError(f"{path} lies outside of the workspace")
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FreshSource, SOURCE_SUFFIXES))

    return finder


def belongs(path: str | None, workspace: str) -> bool:
    """Whether ``path`` is found through the workspace, not through a directory of `sys.path` inside of it."""
    if path is None or not (path == workspace or path.startswith(workspace.rstrip("/") + "/")):
        return False
    return not any(
        len(entry) > len(workspace) and (path == entry or path.startswith(entry.rstrip("/") + "/"))
        for entry in sys.path
    )


@contextmanager
def workspace_first(workspace: str) -> Iterator[None]:
    """Import from ``workspace`` before anything else; afterwards forget its modules, so that steps share none."""
    saved = list(sys.path)
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    rest = [entry for entry in saved if entry not in ("", workspace)]
    hook = _hook(workspace)
    sys.path[:] = [workspace, *rest, *([] if home in rest or home == workspace else [home])]
    sys.path_hooks.insert(0, hook)
    _drop_finders(workspace)
    invalidate_caches()
    before = dict(sys.modules)
    try:
        yield
    finally:
        _forget(workspace, before)
        sys.path[:] = saved
        if hook in sys.path_hooks:
            sys.path_hooks.remove(hook)
        _drop_finders(workspace)


def _forget(workspace: str, before: dict[str, ModuleType]) -> None:
    """Of the modules that were not there ``before``, drop those of the workspace, and what lies below one.

    Extension modules stay: most of them cannot be loaded twice into one process.
    """
    new = [(name, module) for name, module in sys.modules.items() if before.get(name) is not module]
    gone = set()
    for name, module in new:
        spec = getattr(module, "__spec__", None)
        if spec is not None and (isinstance(spec.loader, _FreshSource) or _spans(spec, workspace)):
            gone.add(name)
    for name, module in new:
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if not gone.isdisjoint(_above(name)) and not isinstance(loader, ExtensionFileLoader):
            del sys.modules[name]


def _above(name: str) -> Iterator[str]:
    """``a.b.c``, ``a.b``, ``a``."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _spans(spec: Any, workspace: str) -> bool:
    """Whether a namespace package has a part in the workspace."""
    if spec.origin is not None or spec.submodule_search_locations is None:
        return False
    return any(belongs(path, workspace) for path in spec.submodule_search_locations)


def _drop_finders(workspace: str) -> None:
    prefix = workspace.rstrip("/") + "/"
    for path in list(sys.path_importer_cache):
        if path == workspace or path.startswith(prefix):
            del sys.path_importer_cache[path]
