"""One step under watch: its rules, its private directory for temporary files, and what becomes of strays."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping

from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.guard import landlock, seccomp, start_watched
from f0make.worker.guard.access_rules import SYSTEM, Rules, trees
from f0make.worker.guard.supervisor import Supervisor, is_socket
from f0make.worker.shell_command import Launch

STRICT, AUDIT = "strict", "audit"
_LED_TO = ("/etc/resolv.conf", "/etc/localtime", "/etc/hosts")
"""Files of the system that may be links to anywhere."""
_OTHERS_DESCRIPTOR = re.compile(rb"fifo:/proc/\d+/fd/")
SHOWN = 3
"""Files that a message names."""


class Watch:
    """Watches the step of ``bundle``; ``script``: the file that f0make itself may have written for it."""

    def __init__(self, bundle: Bundle, environ: dict[bytes, bytes], name: str) -> None:
        known = seccomp.machine()
        if known is None:
            raise OSError("steps cannot be watched on this system")
        self._known = known
        self._bundle = bundle
        self._supervisor: Supervisor | None = None
        self._temporary = os.path.join(bundle.scratch, f"tmp-{name}")
        if "TMPDIR" not in bundle.env:
            os.makedirs(self._temporary, exist_ok=True)
            environ[b"TMPDIR"] = os.fsencode(self._temporary)
        # Python steps may import their own modules; where they would cache them is no output.
        environ.setdefault(b"PYTHONDONTWRITEBYTECODE", b"1")
        self._environ = environ
        self._script = os.path.join(bundle.scratch, f"script-{name}")

    @property
    def script(self) -> str:
        """Where a script of the step goes."""
        return self._script

    def start(self, launch: Launch, environ: Mapping[bytes, bytes], output: int) -> int:
        """Start ``launch`` under watch; its process id. Raises OSError."""
        bundle = self._bundle
        forbid, late = bundle.guard == STRICT, bundle.depfile is not None
        rules = _rules(bundle, self._environ, [self._script], output)
        wall = landlock.ruleset(rules, late) if forbid else None
        if wall is not None and b"MAKEFLAGS" in environ:
            # The wall hides the descriptors of processes outside; the step has inherited the jobserver's.
            flags = _OTHERS_DESCRIPTOR.sub(rb"fifo:/proc/self/fd/", environ[b"MAKEFLAGS"])
            environ = {**environ, b"MAKEFLAGS": flags}
        try:
            pid, listener, line = start_watched.start(launch, environ, output, self._known, wall)
        finally:
            if wall is not None:
                os.close(wall)
        self._supervisor = Supervisor(listener, self._known, rules, forbid, late, wall is not None)
        try:
            start_watched.result(line)
        except OSError:
            os.waitpid(pid, 0)
            raise
        return pid

    def close(self, outcome: Outcome) -> None:
        """The step is over: note in ``outcome`` which files it touched that are not declared."""
        if self._supervisor is not None:
            self._supervisor.close()
            outcome.strays = [(stray.path, stray.write) for stray in sorted(self._supervisor.strays)]
            outcome.absent = [*outcome.absent, *sorted(self._supervisor.absent)]
        shutil.rmtree(self._temporary, ignore_errors=True)


def judge(bundle: Bundle, outcome: Outcome) -> None:
    """Leave out of the strays of ``outcome`` what its depfile declares; with `STRICT` the rest is its failure."""
    if outcome.discovered:
        found = {os.path.realpath(os.path.join(bundle.workspace, path)) for path in outcome.discovered}
        outcome.strays = [
            (path, write)
            for path, write in outcome.strays
            if write or os.path.join(os.path.realpath(bundle.workspace), path) not in found
        ]
    if outcome.strays and bundle.guard == STRICT:
        before = f"; then: {outcome.message}" if outcome.message else ""
        outcome.ok, outcome.message = False, f"--strict: {described(outcome.strays)}{before}"
        outcome.outputs, outcome.trees, outcome.signatures, outcome.stored = {}, {}, {}, False


def described(strays: list[tuple[str, bool]]) -> str:
    """``strays`` in one line."""
    parts = []
    sockets = {path for path, write in strays if write and is_socket(path)}
    if sockets:
        parts.append(
            f"it connects to {', '.join(map(repr, sorted(sockets)[:SHOWN]))}, where somebody else listens"
        )
    for write, verb, where in ((False, "reads", "its inputs"), (True, "writes", "its outputs")):
        paths = [path for path, wrote in strays if wrote == write and path not in sockets]
        if paths:
            more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
            these = "which is" if len(paths) == 1 else "which are"
            parts.append(f"it {verb} {', '.join(map(repr, paths[:SHOWN]))}{more}, {these} not among {where}")
    return "; ".join(parts)


def _rules(bundle: Bundle, environ: Mapping[bytes, bytes], own: list[str], output: int) -> Rules:
    real = os.path.realpath
    workspace = real(bundle.workspace)
    full = [os.path.join(workspace, path) for path in bundle.inputs]
    outputs = [
        (os.path.join(real(workspace + "/" + os.path.dirname(p)), os.path.basename(p)), d)
        for p, d in bundle.outputs
    ]
    temporary = [os.fsdecode(environ[b"TMPDIR"])] if b"TMPDIR" in environ else []
    rules = Rules(workspace + "/")
    rules.reads = {real(path) for path in [*full, *own, *bundle.code, *_LED_TO]} | set(full)
    more = {kind: _allowed(workspace, paths) for kind, paths in bundle.allow.items()}
    rules.reads.update(more.get("read", ()))
    rules.read_trees = trees([*(real(path) for path in full if os.path.isdir(path)), *more.get("read", ())])
    rules.writes = {path for path, directory in outputs if not directory}
    if bundle.depfile is not None:
        rules.writes.add(real(os.path.join(workspace, bundle.depfile)))
    rules.writes.update(more.get("write", ()))
    rules.write_trees = trees(
        [*more.get("write", ()), *(p for p, directory in outputs if directory), *map(real, temporary)]
    )
    rules.replaced = trees([*more.get("write", ()), *(path for path, directory in outputs if directory)])
    rules.open_files = (f"/proc/self/fd/{output}", *_jobserver(environ))
    rules.tools = trees(_tools(workspace, environ))
    return rules


def _jobserver(environ: Mapping[bytes, bytes]) -> list[str]:
    """The named pipe of the jobserver, if the step is told of one."""
    flags = os.fsdecode(environ.get(b"MAKEFLAGS", b"")).split()
    return [os.path.realpath(flag.partition("=fifo:")[2]) for flag in flags if "-auth=fifo:" in flag]


def _allowed(workspace: str, paths: list[str]) -> list[str]:
    """Absolute paths for what `allow` names: relative to the workspace, ``~`` and ``$HOME`` are the user's home."""
    home = os.path.expanduser("~")
    found = []
    for path in paths:
        for sign in ("~", "$HOME", "${HOME}"):
            if path == sign or path.startswith(sign + "/"):
                path = home + path[len(sign) :]
        found.append(os.path.realpath(os.path.join(workspace, path)))
    return found


