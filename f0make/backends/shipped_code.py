"""f0make's own code as other machines get it: one zip of `worker/` and what that imports, named by its digest."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from functools import cache

import f0make
from f0make.worker.static_imports import closure

_START = b"""\
import sys
sys.dont_write_bytecode = True
if sys.version_info < (3, 9):
    sys.exit("f0make: this python3 is %d.%d, f0make needs 3.9 or newer" % sys.version_info[:2])
from f0make.worker.agent import agent_main
sys.exit(agent_main.main(sys.argv[1:]))
"""

_STAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: equal code gives equal bytes."""


@cache
def archive() -> tuple[str, bytes]:
    """(SHA-256 in hex, bytes) of the zip; `python3 ZIP` starts the agent of a host."""
    files = modules()
    files |= _scriptlets(os.path.join(_home(), "scriptlets"))
    files["__main__.py"] = _START
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        directories = {name[: n + 1] for name in files for n, letter in enumerate(name) if letter == "/"}
        # Without entries for directories a namespace package is not found in a zip.
        for name in sorted({*files, *directories}):
            info = zipfile.ZipInfo(name, _STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if name.endswith("/") else 0o644) << 16
            target.writestr(info, files.get(name, b""))
    data = buffer.getvalue()
    return hashlib.sha256(data).hexdigest(), data


def modules() -> dict[str, bytes]:
    """Path below the directory of the package -> text, of every module in `worker/` and all that these lead to."""
    home = _home()
    roots = _python_files(os.path.join(home, "f0make", "worker"))

    def read(path: str) -> bytes | None:
        try:
            return _read(os.path.join(home, path))
        except FileNotFoundError:
            return None

    return closure([os.path.relpath(path, home) for path in roots], read)


def _home() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(f0make.__file__)))


def _scriptlets(directory: str) -> dict[str, bytes]:
    """The base class and the python steps that come with f0make."""
    found = {}
    for path in _python_files(directory):
        found["scriptlets/" + os.path.relpath(path, directory)] = _read(path)
    return found


def _python_files(directory: str) -> list[str]:
    return [
        os.path.join(base, name)
        for base, _, names in os.walk(directory)
        for name in names
        if name.endswith(".py")
    ]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
