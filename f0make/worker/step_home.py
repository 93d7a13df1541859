"""Where the program of python steps' interpreters lies as a file: beside f0make's modules, or unpacked from a zip."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile

import f0make

_RUNTIME = "f0make/worker/runtime/"


def _archive() -> zipfile.ZipFile:
    """The zip that f0make was read from: on a host the verified bytes, whatever lies at their path by now."""
    verified = getattr(f0make.__loader__, "verified", None)
    if verified is not None:
        found: zipfile.ZipFile = verified()
        return found
    return zipfile.ZipFile(os.path.dirname(os.path.dirname(os.path.abspath(f0make.__file__))))


class Home:
    """Finds `worker/runtime/main.py`; where f0make itself was read from a zip, unpacks what steps may see of it."""

    def __init__(self) -> None:
        self._unpacked = ""
        package = os.path.dirname(os.path.abspath(f0make.__file__))
        self._main = os.path.join(package, "worker", "runtime", "main.py")

    def main(self, scratch: str) -> str:
        """The path of the program; ``scratch`` is a directory that it may be unpacked into. Raises OSError."""
        if not os.path.isfile(self._main):
            self._main = self._unpack(scratch)
        return self._main

    def _unpack(self, scratch: str) -> str:
        from f0make.worker.static_imports import closure

        self._unpacked = tempfile.mkdtemp(prefix="python-", dir=scratch or None)
        source = _archive()
        names = source.namelist()

        def read(name: str) -> bytes | None:
            return source.read(name) if name in names else None

        runtime = closure(
            (name for name in names if name.startswith(_RUNTIME) and name.endswith(".py")), read
        )
        for name in [*runtime, *(name for name in names if name.startswith("scriptlets/"))]:
            source.extract(name, self._unpacked)
        return os.path.join(self._unpacked, "f0make", "worker", "runtime", "main.py")

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._unpacked:
            shutil.rmtree(self._unpacked, ignore_errors=True)