def _tools(workspace: str, environ: Mapping[bytes, bytes]) -> list[str]:
    """Trees of programs: f0make and its Python, what PATH, PYTHONPATH and LD_LIBRARY_PATH name."""
    home = os.path.realpath(os.path.expanduser("~"))
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    found = {sys.prefix, sys.base_prefix, os.path.join(here, "f0make"), os.path.join(here, "scriptlets")}
    found.update(path for path in sys.path if path)
    found.update(path for path in SYSTEM if os.path.realpath(path) != path.rstrip("/"))
    for name in (b"PYTHONPATH", b"LD_LIBRARY_PATH"):
        found.update(path for path in os.fsdecode(environ.get(name, b"")).split(":") if path)
    for directory in os.fsdecode(environ.get(b"PATH", b"")).split(":"):
        if directory.startswith("/"):
            found.add(directory)
            if os.path.basename(directory.rstrip("/")) in ("bin", "sbin", "shims"):
                found.add(os.path.dirname(directory.rstrip("/")))
    resolved = {os.path.realpath(path) for path in found if os.path.isabs(path)}
    # A tree that holds the workspace, or all that is the person's, is no tool.
    return sorted(p for p in resolved if not f"{workspace}/".startswith(f"{p.rstrip('/')}/") and p != home)
