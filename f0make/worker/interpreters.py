"""Interpreters for python steps, from the worker's side: warm ones that fork for each step, and fresh ones.

A warm one is a process of its own that has executed no step's code. It runs `worker/runtime/main.py`, which needs nothing of
f0make, so that any Python from 3.9 on can be one.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import socket
from collections.abc import Iterable, Mapping

from f0make.fast_dataclass import dataclass
from f0make.worker import system
from f0make.worker.process import default_signals
from f0make.worker.terminate import signal_name

Environ = Mapping[bytes, bytes]

MARSHAL = 2
"""Version of marshal's format: texts, numbers, lists and maps are the same in it for every Python 3."""
_MOST_WARM = 3
"""Warm interpreters that one worker keeps."""
_STARTING = 60.0
"""Seconds that an interpreter may take to come up."""
_MATTERS = (b"PYTHON", b"LD_", b"DYLD_", b"LC_", b"LANG", b"MALLOC_", b"GLIBC_", b"TZ", b"HOME", b"__PYVENV")
"""Beginnings of the names of variables that a process reads once, when it starts."""
_UNIT = 1 if os.uname().sysname == "Darwin" else 1024
"""Unit of ru_maxrss in bytes (getrusage(2))."""


class CannotStart(Exception):
    """The interpreter ``program`` does not come up; the text says why.

    ``code``: how it ended, as in `Ended`; None when it did not say that it is ready in time.
    """

    def __init__(self, program: str, code: int | None) -> None:
        if code is None:
            why = f"it is not ready after {_STARTING:g} s"
        else:
            why = f"it ends with exit code {code}" if code >= 0 else f"killed by {signal_name(-code)}"
        super().__init__(f"the interpreter {program} cannot be started: {why} (see the log)")
        self.signal = -code if code is not None and code < 0 else None


@dataclass(slots=True)
class Ended:
    """How a step's process ended."""

    code: int
    """Exit code, or the number of the signal that killed it, negative."""
    cpu_seconds: float
    peak_mem: int
    alone: bool
    """Nothing that it started is left."""


