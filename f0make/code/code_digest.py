"""The digest of a python step's code: its module and the workspace modules that it imports, transitively."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from f0make import STATE
from f0make.allowance import scaled
from f0make.code.find_module import SOURCE_SUFFIX, Finder, Source
from f0make.code.interpreter import STARTED_WITH
from f0make.code.module_shape import Shape, read_shape
from f0make.errors import Problem, Where
from f0make.files.signature import Signature, clock_ns, is_racy
from f0make.files.signature import of as signature_of
from f0make.regular_file import MODULE, read_regular

NOT_THE_USERS = frozenset({STATE, "site-packages", "dist-packages"})
"""Directories inside a workspace whose modules are installed, not written there."""

Stamp = tuple[Signature, str, bool]
"""Signature of a file as it was read, SHA-256 of its bytes, and whether it may since have changed under that signature."""

RUNNING_PACKAGE = "f0make"
"""Always the f0make that runs, loaded before any step: never a module of the workspace."""


@dataclass(slots=True)
class CodeFacts:
    """What the code of one python step is. Paths in ``modules`` and ``sources`` are relative to the workspace, or
    for a module from elsewhere to the entry of the search path that holds it."""

    digest: str = ""
    """SHA-256 (hex) over module and function name and ``modules``; empty when the module cannot be read."""
    modules: dict[str, str] = field(default_factory=dict)
    """Path -> digest of that module alone, sorted by path."""
    sources: dict[str, bytes] = field(default_factory=dict)
    """Path -> bytes of the file, to show later which line changed."""
    files: list[str] = field(default_factory=list)
    """Absolute paths of the files read."""
    stamps: dict[str, Stamp] = field(default_factory=dict)
    """Absolute path -> what it was when it was read."""
    watched_missing: list[str] = field(default_factory=list)
    """Absolute paths in the workspace that do not exist and would change the answer if they did."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the code; without a place when it is not in the code itself."""

    def changed(self, own: Collection[str] = ()) -> str | None:
        """The path of a file of it that has changed since it was read, or has appeared; None when all is as it was.

        A change there and back counts: the step may have seen what was between. ``own``: absolute paths of the step's
        outputs, which may well lie where a package could (`plots/` beside `plots.py`).
        """
        for path, (signature, digest, racy) in self.stamps.items():
            try:
                if signature_of(os.stat(path)) != signature or (racy and _digest(path) != digest):
                    return path
            except OSError:
                return path
        return next((path for path in self.watched_missing if _appeared(path, own)), None)


