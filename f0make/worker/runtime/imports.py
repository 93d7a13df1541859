"""What a step's interpreter imports from where: the workspace first, f0make's base classes, then what it has itself.

Byte code is neither read nor written for modules outside the interpreter's own library and its site-packages: a
`.pyc` is matched by whole seconds and size, so that it may be older than the source that the key was made from, and
nothing but declared outputs is written there.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import importlib._bootstrap as _bootstrap
    import importlib._bootstrap_external as _machinery
    from typing import Any
else:
    _machinery = sys.modules["_frozen_importlib_external"]
    _bootstrap = sys.modules["_frozen_importlib"]

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
"""Where f0make's packages lie."""
CLASSES = os.path.join(HERE, "classes")
"""An entry of `sys.path` that stands for f0make's `scriptlets`; nothing lies there."""

_MOST_KEPT = 256
_compiled: dict[str, Any] = {}
"""path -> (source, what it compiles to), of the step's modules that were compiled ahead."""
_relative: list[Any] = []
"""(entry of `sys.path`, its text in PYTHONPATH) of those that are relative to the current directory."""


class _FreshSource(_machinery.SourceFileLoader):
    """Reads the source every time: without stats of the source the import system trusts no byte code."""

    def path_stats(self, path: str) -> dict[str, Any]:
        raise OSError(f"no byte code for {path}")

    def get_code(self, fullname: str) -> Any:
        # What the import system would do, with nothing that serves byte code alone.
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        known = _compiled.get(path)
        if known is not None and known[0] == data:
            return known[1]
        return super().source_to_code(data, path, *args, **options)


class _Classes:
    """Finds `scriptlets`, one part of which comes with f0make, beside the parts that others have."""

    @staticmethod
    def find_spec(name: str, target: Any = None) -> Any:
        if name != "scriptlets":
            return None
        spec = _bootstrap.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [os.path.join(HOME, "scriptlets")]
        return spec

    @staticmethod
    def invalidate_caches() -> None:
        pass


def _library() -> tuple[str, ...]:
    """Beginnings of the paths of the interpreter's own library, its site-packages, and f0make's own files."""
    found = [os.path.dirname(os.path.abspath(os.__file__)), os.path.join(HOME, "f0make")]
    found.append(os.path.join(HOME, "scriptlets"))
    found += [entry for entry in sys.path if os.path.basename(entry) in _INSTALLED]
    found += [os.path.realpath(entry) for entry in found]
    return tuple({entry.rstrip("/") + "/" for entry in found})


_INSTALLED = (
    "site-packages",
    "dist-packages",
    "lib-dynload",
    f"python{sys.version_info[0]}{sys.version_info[1]}.zip",
)
_begins: tuple[Any, ...] = ()
_ordinary = False
"""Whether this interpreter would find f0make by itself."""


def is_library(path: str) -> bool:
    """Whether ``path`` (absolute) belongs to the interpreter, to what is installed in it, or to f0make."""
    return path.startswith(_begins) or "/site-packages/" in path or "/dist-packages/" in path


def _hook(path: str) -> Any:
    if path == CLASSES:
        return _Classes
    if is_library(path + "/") or not os.path.isdir(path):
        raise ImportError(path)
    return _machinery.FileFinder(
        path,
        (_machinery.ExtensionFileLoader, _machinery.EXTENSION_SUFFIXES),
        (_FreshSource, _machinery.SOURCE_SUFFIXES),
        (_machinery.SourcelessFileLoader, _machinery.BYTECODE_SUFFIXES),
    )


def prepare() -> None:
    """Make this interpreter ready for a step, before it is known which one."""
    global _begins, _ordinary
    mine = {HERE, os.path.realpath(HERE)}
    if sys.path and sys.path[0] in mine:
        del sys.path[0]
    _begins = _library()
    _ordinary = HOME in sys.path or os.path.realpath(HOME) in map(os.path.realpath, sys.path)
    sys.path_hooks.insert(0, _hook)
    here = os.getcwd()
    for text in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        full = os.path.abspath(os.path.join(here, text))
        if text and not os.path.isabs(text) and full in sys.path:
            _relative.append((full, text))
    files = [getattr(m, "__file__", None) for name, m in list(sys.modules.items()) if name != "__main__"]
    found = [os.path.abspath(file) for file in files if isinstance(file, str)]
    _foreign[:] = [path for path in found if not is_library(path)]
    sys.path_importer_cache.clear()  # Directories are no longer read as before.
    _load_base()


def _load_base() -> None:
    """Load `f0make.context`, and of `f0make` only what this interpreter would find by itself."""
    package = type(sys)("f0make")
    package.__path__ = [os.path.join(HOME, "f0make")] if _ordinary else []
    package.__file__ = os.path.join(HOME, "f0make", "__init__.py")
    spec = _bootstrap.ModuleSpec("f0make", None, is_package=True)
    spec.submodule_search_locations = package.__path__
    package.__spec__ = spec
    sys.modules["f0make"] = package
    path = os.path.join(HOME, "f0make", "context.py")
    loader = _machinery.SourceFileLoader("f0make.context", path)
    found: Any = _machinery.spec_from_file_location("f0make.context", path, loader=loader)
    module = _bootstrap.module_from_spec(found)
    sys.modules["f0make.context"] = module
    loader.exec_module(module)
    package.__dict__["context"] = module


_foreign: list[Any] = []


def foreign() -> list[Any]:
    """Files outside of the library that were executed as this interpreter started (`sitecustomize` and the like)."""
    return _foreign


def enter(workspace: str) -> None:
    """Be in ``workspace``, and import from there first."""
    os.chdir(workspace)
    path = sys.path
    if _relative:
        moved = {full: os.path.join(workspace, text) for full, text in _relative}
        path[:] = [moved.get(entry, entry) for entry in path]
    for entry in ("", workspace):
        while entry in path:
            path.remove(entry)
    path[:0] = [workspace] if _ordinary else [workspace, CLASSES]


def compile_ahead(paths: list[Any]) -> None:
    """Compile the source files ``paths``, none of which is executed here: every process forked then has the code."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                data = file.read()
            known = _compiled.pop(path, None)
            if known is None or known[0] != data:
                known = (data, compile(data, path, "exec", dont_inherit=True))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        while len(_compiled) >= _MOST_KEPT:
            del _compiled[next(iter(_compiled))]
        _compiled[path] = known
