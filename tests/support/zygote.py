"""Processes of f0make that are forked from one that has imported it already.

Most of what a short command costs is Python's start and the imports. A zygote pays that once: it forks, and the child
becomes what a started f0make is, with an environment, a directory, standard streams, a process id and an exit status of
its own. What is not new in it is the interpreter: tests whose subject is the start (locale, interpreter flags, imports,
signals) start a process.

Sets are ordered by hash seeds, which a started Python draws anew; zygotes of two different seeds take turns, so that a
key or a line that depends on the order still differs from one call to the next.
"""

from __future__ import annotations

import atexit
import importlib
import itertools
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

SEEDS = ("1", "2")
PROGRAMS = ("__main__", "agent", "cluster", "clusters", "runtime", "report")
"""Modules and packages of f0make that other processes run; they are left out."""
IMPORTING = 120.0
"""Seconds that a zygote may take on a busy machine until it forks for the first time."""
_SERVE = "import sys; sys.path.insert(0, {root!r}); from tests.support.zygote import serve; serve({fd})"


class Zygote:
    """One process that forks others on demand. Safe to use from several threads."""

    def __init__(self, seed: str, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).resolve().parents[2])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVE.format(root=root, fd=theirs.fileno())]
                if sys.version_info >= (3, 11)
                else [sys.executable, "-c", _SERVE.format(root=root, fd=theirs.fileno())],
                env={**environment, "PYTHONHASHSEED": seed},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        atexit.register(self.close)

    def run(
        self, script: str, args: list[str], cwd: str, env: dict[str, str], input: bytes | None, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """As `subprocess.run`: (return code, stdout, stderr). Raises TimeoutExpired, and leaves nothing then."""
        said, saying = os.pipe()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        source, source_end = os.pipe() if input is not None else (os.open(os.devnull, os.O_RDONLY), -1)
        request = json.dumps([script, args, cwd, env]).encode("utf-8")
        # Longer than a packet may be, so it goes through a file.
        about = os.memfd_create("request")
        os.write(about, request)
        try:
            socket.send_fds(self._socket, [b"x"], [about, source, out_end, err_end, saying])
        finally:
            for fd in (about, source, out_end, err_end, saying):
                os.close(fd)
        if input is not None:
            feeding = threading.Thread(target=_feed, args=(source_end, input), daemon=True)
            feeding.start()
        texts = {out: b"", err: b"", said: b""}
        limit = time.monotonic() + timeout + IMPORTING
        left = set(texts)
        try:
            while left:
                ready, _, _ = select.select(list(left), [], [], max(0.0, limit - time.monotonic()))
                if not ready:
                    pid = texts[said].split(b"\n")[0]
                    if pid:
                        os.kill(int(pid), signal.SIGKILL)
                    raise subprocess.TimeoutExpired([script, *args], timeout, texts[out], texts[err])
                for fd in ready:
                    data = os.read(fd, 1 << 16)
                    if fd == said and not texts[said]:  # it has begun
                        limit = time.monotonic() + timeout
                    texts[fd] += data
                    if not data:
                        left.discard(fd)
        finally:
            for fd in texts:
                os.close(fd)
        return int(texts[said].split(b"\n")[1]), texts[out], texts[err]

    def close(self) -> None:
        """End it; the commands that it has forked are not its business."""
        self._socket.close()
        self._process.wait()


def _feed(fd: int, data: bytes) -> None:
    with open(fd, "wb") as file:
        try:
            file.write(data)
        except BrokenPipeError:
            pass


_lock = threading.Lock()
_zygotes: list[Zygote] = []
_turn = itertools.count()


def run(
    script: str, args: list[str], cwd: str, env: dict[str, str], input: bytes | None, timeout: float
) -> tuple[int, bytes, bytes]:
    """Run ``script`` with ``args`` in a fork of one of this process's zygotes, see `Zygote.run`."""
    with _lock:
        if not _zygotes:
            plain = {k: v for k, v in env.items() if k in ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH")}
            plain["PYTHONDONTWRITEBYTECODE"] = env.get("PYTHONDONTWRITEBYTECODE", "")
            _zygotes.extend(Zygote(seed, plain) for seed in SEEDS)
        zygote = _zygotes[next(_turn) % len(_zygotes)]
    return zygote.run(script, args, cwd, env, input, timeout)


def serve(fd: int) -> None:
    """The zygote: fork for each request, until the other end is closed. The forked f0make returns from here, too."""
    own = list(sys.path)[1:]  # without the project that _SERVE put in front
    _preload()
    asking = socket.socket(fileno=fd)
    while True:
        data, fds, _, _ = socket.recv_fds(asking, 16, 5)
        if not data:
            os._exit(0)
        about, source, out, err, saying = fds
        if os.fork() == 0:
            asking.close()
            child = os.fork()
            if child == 0:
                _become(about, (source, out, err), own)
                return
            for other in (about, source, out, err):
                os.close(other)
            os.write(saying, f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            os.write(saying, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        for other in fds:
            os.close(other)
        _reap()


def _preload() -> None:
    """Import what commands import: f0make itself, with what its modules need."""
    import f0make

    found = pkgutil.walk_packages(f0make.__path__, "f0make.")
    for name in [module.name for module in found if not {*module.name.split(".")} & {*PROGRAMS}]:
        importlib.import_module(name)


def _reap() -> None:
    """Collect the waiting processes that have ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _become(about: int, streams: tuple[int, int, int], path: list[str]) -> None:
    """Make this process a started f0make, and run it. Raises SystemExit."""
    size = os.fstat(about).st_size
    script, args, cwd, env = json.loads(os.pread(about, size, 0))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 << 12)
    # New objects: those that are here know the zygote's streams.
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        new = open(number, old.mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        if name == "stderr":
            new.reconfigure(line_buffering=True)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = [script, *args]
    sys.path[:] = [os.path.dirname(script), *path]
    from f0make.entry import main

    try:
        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