def _appeared(path: str, own: Collection[str]) -> bool:
    """Whether something is at ``path`` now that Python would import."""
    if not os.path.isdir(path):
        return path.endswith(SOURCE_SUFFIX) and os.path.lexists(path)
    if os.path.lexists(os.path.join(path, f"__init__{SOURCE_SUFFIX}")):
        return True
    return not any(output == path or output.startswith(path + os.sep) for output in own)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One source file: its bytes and what they say."""

    data: bytes
    digest: str
    shape: Shape | None
    """None for compiled modules and where ``error`` is set."""
    error: SyntaxError | OSError | None = None
    stamp: Stamp | None = None


class CodeBase:
    """Knows the source of python steps, reading each file once; make a new one for a new look at the disk.

    ``roots`` is the search path, workspace first (see ``find.search_roots``). ``cache`` maps the SHA-256 of a
    file's bytes to plain values (marshal- and JSON-safe); it is read and added to, the caller persists it.
    """

    def __init__(self, workspace: str, roots: Sequence[str], cache: MutableMapping[str, Any]) -> None:
        self.workspace = os.path.abspath(workspace)
        self.finder = Finder(roots)
        self._cache = cache
        self._loaded: dict[str, Loaded] = {}
        self._facts: dict[tuple[str, str], CodeFacts] = {}
        self._users: dict[str, bool] = {}

    def facts(self, module: str, function: str) -> CodeFacts:
        """The code behind ``module`` and ``function`` (the name only joins the digest: it is not looked up)."""
        known = self._facts.get((module, function))
        if known is None:
            known = self._facts[module, function] = _Walk(self).facts(module, function)
        return known

    def load(self, path: str) -> Loaded:
        """Read one module file; errors are part of the answer."""
        loaded = self._loaded.get(path)
        if loaded is None:
            loaded = self._loaded[path] = self._read(path)
        return loaded

    def shape(self, module: str) -> tuple[Source, Shape] | None:
        """Where ``module`` lies and what it defines; None when there is no readable source of it."""
        source = self.finder.find(module)
        shape = self.load(source.path).shape if source else None
        return (source, shape) if source and shape else None

    def inside(self, path: str) -> str | None:
        """``path`` relative to the workspace when it is a file of the user's in it, else None."""
        for base in {self.workspace: 0, os.path.realpath(self.workspace): 0}:
            prefix = base.rstrip(os.sep) + os.sep
            if path.startswith(prefix):
                relative = path[len(prefix) :]
                return relative if self._is_users(base, os.path.dirname(relative)) else None
        return None

    def label(self, source: Source) -> str:
        """The name of a module's file in keys and messages: never an absolute path."""
        return self.inside(source.path) or os.path.relpath(source.path, source.root)

    def _is_users(self, base: str, directory: str) -> bool:
        """False inside `.f0make`, site-packages and virtual environments (which hold a ``pyvenv.cfg``)."""
        if not directory:
            return True
        path = os.path.join(base, directory)
        if path not in self._users:
            parent, name = os.path.split(directory)
            self._users[path] = (
                name not in NOT_THE_USERS
                and self._is_users(base, parent)
                and not os.path.exists(os.path.join(path, "pyvenv.cfg"))
            )
        return self._users[path]

    def _read(self, path: str) -> Loaded:
        import hashlib

        clock = clock_ns()
        try:
            signature = signature_of(os.stat(path))
            data = read_regular(path, scaled(MODULE))
        except OSError as error:
            return Loaded(b"", "", None, error)
        content = hashlib.sha256(data).hexdigest()
        stamp = (signature, content, is_racy(signature, clock))
        if not path.endswith(".py"):
            return Loaded(data, content, None, None, stamp)
        shape = Shape.from_plain(self._cache.get(content))
        if shape is None:
            try:
                shape = read_shape(data)
            except (SyntaxError, RecursionError, MemoryError) as error:
                told = (
                    error if isinstance(error, SyntaxError) else SyntaxError("nested too deeply to be read")
                )
                return Loaded(data, content, None, told, stamp)
            self._cache[content] = shape.as_plain()
        return Loaded(data, shape.digest, shape, None, stamp)


