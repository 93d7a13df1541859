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
    "cache/blob_files.py",
    "cache/blobs.py",
    "cache/machine.py",
    "cache/credential_variables.py",
    "cache/reflink.py",
    "cache/group_rights.py",
    "cache/in_use.py",
    "code/__init__.py",
    "code/rebuild.py",
    "ascii_json.py",
    "context.py",
    "errors.py",
    "worker/__init__.py",
    "worker/agent/__init__.py",
    "worker/bundle.py",
    "worker/collect.py",
    "worker/shell_command.py",
    "worker/cores.py",
    "worker/depfile.py",
    "worker/terminate.py",
    "worker/frames.py",
    "worker/process_journal.py",
    "worker/system.py",
    "worker/inherited_environ.py",
    "worker/interpreters.py",
    "worker/linux.py",
    "worker/mask_secrets.py",
    "worker/portable.py",
    "worker/process.py",
    "worker/python_step.py",
    "worker/runner.py",
    "worker/simple_command.py",
    "worker/step_attempt.py",
    "worker/step_home.py",
    "worker/step_report.py",
    "worker/step_log.py",
    "files/__init__.py",
    "files/atomic_write.py",
    "files/content_cache.py",
    "files/content_digest.py",
    "files/open_regular.py",
    "files/store_outputs.py",
    "files/sha.py",
    "files/signature.py",
    "files/stat_cache.py",
    "trail.py",
    "workspace/__init__.py",
    "files/beneath.py",
    "files/times_and_modes.py",
    "workspace/remove.py",
    "workspace/umask.py",
    "fast_dataclass.py",
    "model.py",
    "regular_file.py",
    "worker/agent/agent_main.py",
    "worker/agent/remote_attempt.py",
    "worker/agent/agent_workers.py",
    "worker/agent/host_info.py",
    "worker/agent/receive.py",
    "worker/agent/hardlinks.py",
    "worker/agent/manifest.py",
    "worker/agent/send.py",
    "worker/agent/fingerprint_commands.py",
    "worker/agent/reap.py",
    "worker/agent/agent_gc.py",
    "worker/agent/wire_format.py",
    "worker/agent/sandbox.py",
    "worker/agent/message_writer.py",
    "worker/runtime/__init__.py",
    "worker/runtime/call.py",
    "worker/runtime/channel.py",
    "worker/runtime/ending.py",
    "worker/runtime/imports.py",
    "worker/runtime/main.py",
    "worker/runtime/serving.py",
    "worker/runtime/tracing.py",
    "store/__init__.py",
    "files/sealed_files.py",
    "files/user_key.py",
    "store/validate_record.py",
)
"""Files of f0make that an agent is made of. Standard library only, and readable by Python 3.9."""

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
