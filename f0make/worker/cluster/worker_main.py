"""The part of f0make inside of an engine's worker: hands each bundle to a child process and brings its answer back.

This text is sent to the workers as a module of its own, with f0make's archive in `ARCHIVE`: nothing of f0make is
installed there. Standard library only, and readable by Python 3.9. It knows nothing of bundles: it passes bytes on.

The step runs in the child, never in the worker's threads. The child ends its step when its socket is closed: by this
side because the step is not wanted any more, or by the kernel because the worker has died.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pickle
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable  # noqa: UP035 - Python 3.9

ARCHIVE = globals().get("ARCHIVE", b"")
"""f0make's modules as one zip; put here when this text is sent."""

ANSWERS = (b"O", b"L", b"U", b"M")
"""Kinds of messages from the child that end an attempt: outcomes, and what the child lacks (see `child`)."""
LOST = b"X"
"""Kind of an answer made here: the step was ended because nobody waits for it."""
DIED = b"D"
"""Kind of an answer made here: the child ended under the step; the text says how."""
BYE = b"Q"
"""Kind of a message to an idle child: this worker needs it no more."""
READY = b"R"
"""Kind of the child's first message: it can take bundles."""
UNFIT = b"N"
"""Kind of an answer: no child can be started here."""

IDLE = 30.0
"""Seconds after which a child without work ends. A run that ends in order ends them at once."""
LOOK = 0.2
"""Seconds between two looks at whether the step is still wanted."""
PATIENCE = 5.0
"""Seconds that a child gets to end its step and itself."""

_HEAD = struct.Struct("=Ic")
_START = """\
import os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
above, runner = os.getppid(), os.fork()
if runner:
    gone = None
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, 1.0)
        ended, status = os.waitpid(runner, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
                os.kill(os.getpid(), -code)
            os._exit(code)
        if os.getppid() != above:
            gone = gone or time.monotonic()
            if time.monotonic() - gone > 10:
                os.kill(runner, signal.SIGKILL)
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from f0make.worker.cluster import step_process
step_process.main(sys.argv[2:])
"""
"""What the new process executes: a part that waits, and below it the one that runs steps.

Ray kills the children of a worker that ends, but not theirs: the lower one lives long enough to end its step. The
upper one tells how it ended, and kills it when a step keeps it from looking on (python code that never lets go)."""