class _Walk:
    """One walk over a module and what it imports."""

    def __init__(self, base: CodeBase) -> None:
        self.base = base
        self.facts_found = CodeFacts()
        self.seen: set[str] = set()
        self.certain: list[str] = []
        self.possible: list[str] = []
        self.missing: dict[str, None] = {}

    def facts(self, module: str, function: str) -> CodeFacts:
        found = self.facts_found
        source = self.base.finder.find(module)
        self._watch(module)
        if source is None:
            found.watched_missing = list(self.missing)
            found.problems.append(missing_module(self.base.finder, module))
            return found
        self._add(source, True)
        self.seen.add(module)
        self._ask(module, True)
        while self.certain or self.possible:  # certain ones first: a module reached both ways is certain
            certain = bool(self.certain)
            self._visit((self.certain or self.possible).pop(), certain)
        found.modules = dict(sorted(found.modules.items()))
        found.watched_missing = list(self.missing)
        if not found.problems:
            found.digest = _joined(module, function, found.modules)
        return found

    def _ask(self, name: str, certain: bool) -> None:
        """Queue ``name`` and the packages above it: importing a module runs their ``__init__`` first."""
        parts = name.split(".")
        names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        (self.certain if certain else self.possible).extend(names)

    def _visit(self, name: str, certain: bool) -> None:
        import sys

        top = name.partition(".")[0]
        if (
            name in self.seen
            or name in sys.builtin_module_names
            or top in STARTED_WITH
            or top == RUNNING_PACKAGE
        ):
            return
        self.seen.add(name)
        self._watch(name)
        source = self.base.finder.find(name)
        if source and self.base.inside(source.path):
            self._add(source, certain)

    def _watch(self, name: str) -> None:
        for path in self.base.finder.absent(name):
            if self.base.inside(path):
                self.missing[path] = None

    def _add(self, source: Source, certain: bool) -> None:
        """Count the file of ``source``; ``certain`` when running the step is sure to import it."""
        loaded = self.base.load(source.path)
        label = self.base.label(source)
        self.facts_found.files.append(source.path)
        if loaded.error is not None and certain:
            self.facts_found.problems.append(broken_module(label, loaded.error))
        self.facts_found.modules[label] = loaded.digest
        self.facts_found.sources[label] = loaded.data
        if loaded.stamp is not None:
            self.facts_found.stamps[source.path] = loaded.stamp
        if loaded.shape is not None:
            for name, unconditional in imported_names(source, loaded.shape, self.base):
                self._ask(name, certain and unconditional)


def _digest(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def code_digest(
    module: str, function: str, workspace: str, roots: Sequence[str], cache: MutableMapping[str, Any]
) -> CodeFacts:
    """The facts about one step's code; :class:`CodeBase` does the same for many without reading files twice."""
    return CodeBase(workspace, roots, cache).facts(module, function)


def package_of(source: Source) -> str:
    """What relative imports in ``source`` are relative to."""
    return source.name if source.package else source.name.rpartition(".")[0]


def absolute_name(source: Source, level: int, module: str) -> str:
    """The absolute name of an import in ``source``; empty when it points above the top-level package."""
    if not level:
        return module
    parts = package_of(source).split(".")
    parts = parts[: len(parts) - level + 1] if level <= len(parts) else []
    return ".".join([*parts, module] if module and parts else parts)


def imported_names(source: Source, shape: Shape, base: CodeBase) -> Iterator[tuple[str, bool]]:
    """Every module name that ``source`` may import, with whether importing ``source`` is sure to import it.

    ``from a import b`` may mean a submodule ``a.b``, a star the submodules that ``__all__`` names.
    """
    for level, module, names, unconditional in shape.imports:
        target = absolute_name(source, level, module)
        if not target:
            continue
        yield target, unconditional
        if not names:
            continue
        package = base.shape(target)
        defined = package[1].definitions if package else {}
        if "*" in names:
            names = package[1].exports if package else []
        for name in names:
            yield f"{target}.{name}", unconditional and name not in defined


def broken_module(label: str, error: SyntaxError | OSError) -> Problem:
    """A module that cannot be read, at its own place."""
    if isinstance(error, OSError):
        return Problem(f"cannot be read: {error.strerror}", Where(label))
    return Problem(
        f"python cannot read this module: {error.msg}", Where(label, error.lineno or 0, error.offset or 0)
    )


def missing_module(finder: Finder, module: str) -> Problem:
    """A module that is nowhere: says where it was looked for, and what was perhaps meant."""
    from f0make.code.missing_hints import not_found

    message, hint = not_found(finder, module)
    return Problem(message, hint=hint)


def _joined(module: str, function: str, modules: dict[str, str]) -> str:
    import hashlib

    lines = [module, function, *(part for item in modules.items() for part in item)]
    data = [line.encode("utf-8", "surrogateescape") for line in lines]
    return hashlib.sha256(b"".join(b"%d:%s" % (len(line), line) for line in data)).hexdigest()
