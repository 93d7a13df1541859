"""Finding the source file of a dotted module name, by the rules of Python's own path finder.

The rules (importlib's ``FileFinder``): in each entry of the search path, a directory ``name/`` with an
``__init__`` is a regular package and wins; else a file ``name.<suffix>`` is the module and wins; else a
directory ``name/`` is remembered as one portion of a namespace package, which exists only when no entry has
anything better. A submodule is looked for in its package's directories only. Nothing is imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

SOURCE_SUFFIX = ".py"
SCRIPTLETS = "scriptlets"
"""The package of which one part comes with f0make, whatever else an interpreter finds."""
SHIPPED = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The directory that f0make and its ``scriptlets`` were installed in."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a module's code lies."""

    name: str
    """Dotted name."""
    path: str
    """The file; for a package its ``__init__``."""
    root: str
    """The entry of the search path that the whole dotted name was found under."""
    package: bool
    """True when ``path`` is a package's ``__init__``."""

    @property
    def readable(self) -> bool:
        """False for compiled modules, of which there is no source text."""
        return self.path.endswith(SOURCE_SUFFIX)


@dataclass(frozen=True, slots=True)
class Located:
    """What a dotted name stands for: a source, a namespace package (``source`` is None), or nothing."""

    source: Source | None
    portions: tuple[tuple[str, str], ...]
    """(root, directory) in which submodules are looked for; empty for a plain module."""


class Finder:
    """Looks modules up in ``roots`` (directories, in order) and remembers the answers.

    ``Finder`` sees the disk as it was when a name was first asked for: make a new one for a new look.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = [os.path.abspath(root) for root in roots]
        self._located: dict[str, Located | None] = {}
        self._suffixes = module_suffixes()

    def locate(self, name: str) -> Located | None:
        """What ``name`` stands for, or None when there is no such module."""
        if name not in self._located:
            self._located[name] = None
            self._located[name] = self._locate(name)
        return self._located[name]

    def find(self, name: str) -> Source | None:
        """The source of ``name``; None for namespace packages and unknown names."""
        located = self.locate(name)
        return located.source if located else None

    def absent(self, name: str) -> list[str]:
        """Paths that would change what ``name`` stands for if they appeared, in the order of the search."""
        parent, _, tail = name.rpartition(".")
        places = self.roots
        if parent:
            package = self.locate(parent)
            places = [directory for _, directory in package.portions] if package else []
        source = self.find(name)
        result = []
        for place in places:
            base = os.path.join(place, tail)
            if source and source.path.startswith(base + os.sep):
                break
            result.append(os.path.join(base, "__init__.py") if os.path.isdir(base) else base)
            if source and os.path.dirname(source.path) == place:
                break
            result.append(base + SOURCE_SUFFIX)
        return result

    def _locate(self, name: str) -> Located | None:
        parent, _, tail = name.rpartition(".")
        if not tail or name.startswith("."):
            return None
        if not parent:
            roots = self.roots if name != SCRIPTLETS or SHIPPED in self.roots else [*self.roots, SHIPPED]
            return self._search(name, tail, [(root, root) for root in roots])
        package = self.locate(parent)
        if package is None or not package.portions:
            return None
        return self._search(name, tail, package.portions)

    def _search(self, name: str, tail: str, places: Sequence[tuple[str, str]]) -> Located | None:
        portions: list[tuple[str, str]] = []
        for root, place in places:
            base = os.path.join(place, tail)
            directory = os.path.isdir(base)
            if directory:
                for suffix in self._suffixes:
                    path = os.path.join(base, "__init__" + suffix)
                    if os.path.isfile(path):
                        return Located(Source(name, path, root, True), ((root, base),))
            for suffix in self._suffixes:
                if os.path.isfile(base + suffix):
                    return Located(Source(name, base + suffix, root, False), ())
            if directory:
                portions.append((root, base))
        return Located(None, tuple(portions)) if portions else None


def find_module(name: str, roots: Sequence[str]) -> Source | None:
    """The source of the module ``name``, searched in ``roots`` in order; None when there is none.

    A namespace package has no source; its modules are found in all its portions.
    """
    return Finder(roots).find(name)


def module_suffixes() -> list[str]:
    """File suffixes of modules, in the order in which Python tries them."""
    import _imp

    return [*_imp.extension_suffixes(), SOURCE_SUFFIX, ".pyc"]


def search_roots(workspace: str, path: Sequence[str] | None = None) -> list[str]:
    """The directories to search: the workspace, the entries of ``path`` (default: ``sys.path``), and last the
    directory that f0make and its ``scriptlets`` were installed in. Without repetitions, existing ones only.
    """
    import sys

    entries = [workspace, *(path if path is not None else sys.path), SHIPPED]
    seen: set[str] = set()
    roots = []
    for entry in entries:
        root = os.path.abspath(entry or workspace)
        real = os.path.realpath(root)
        if real not in seen and os.path.isdir(root):
            seen.add(real)
            roots.append(root)
    return roots
