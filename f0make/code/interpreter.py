"""Which interpreter a python step runs in, and where that one finds modules, read from its files alone.

Nothing is executed: `validate` and `plan` ask here, too, of a workspace whose `.venv` is not trusted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

from f0make.fast_dataclass import dataclass

STARTED_WITH = frozenset(
    {
        *(
            "abc",
            "codecs",
            "encodings",
            "genericpath",
            "io",
            "os",
            "posixpath",
            "ntpath",
            "site",
            "stat",
            "sys",
        ),
        *("_collections_abc", "_sitebuiltins", "zipimport", "builtins", "marshal", "posix"),
    }
)
"""Modules that Python has loaded before it looks at anything in the workspace: no file there can stand for them."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter; ``path`` is absolute, empty for the one that f0make itself runs in."""

    path: str = ""
    declared: bool = False
    """The recipe names it; otherwise it was found."""


def chosen(declared: str | None, workspace: str, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter of a python step of ``workspace``: the declared one, `.venv`, VIRTUAL_ENV's, or f0make's own."""
    if declared:
        return Interpreter(located(declared, workspace, environ), True)
    for directory in (os.path.join(workspace, ".venv"), environ.get("VIRTUAL_ENV", "")):
        path = os.path.join(directory, "bin", "python")
        if directory and os.path.isabs(path) and os.access(path, os.X_OK):
            return Interpreter("" if is_own(path) else path)
    return Interpreter()


def located(declared: str, workspace: str, environ: Mapping[str, str]) -> str:
    """The absolute path of ``declared``: a path, or a command to be found on PATH."""
    if "/" in declared:
        return os.path.normpath(os.path.join(workspace, declared))
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory, declared)
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return os.path.join(workspace, declared)


def is_own(path: str) -> bool:
    """Whether the interpreter ``path`` finds the same packages as the one that f0make runs in."""
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    return os.path.realpath(prefix) == os.path.realpath(sys.prefix)


def version(interpreter: Interpreter) -> str:
    """Its minor version, such as ``3.11``, as far as its files tell it; empty where they do not."""
    if not interpreter.path or is_own(interpreter.path):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    prefix = os.path.dirname(os.path.dirname(interpreter.path))
    settings = _settings(os.path.join(prefix, "pyvenv.cfg"))
    told = settings.get("version_info") or settings.get("version") or ""
    if told:
        return ".".join(told.split(".")[:2])
    real = os.path.realpath(interpreter.path)
    own = os.path.basename(real).startswith("python3.")
    name = os.path.basename(real) if own else _version(interpreter.path, list(_site_directories(prefix)))
    return name.removeprefix("python") if name != "python3." else ""


def search_path(interpreter: Interpreter) -> list[str]:
    """The directories in which ``interpreter`` looks for modules, beside the workspace and PYTHONPATH."""
    if not interpreter.path or is_own(interpreter.path):
        own = [entry for entry in sys.path if entry]
        return [*own, *_editable(own)]
    prefix = os.path.dirname(os.path.dirname(interpreter.path))
    settings = _settings(os.path.join(prefix, "pyvenv.cfg"))
    found = [*_site_directories(prefix)]
    base = os.path.dirname(settings.get("home", "")) or os.path.dirname(
        os.path.dirname(os.path.realpath(interpreter.path))
    )
    libraries = list(_libraries(base, _version(interpreter.path, found)))
    if not settings or settings.get("include-system-site-packages", "").lower() == "true":
        found += _site_directories(base)
    found += _named_by_pth(found)
    return [*libraries, *dict.fromkeys(found), *_editable(found)]


def _version(path: str, sites: list[str]) -> str:
    """``python3.11`` or so, as far as names tell it; ``python3.`` for any."""
    for directory in sites:
        name = os.path.basename(os.path.dirname(directory))
        if name.startswith("python3."):
            return name
    name = os.path.basename(os.path.realpath(path))
    return name if name.startswith("python3.") else "python3."


def _libraries(base: str, version: str) -> Iterator[str]:
    for directory in _listing(os.path.join(base, "lib")):
        name = os.path.basename(directory)
        if name == version or (version == "python3." and name.startswith(version)):
            yield directory
            yield os.path.join(directory, "lib-dynload")


def _site_directories(prefix: str) -> Iterator[str]:
    for library in ("lib", "lib64", "local/lib"):
        for directory in _listing(os.path.join(prefix, library)):
            if os.path.basename(directory).startswith("python3"):
                for name in ("site-packages", "dist-packages"):
                    if os.path.isdir(os.path.join(directory, name)):
                        yield os.path.join(directory, name)


def _named_by_pth(sites: list[str]) -> list[str]:
    """Directories that `.pth` files in ``sites`` name."""
    found = []
    for site in sites:
        for path in _listing(site):
            if path.endswith(".pth"):
                for line in _text(path).splitlines():
                    if line.strip() and not line.startswith(("#", "import ", "import\t")):
                        found.append(os.path.join(site, line.strip()))
    return [path for path in found if os.path.isdir(path)]


def _editable(sites: list[str]) -> list[str]:
    """Directories that hold what editable installs in ``sites`` find by a hook (setuptools' `__editable___…`)."""
    found = []
    for site in sites:
        if os.path.basename(site) not in ("site-packages", "dist-packages"):
            continue
        for path in _listing(site):
            if os.path.basename(path).startswith("__editable__") and path.endswith("finder.py"):
                found += [
                    os.path.dirname(place) for name, place in _mapping(_text(path)) if name == _stem(place)
                ]
    return list(dict.fromkeys(found))


def _mapping(text: str) -> Iterator[tuple[str, str]]:
    """The literal ``MAPPING`` in such a hook: top-level name -> where it lies."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict) and any(
            isinstance(t, ast.Name) and t.id == "MAPPING" for t in targets
        ):
            for key, place in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(place, ast.Constant):
                    yield str(key.value), str(place.value)


def _stem(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def _settings(path: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in _text(path).splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def _listing(directory: str) -> list[str]:
    try:
        return sorted(os.path.join(directory, name) for name in os.listdir(directory))
    except OSError:
        return []
