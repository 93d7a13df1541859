"""f0make's own code as hosts get it: one zip of exactly the modules that run steps, named by its digest."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from functools import cache

import f0make

MODULES = (
    "__init__.py",
    "cache/__init__.py",
    "cache/blobs.py",
    "cache/machine.py",
    "cache/private.py",
    "cache/reflink.py",
    "cache/rights.py",
    "cache/use.py",
    "code/__init__.py",
    "code/rebuild.py",
    "compact.py",
    "context.py",
    "errors.py",
    "execution/__init__.py",
    "execution/bundle.py",
    "execution/collect.py",
    "execution/command.py",
    "execution/cores.py",
    "execution/depfile.py",
    "execution/ending.py",
    "execution/frames.py",
    "execution/groups.py",
    "execution/host.py",
    "execution/inherited.py",
    "execution/interpreters.py",
    "execution/linux.py",
    "execution/masking.py",
    "execution/portable.py",
    "execution/process.py",
    "execution/pystep.py",
    "execution/runner.py",
    "execution/shellwords.py",
    "execution/step_attempt.py",
    "execution/step_home.py",
    "execution/step_report.py",
    "execution/steplog.py",
    "files/__init__.py",
    "files/atomic.py",
    "files/contents.py",
    "files/digest.py",
    "files/regular.py",
    "files/keeping.py",
    "files/sha.py",
    "files/signature.py",
    "trail.py",
    "files/workspace/__init__.py",
    "files/workspace/below.py",
    "files/workspace/marks.py",
    "files/workspace/removing.py",
    "files/workspace/umask.py",
    "lean.py",
    "model.py",
    "regular_file.py",
    "remote/__init__.py",
    "remote/agent.py",
    "remote/attempt.py",
    "remote/crew.py",
    "remote/ground.py",
    "remote/intake.py",
    "remote/loans.py",
    "remote/needs.py",
    "remote/outbox.py",
    "remote/questions.py",
    "remote/undoing.py",
    "remote/upkeep.py",
    "remote/wire.py",
    "remote/workplace.py",
    "remote/writer.py",
    "runtime/__init__.py",
    "runtime/call.py",
    "runtime/channel.py",
    "runtime/ending.py",
    "runtime/imports.py",
    "runtime/main.py",
    "runtime/serving.py",
    "runtime/tracing.py",
    "state/__init__.py",
    "state/sealed.py",
    "state/user_key.py",
    "state/validate_record.py",
)
"""Files of f0make that an agent is made of. Standard library only, and readable by Python 3.9."""

_START = b"""\
import sys
sys.dont_write_bytecode = True
if sys.version_info < (3, 9):
    sys.exit("f0make: this python3 is %d.%d, f0make needs 3.9 or newer" % sys.version_info[:2])
from f0make.remote import agent
sys.exit(agent.main(sys.argv[1:]))
"""

_STAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: equal code gives equal bytes."""


@cache
def archive(more: tuple[str, ...] = ()) -> tuple[str, bytes]:
    """(SHA-256 in hex, bytes) of the zip, with ``more`` modules of f0make; `python3 ZIP` starts the agent."""
    home = os.path.dirname(os.path.abspath(f0make.__file__))
    files = {f"f0make/{name}": _read(os.path.join(home, name)) for name in (*MODULES, *more)}
    files |= _scriptlets(os.path.join(os.path.dirname(home), "scriptlets"))
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


def _scriptlets(directory: str) -> dict[str, bytes]:
    """The base class and the python steps that come with f0make."""
    found = {}
    for base, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(base, name)
                found["scriptlets/" + os.path.relpath(path, directory)] = _read(path)
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
