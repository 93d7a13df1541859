"""What code a step uses from outside its interpreter's library, as the interpreter's own audit events tell it.

Files that are imported, executed or compiled, data read out of the packages among them, and the names that were
looked for without being found, and directories whose modules `pkgutil` lists: all that the recipe's key cannot know, because it is settled while the step runs.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.worker.runtime import channel, imports
else:
    from _f0make import channel, imports


_WRITES = os.O_WRONLY | os.O_RDWR
_MOST_OPENED = 200
"""Files that the step has read: so many are looked at when text of unknown origin is executed."""
_LONGEST = 1 << 18
"""Bytes of a file that may be code, where neither its name nor how it is opened says so."""
_SHORTEST = 8
"""Bytes of a part of a text by which that is recognized."""

_texts: dict[str, bytes] = {}
_seen: set[Any] = set()
_written: set[Any] = set()
_opened: list[Any] = []
_sought: dict[str, Any] = {}
"""Name of a module that code of the step's looked for -> the directories that were searched for it."""
_packages: dict[str, Any] = {}
_modules_then = 0


def prepare() -> None:
    """Be in place, but hear nothing yet: done before the fork, it is done once."""
    sys.addaudithook(_heard)
    sys.meta_path.insert(0, _Seeker)


def start(noting: bool = False) -> None:
    """Listen from now on, in this process and all that are forked from it.

    ``noting``: this process says at its end, if it comes to that, what it has found.
    """
    global _own
    _listening.update(_handlers)
    _own = os.getpid() if noting else 0
    for path in imports.foreign():
        _tell(path)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    handler = _listening.get(event)
    if handler is not None:
        try:
            handler(*args)
        except Exception:
            return  # It is no business of the step's.


def _on_open(path: Any, mode: Any, flags: Any) -> None:
    if type(path) is not str:
        if isinstance(path, int):
            return
        path = os.fsdecode(path)
    writes = (
        any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(int(flags or 0) & _WRITES)
    )
    if not writes and path in _seen:
        return
    full = os.path.abspath(path)
    if writes:
        _written.add(full)
        return
    if path[:1] == "/":
        _seen.add(path)
    if imports.is_library(full) or full.startswith(("/proc/", "/dev/", "/sys/")):
        return
    if full.endswith((".py", ".pyw", ".so")) or _is_searched(full) or _in_package(full):
        _tell(full)
    elif "/__pycache__/" in full:
        return
    elif full.endswith(".pyc"):
        _tell(full)
    elif len(_opened) < _MOST_OPENED:
        _opened.append(full)


def _is_searched(path: str) -> bool:
    """Whether the file ``path`` stands in `sys.path`, as an archive of modules does."""
    end = "/" + os.path.basename(path)
    return any(
        type(entry) is str and ("/" + entry).endswith(end) and os.path.abspath(entry) == path
        for entry in sys.path
    )


def _in_package(path: str) -> bool:
    """Whether ``path`` lies in the directory of a package that was imported, and that is not installed."""
    global _modules_then
    if len(sys.modules) != _modules_then:
        _modules_then = len(sys.modules)
        _packages.clear()
        for module in list(sys.modules.values()):
            for place in getattr(module, "__dict__", {}).get("__path__", ()):
                if isinstance(place, str) and not imports.is_library(place + "/"):
                    _packages[os.path.abspath(place)] = True
    directory = os.path.dirname(path)
    while len(directory) > 1:
        known = _packages.get(directory)
        if known is not None:
            return bool(known)
        directory = os.path.dirname(directory)
    return False


def _on_import(name: str, filename: Any, *others: Any) -> None:
    """An extension module is being loaded (modules of other kinds are heard of when their files are opened)."""
    if isinstance(filename, str):
        full = os.path.abspath(filename)
        if not imports.is_library(full):
            _tell(full)


class _Seeker:
    """Stands before the finders of modules: finds nothing, and notes what is looked for where, by whatever means."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if not _listening or name in _sought or _asked_by_library():
            return
        found = [
            os.path.abspath(place) for place in (sys.path if path is None else path) if type(place) is str
        ]
        _sought[name] = [place for place in found if not imports.is_library(place + "/")]


def _asked_by_library(depth: int = 2) -> bool:
    """Whether the import or the listing that goes on, ``depth`` calls above, is one of installed code's."""
    frame: Any = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        if not name.startswith("<frozen ") and (
            not name.endswith(_GO_BETWEENS) or code.co_name == "<module>"
        ):
            return imports.is_library(name)
        frame = frame.f_back
    return True