class Child:
    """A process that runs one bundle after the other."""

    def __init__(self, run: str, setup: bytes, base: str) -> None:
        self.run = run
        self.token = ""
        self.idle_since = 0.0
        self.ready = False
        self.home, self.place = _place(run, base)
        self.line, theirs = socket.socketpair()
        self._buffer = bytearray()
        self._said = os.path.join(self.place, "stderr")
        with theirs, open(self._said, "wb") as said:
            self.process = subprocess.Popen(
                [
                    *(sys.executable or "python3", "-c", _START, _archive(self.place)),
                    *(str(theirs.fileno()), self.place, self.home),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                cwd=self.place,
            )
        self.line.sendall(setup)

    def ask(self, message: bytes, wanted: Callable[[], bool]) -> bytes:
        """Send ``message``; the answer, kind and all. Ends the child when ``wanted`` says no."""
        try:
            self.line.sendall(message)
        except OSError:
            pass  # Its end is found out below.
        poll = select.poll()
        poll.register(self.line, select.POLLIN)
        while True:
            if poll.poll(LOOK * 1000):
                try:
                    data = self.line.recv(1 << 18)
                except OSError:
                    data = b""
                if not data:
                    return message_of(DIED if self.ready else UNFIT, self._obituary())
                self._buffer += data
                answer = self._answer()
                if answer is not None:
                    return answer
            elif not wanted():
                self.end()
                return message_of(LOST, "it was told to end")

    def _answer(self) -> bytes | None:
        """The first complete message that ends the attempt; others are dropped."""
        while len(self._buffer) >= _HEAD.size:
            size, kind = _HEAD.unpack_from(self._buffer)
            if len(self._buffer) < _HEAD.size + size:
                break
            whole = bytes(self._buffer[: _HEAD.size + size])
            del self._buffer[: _HEAD.size + size]
            self.ready |= kind == READY
            if kind in ANSWERS:
                return whole
        return None

    def _obituary(self) -> str:
        code = self.end()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        try:
            with open(self._said, encoding="utf-8", errors="replace") as file:
                last = file.read()[-2000:].strip().rpartition("\n")[2]
        except OSError:
            last = ""
        return f"its process on the worker {how}" + (f": {last}" if last else "")

    def end(self) -> int:
        """Have the step and the child ended; its exit code."""
        self.line.close()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def tidy(self) -> None:
        """Remove what the child left; a child that ends in order leaves nothing."""
        shutil.rmtree(self.place, ignore_errors=True)
        try:
            os.rmdir(self.home)
        except OSError:
            pass  # Others are in it.


class Children:
    """The children of this worker: idle ones by run and setup, and those at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, bytes], list[Child]] = {}
        self.busy: set[Child] = set()
        self._timer: threading.Timer | None = None

    def take(self, run: str, setup: bytes, base: str) -> Child:
        """An idle child that was set up so, or a new one. Raises OSError when none can be started."""
        with self._lock:
            waiting = self._idle.get((run, setup))
            child = waiting.pop() if waiting else None
        if child is None:
            child = Child(run, setup, base)
        with self._lock:
            self.busy.add(child)
        return child

    def give_back(self, child: Child, setup: bytes, usable: bool) -> None:
        """``child`` has no work any more."""
        with self._lock:
            self.busy.discard(child)
            if usable:
                child.idle_since = time.monotonic()
                self._idle.setdefault((child.run, setup), []).append(child)
                if self._timer is None:
                    self._timer = self._start_timer()
        if not usable:
            child.end()
            child.tidy()

    def _start_timer(self) -> threading.Timer:
        timer = threading.Timer(IDLE / 3, self._look_for_idle)
        timer.daemon = True
        timer.start()
        return timer

    def _look_for_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            old = [c for some in self._idle.values() for c in some if now - c.idle_since >= IDLE]
            for some in self._idle.values():
                some[:] = [child for child in some if child not in old]
            left = any(self._idle.values())
            self._timer = self._start_timer() if left else None
        self._dismiss(old)

    def dismiss(self, run: str) -> None:
        """End the idle children of ``run``."""
        with self._lock:
            old = [c for key in self._idle if key[0] == run for c in self._idle[key]]
            for key in [key for key in self._idle if key[0] == run]:
                del self._idle[key]
        self._dismiss(old)

    def _dismiss(self, children: list[Child]) -> None:
        for child in children:
            try:
                child.line.sendall(message_of(BYE, ""))
            except OSError:
                pass  # It is gone already.
            child.line.close()
        for child in children:
            child.end()
            child.tidy()
        for home in {child.home for child in children}:
            if not any(child.home == home for child in self.busy):
                shutil.rmtree(home, ignore_errors=True)


# When Dask sends this module again, it is executed again in the same namespace: the children stay.
_children: Children = globals().get("_children") or Children()


def run(task: bytes, wanted: Callable[[], bool], base: str, address: str) -> bytes:
    """Run a bundle: ``task`` holds, pickled, the id of f0make's run, the token of the attempt, a message that sets a
    child up, and the bundle's.

    The answer: the worker's ``address``, NUL, and one message. ``wanted`` says whether the answer is still
    wanted; directories are made in ``base``. Never raises.
    """
    run_id, token, setup, message = pickle.loads(task)
    try:
        child = _children.take(run_id, setup, base)
    except (OSError, ValueError) as error:
        answer = message_of(UNFIT, f"no process can be started there: {error}")
    else:
        answer = message_of(LOST, "")
        child.token = token
        try:
            answer = child.ask(message, wanted)
        finally:
            _children.give_back(child, setup, usable=answer[4:5] == b"O")
    return os.fsencode(address) + b"\0" + answer


def running(run_id: str) -> list[str]:
    """The tokens of the attempts of the run that were begun here."""
    return [child.token for child in list(_children.busy) if child.run == run_id]


async def ended(run_id: str, seconds: float) -> int:
    """End everything of the run here, waiting up to ``seconds`` for steps that were told to end; what is left."""
    until = time.monotonic() + seconds

    def busy() -> int:
        return sum(1 for child in list(_children.busy) if child.run == run_id)

    for child in list(_children.busy):
        if child.run == run_id:
            try:
                child.line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    while busy() and time.monotonic() < until:
        await asyncio.sleep(0.02)
    await asyncio.get_running_loop().run_in_executor(None, _children.dismiss, run_id)
    return busy()


def probe(path: str, text: str, answer: str) -> str:
    """Whether this worker sees the file ``path`` with ``text``; it answers with a file too. "" or why not."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() != text:
                return f"{path} is another file there"
        with open(answer, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""


def message_of(kind: bytes, text: str) -> bytes:
    """A message with a text, as f0make reads it."""
    data = json.dumps(text).encode("ascii")
    return _HEAD.pack(len(data), kind) + data


def _place(run: str, base: str) -> tuple[str, str]:
    """The directory of a run on this worker, and a new one in it for a child. Raises OSError."""
    home = os.path.join(base, f"f0make-{run}-{os.getpid()}")
    while True:
        os.makedirs(home, mode=0o700, exist_ok=True)
        try:
            return home, tempfile.mkdtemp(prefix="slot-", dir=home)
        except FileNotFoundError:
            continue  # The last child that left has just removed it.


def _archive(place: str) -> str:
    """The path of the archive, written into ``place``."""
    path = os.path.join(place, "f0make.zip")
    with open(path, "wb") as file:
        file.write(ARCHIVE)
    return path


# How the engines call this.


def in_dask(task: bytes) -> bytes:
    """The task that a Dask worker runs."""
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        # A task that was cancelled, because f0make said so or is gone, is forgotten or in another state.
        state = worker.state.tasks.get(key)
        open_states = ("running", "paused", "closing_gracefully")
        return state is not None and state.state == "executing" and worker.status.name in open_states

    return run(task, wanted, worker.local_directory, worker.address)


def probe_in_dask(path: str, text: str, answers: dict[str, str], dask_worker: Any = None) -> str:
    """`probe` by a Dask worker; ``answers``: address of a worker -> where it answers."""
    answer = answers.get(dask_worker.address)
    return probe(path, text, answer) if answer else "it has come late"


def in_ray(task: bytes) -> bytes:
    """The task that a Ray worker runs: Ray kills the worker when its answer is not wanted any more."""
    import ray

    node = ray.util.get_node_ip_address()
    return run(task, lambda: True, tempfile.gettempdir(), f"{node}:{os.getpid()}")


def digest() -> str:
    """Digest of the archive."""
    return hashlib.sha256(ARCHIVE).hexdigest()
