"""A small process, forked while f0make is still small, from which workers are forked when steps must run.

Such a worker is ready in a few milliseconds, and stays small, so that starting a command from it is cheap and
its memory does not count in the peak of a command. f0make becomes its parent (as the sub-reaper of what
intermediate processes leave), which is why this needs Linux; everywhere else, and for python steps, loky starts
workers.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence

from f0make.backends.local.shared_slots import Board
from f0make.worker import inherited_environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


_NAME = b"f0make-worker"
_MOST_FILES = 8
"""Descriptors that a worker may get."""


class ForkServer:
    """f0make's end. To be made while every signal is blocked. Raises OSError when it cannot be started."""

    def __init__(self) -> None:
        inherited_environ.fill_standard_streams()
        self.board = Board()
        self.queue, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs = theirs
        """The end of the queue from which workers take bundles."""
        self._line, line = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            _become_server(line, theirs, self.board)
        line.close()

    def start_worker(self, line: socket.socket, place: int, more: Sequence[int] = ()) -> None:
        """Fork a worker for ``place`` on the board; ``line`` is its end of a connection. Raises OSError.

        ``more`` are descriptors that it gets, too.
        """
        socket.send_fds(self._line, [b"%d\n" % place], [line.fileno(), *more])

    def shut(self) -> None:
        """Let the server end when it has started what it was asked to; `close` waits for that."""
        try:
            self._line.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """End the server; its workers stay. A second call does nothing."""
        if self._line.fileno() < 0:
            return
        self._line.close()
        self.queue.close()
        self.theirs.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass


class _Kept:
    server: ForkServer | None = None


def prepare(threads: bool = False) -> None:
    """Start a server for the run to come, where that is safe: on Linux, with a single thread.

    ``threads``: also when there are others, none of which holds a lock.
    """
    if sys.platform != "linux" or _Kept.server is not None:
        return
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1 and not threads:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        _Kept.server = ForkServer()
    except OSError:
        pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take() -> ForkServer | None:
    """The server that was prepared, which the caller must close; None when there is none."""
    server, _Kept.server = _Kept.server, None
    return server


def dismiss() -> None:
    """End the server that nobody has taken."""
    server = take()
    if server is not None:
        server.close()


def _become_server(line: socket.socket, queue: socket.socket, board: Board) -> NoReturn:
    try:
        _leave_f0make(line.fileno(), queue.fileno())
        from f0make.backends.local import forked_worker_main

        forked_worker_main.load()
        gc.collect()
        gc.freeze()
        while True:
            data, fds, _, _ = socket.recv_fds(line, 64, _MOST_FILES)
            if not data:
                break
            place = int(data)
            child = os.fork()
            if not child:
                # Whose parent ends at once comes to f0make, the sub-reaper above.
                if os.fork():
                    os._exit(0)
                line.close()
                forked_worker_main.work(socket.socket(fileno=fds[0]), fds[1:], queue, board, place)
                os._exit(0)
            os.waitpid(child, 0)
            for fd in fds:
                os.close(fd)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _leave_f0make(*kept: int) -> None:
    """Its session, streams and files: nobody who waits for f0make to close one must wait for this process."""
    os.setsid()
    # Signals were blocked for the fork; one that came meanwhile was meant for f0make.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    start = 3
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