_GO_BETWEENS = ("/importlib/__init__.py", "/importlib/util.py", "/runpy.py", "/pkgutil.py")
"""Modules with functions that import what they are told to."""


def _on_compile(source: Any, filename: Any) -> None:
    name = os.fsdecode(filename) if isinstance(filename, (str, bytes)) else ""
    if name and name[:1] != "<":
        full = os.path.abspath(name)
        if full not in _seen and not imports.is_library(full) and os.path.isfile(full):
            _tell(full)
        return
    if not _opened or not isinstance(source, (str, bytes)):
        return
    text = _plain(source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source)
    for path in list(_opened):
        found = _read(path)
        if text and found and (text == found or _is_part(text, found) or _is_part(found, text)):
            _tell(path)
            _opened.remove(path)


def _plain(text: bytes) -> bytes:
    """``text`` without what the ways of reading a file may take from it: blanks at its ends, returns, a mark."""
    return text.replace(b"\r\n", b"\n").removeprefix(b"\xef\xbb\xbf").strip()


def _is_part(one: bytes, whole: bytes) -> bool:
    return len(one) >= _SHORTEST and one in whole


def _read(path: str) -> bytes:
    """The text of the file ``path``, for a comparison with what is executed; empty when it is too long for code."""
    text = _texts.get(path)
    if text is None:
        text = b""
        if os.stat(path).st_size <= _LONGEST:
            with open(path, "rb") as file:
                text = _plain(file.read(_LONGEST))
        _texts[path] = text
    return text


def _on_rename(source: Any, target: Any, *others: Any) -> None:
    _written.add(os.path.abspath(os.fsdecode(target)))


def _on_listdir(path: Any) -> None:
    """`pkgutil` lists the modules of a directory, for code of the step's: which there are is discovered, too."""
    caller = sys._getframe(2)
    if not caller.f_code.co_filename.endswith("/pkgutil.py"):
        return
    if getattr(caller.f_locals.get("importer"), "path", path) != path:
        return  # It looks whether a directory in the one that it lists is a package.
    full = os.path.abspath(os.fsdecode(path))
    if not imports.is_library(full + "/") and not _asked_by_library(3):
        _tell(full.rstrip("/") + "/")


_handlers: dict[str, Any] = {
    "open": _on_open,
    "os.listdir": _on_listdir,
    "import": _on_import,
    "compile": _on_compile,
    "os.rename": _on_rename,
}
_listening: dict[str, Any] = {}
_own = 0
"""The process that may only note what it has found."""
_told: set[Any] = set()


def _say(found: list[str]) -> None:
    """From the step's own process before its end; others may end in whatever way, and the step is none the worse."""
    (channel.note if os.getpid() == _own else channel.say)(channel.CODE, found)


def _tell(path: str) -> None:
    if path not in _told and path not in _written:
        _told.add(path)
        _say([path])


def tell_absent() -> None:
    """Tell of the places where modules were looked for before they were found elsewhere, or nowhere."""
    for name, places in list(_sought.items()):
        found = _origin(name)
        if found is None:
            continue
        for place in places:
            base = os.path.join(place, name.rpartition(".")[2])
            if found.startswith(base + "/"):
                break
            # Of one directory a package comes before a module (importlib.machinery.FileFinder).
            package = os.path.join(base, "__init__.py") if os.path.isdir(base) else base
            is_here = found.startswith(base + ".")
            for path in (package,) if is_here else (package, base + ".py"):
                if not os.path.lexists(path) and path not in _told:
                    _told.add(path)
                    _say([path, "-"])
            if is_here:
                break


def _origin(name: str) -> Any:
    """The file of the module ``name``, empty when it was not found, None for what is never looked for in files."""
    module = sys.modules.get(name)
    if module is None:
        return ""
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
    if origin in ("built-in", "frozen"):
        return None
    if origin is None:
        for place in getattr(module, "__path__", ()):
            return str(place) + "/"
    return str(origin or "")
