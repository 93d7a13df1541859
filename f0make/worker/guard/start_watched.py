"""Start a process under watch: fork, put the child under watch, hand its listener over, then let it go on."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping

from f0make.worker import system
from f0make.worker.guard import landlock, seccomp
from f0make.worker.guard.syscalls import Machine
from f0make.worker.process import default_signals
from f0make.worker.shell_command import Launch

Started = tuple[int, int, socket.socket]
"""Process id, listener, and the socket over which the child tells what went wrong, or its result."""


def start(
    launch: Launch, environ: Mapping[bytes, bytes], output: int, known: Machine, ruleset: int | None
) -> Started:
    """Start ``launch`` as `process.run` does, under watch, and kept to the Landlock ``ruleset``.

    Raises OSError when the kernel refuses to watch.
    """

    def child(line: socket.socket) -> None:
        os.setpgid(0, 0) if system.REAPER else os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        default_signals()
        if ruleset is not None:
            landlock.restrict_me(ruleset)
        _hand_over(line, known)
        try:
            os.execve(launch.program, launch.argv, environ)
        except OSError:
            if launch.otherwise is None:
                raise
            os.execve(launch.otherwise[0], launch.otherwise[1:], environ)

    return _fork(child)


def call(work: Callable[[], bytes], known: Machine) -> Started:
    """Have ``work`` done in a fork of this process, under watch; its result goes over the socket."""

    def child(line: socket.socket) -> None:
        _hand_over(line, known)
        line.sendall(b"\0" + work())

    return _fork(child)


def result(line: socket.socket) -> bytes:
    """What `call` gives back, or nothing (`start`: the program was started). Raises OSError that happened there."""
    found = bytearray()
    with line:
        while data := line.recv(1 << 16):
            found += data
    if found[:1] == b"E":
        number, _, name = found[1:].partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(bytes(name)) or None)
    return bytes(found[1:])


def _fork(child: Callable[[socket.socket], None]) -> Started:
    here, there = socket.socketpair()
    pid = os.fork()
    if not pid:
        code = 127
        try:
            here.close()
            child(there)
            code = 0
        except OSError as error:
            name = error.filename if isinstance(error.filename, (str, bytes)) else ""
            there.sendall(b"E%d %b" % (error.errno or 0, os.fsencode(name)))
        finally:
            os._exit(code)
    there.close()
    try:
        _, fds, _, _ = socket.recv_fds(here, 1, 1)
        if not fds:
            result(here)
            raise OSError("the child ended before it was under watch")
    except BaseException:
        here.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return pid, fds[0], here


def _hand_over(line: socket.socket, known: Machine) -> None:
    listener = seccomp.watch_me(known)
    socket.send_fds(line, [b"L"], [listener])
    os.close(listener)