class Warm:
    """A warm interpreter, started with ``environ``; what it says until it is ready goes to ``output``.

    Raises CannotStart and OSError.
    """

    def __init__(self, argv: list[str], environ: Environ, output: int) -> None:
        self.environ = dict(environ)
        self._line, theirs = socket.socketpair()
        self._said = b""
        self._compiled: dict[str, tuple[int, ...]] = {}
        self._ledger = open(os.memfd_create("ended"), "rb", buffering=0)  # noqa: SIM115
        """Where it notes how a step's process ended before it collects it: it may be killed before it says so."""
        with theirs:
            kept = theirs.fileno(), self._ledger.fileno()
            self.pid = _fork_exec([*argv, "serve", *map(str, kept)], environ, output, kept)
        self._line.settimeout(_STARTING)
        try:
            words = self.message()
        except TimeoutError:
            self.close(kill=True)
            raise CannotStart(argv[0], None) from None
        if words[:1] != [b"V"]:
            raise CannotStart(argv[0], self.close())
        self._line.settimeout(None)
        self.version = words[1].decode("ascii")
        self.single = words[2] == b"1"
        """It has executed code that lies outside of its library, so it may serve one step only."""
        self.io = system.IoCounter(self.pid)

    def fileno(self) -> int:
        """What is readable when it has something to say."""
        return self._line.fileno()

    def begin(self, request: bytes, code: Iterable[str], log: int, news: int) -> int:
        """Have it fork for the step of ``request``: the process. Raises OSError.

        ``code`` are source files that the step may import. Those that it has not seen as they are now are compiled
        first; what is executed is in any case what stands there when the step imports it.
        """
        changed = [path for path in code if self._has_changed(path)]
        message = _message(marshal.dumps(changed, MARSHAL) if changed else b"", request)
        sent = socket.send_fds(self._line, [message], [log, news])
        if sent < len(message):
            self._line.sendall(message[sent:])
        words = self.message()
        if words[:1] == [b"P"]:
            return int(words[1])
        number = int(words[1]) if words[:1] == [b"F"] else 0
        raise OSError(number, os.strerror(number) if number else "it has ended")

    def _has_changed(self, path: str) -> bool:
        try:
            st = os.stat(path)
        except OSError:
            return False
        known = self._compiled.get(path)
        self._compiled[path] = now = (st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        return known != now

    @property
    def has_spoken(self) -> bool:
        """Whether a message was received already that nobody has asked for."""
        return b"\n" in self._said

    def message(self) -> list[bytes]:
        """The words of its next message, waited for; none when it is gone."""
        while b"\n" not in self._said:
            try:
                data = self._line.recv(4096)
            except ConnectionError:
                data = b""
            if not data:
                return []
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return line.split()

    def reap(self) -> Ended | None:
        """Have it collect what has ended of its children; None when it is gone."""
        try:
            self._line.sendall(_message())
        except OSError:
            return None
        return ended(self.message())

    def collected(self, pid: int) -> int | None:
        """How the step's process ``pid`` ended, as in `Ended`, where this interpreter has come to note that."""
        noted = os.pread(self._ledger.fileno(), 8, 0)
        its = noted[:4] == pid.to_bytes(4, "little")
        return int.from_bytes(noted[4:], "little", signed=True) if its else None

    def close(self, kill: bool = False) -> int:
        """End it: how it ended, as in `Ended`."""
        self._line.close()
        self._ledger.close()
        if kill:
            system.kill(self.pid, signal.SIGKILL)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return 0


def _message(code: bytes = b"", request: bytes = b"") -> bytes:
    """See `runtime.serving`."""
    return len(code).to_bytes(4, "little") + len(request).to_bytes(4, "little") + code + request


def ended(words: list[bytes]) -> Ended | None:
    """What a warm interpreter says of a step's end; None when it is gone."""
    if words[:1] not in ([b"E"], [b"R"]):
        return None
    status, cpu, peak, alone = map(int, words[1:])
    return Ended(os.waitstatus_to_exitcode(status), cpu / 1e6, peak * _UNIT, bool(alone))


class Interpreters:
    """The warm interpreters of one worker."""

    def __init__(self) -> None:
        self._warm: dict[object, Warm] = {}

    def take(self, argv: list[str], environ: Environ, output: int) -> Warm:
        """A warm interpreter for a step with ``environ``. Raises CannotStart and OSError."""
        key = (*argv, *sorted((n, v) for n, v in environ.items() if n.startswith(_MATTERS)))
        warm = self._warm.pop(key, None)
        if warm is None:
            while len(self._warm) >= _MOST_WARM:
                self._warm.pop(next(iter(self._warm))).close()
            warm = Warm(argv, environ, output)
        self._warm[key] = warm
        return warm

    def drop(self, warm: Warm) -> None:
        """End ``warm``, which is not to serve any more."""
        self._warm = {key: other for key, other in self._warm.items() if other is not warm}
        warm.close()

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [warm.pid for warm in self._warm.values()]

    def close(self) -> None:
        """End all of them."""
        for warm in self._warm.values():
            warm.close()
        self._warm.clear()


def options(environ: Environ) -> list[str]:
    """Options for the interpreter: names and texts are UTF-8 whatever the locale says."""
    if environ.get(b"PYTHONUTF8") == b"1":
        return []
    locale = next((v for n in (b"LC_ALL", b"LC_CTYPE", b"LANG") if (v := environ.get(n))), b"C").lower()
    plain = locale in (b"c", b"posix") and environ.get(b"PYTHONUTF8") != b"0"
    fitting = plain or locale.endswith((b"utf-8", b"utf8"))
    return [] if fitting else ["-X", "utf8"]


def _fork_exec(argv: list[str], environ: Environ, output: int, kept: tuple[int, ...]) -> int:
    """Start ``argv`` as a sub-reaper: orphans of its steps come to it. Raises OSError."""
    pid = os.fork()
    if pid:
        return pid
    try:
        system.set_reaper()
        for fd in (0, *kept):
            os.set_inheritable(fd, True)
        os.dup2(output, 1)
        os.dup2(output, 2)
        default_signals()
        os.execve(argv[0], argv, environ)
    finally:
        os._exit(127)


class Fresh:
    """A step's process that is a child of this one, and has an interpreter of its own or has lost its parent.

    ``collected`` is how it ended, as in `Ended`, if that parent may have collected it.
    """

    def __init__(self, pid: int, collected: int | None = None) -> None:
        self.pid = pid
        self._collected = collected
        try:
            self._fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        except OSError:
            self._fd = -1

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` wake when it has ended; or how often to look, in seconds."""
        if self._fd < 0:
            return 0.01
        poll.register(self._fd, select.POLLIN)
        return None

    def ended(self) -> Ended | None:
        """How it ended, None while it runs."""
        try:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:
            if self._collected is None:
                raise
            self._close()
            return Ended(self._collected, 0.0, 0, system.no_children())
        if not pid:
            return None
        self._close()
        cpu = usage.ru_utime + usage.ru_stime
        return Ended(os.waitstatus_to_exitcode(status), cpu, usage.ru_maxrss * _UNIT, system.no_children())

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
