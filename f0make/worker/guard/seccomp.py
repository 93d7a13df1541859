"""The kernel's side (seccomp(2), seccomp_unotify(2)): put this process under watch, receive and answer questions."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from fcntl import ioctl

from f0make.worker.guard.syscalls import MACHINES, Machine

_SET_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_NO_NEW_PRIVS = 38
_ALLOW, _ERRNO, _NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_RECEIVE, _SEND, _VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_QUESTION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000
_SET_DUMPABLE = 4
_FIRST_ARGUMENT = 16
"""Its offset in struct seccomp_data."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class Question:
    """A system call that waits for an answer."""

    __slots__ = ("args", "id", "number", "thread")

    def __init__(self, data: bytes) -> None:
        self.id, self.thread, _, self.number, _, _, *self.args = _QUESTION.unpack(data)


def machine() -> Machine | None:
    """What is known of this machine, None when nothing is."""
    system = os.uname()
    return (
        MACHINES.get(system.machine)
        if system.sysname == "Linux" and ctypes.sizeof(ctypes.c_void_p) == 8
        else None
    )


def watch_me(known: Machine) -> int:
    """Put this process, and all that it will start, under watch, for good: the descriptor that asks. Raises OSError.

    It gives up gaining rights by set-user-ID programs: the kernel wants that of who is not root.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _error()
    code = _filter(known)
    program = _Program(len(code) // 8, code)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        fd: int = libc.syscall(known.seccomp, _SET_FILTER, flags, ctypes.byref(program))
        if fd >= 0:
            return fd
        if ctypes.get_errno() != errno.EINVAL:
            break
    raise _error()


def receive(listener: int) -> Question | None:
    """The next question, None when who asked is gone. Raises OSError."""
    buffer = bytearray(_QUESTION.size)
    try:
        ioctl(listener, _RECEIVE, buffer)
    except FileNotFoundError:
        return None
    return Question(bytes(buffer))


def answer(listener: int, question: Question, error: int, done: bool = False) -> None:
    """Let the call go on (``error`` 0), or fail with ``error``; ``done``: it is done already. Raises OSError."""
    reply = _ANSWER.pack(question.id, 0, -error, 0 if error or done else _CONTINUE)
    try:
        ioctl(listener, _SEND, reply)
    except FileNotFoundError:
        pass  # it was killed meanwhile


def waits(listener: int, question: Question) -> bool:
    """Whether the caller still waits, so that what was read of its memory was its own."""
    try:
        ioctl(listener, _VALID, struct.pack("=Q", question.id))
    except OSError:
        return False
    return True


def _filter(known: Machine) -> bytes:
    """The BPF program: watched calls ask, refused ones fail, calls of another architecture fail, all else goes on.

    A process cannot hide its memory from who watches it: prctl(PR_SET_DUMPABLE) succeeds and does nothing.
    """
    asked, refused = list(known.watched), list(known.refused)
    # Targets, counted from the end: RETURN allow, ask, fail, and succeed without doing it.
    body: list[tuple[int, int, str | None, str | None]] = [
        (_LOAD, 4, None, None),
        (_EQUAL, known.audit, None, "fail"),
    ]
    body += [(_LOAD, 0, None, None)]
    if known.audit == 0xC000003E:
        body += [(_AT_LEAST, _X32, "fail", None)]
    body += [(_EQUAL, number, "ask", None) for number in asked]
    body += [(_EQUAL, number, "fail", None) for number in refused]
    body += [
        (_EQUAL, known.prctl, None, "allow"),
        (_LOAD, _FIRST_ARGUMENT, None, None),
        (_EQUAL, _SET_DUMPABLE, "pretend", None),
    ]
    ends = {name: len(body) + place for place, name in enumerate(("allow", "ask", "fail", "pretend"))}
    code = bytearray()
    for place, (what, value, yes, no) in enumerate(body):
        jumps = [ends[target] - place - 1 if target else 0 for target in (yes, no)]
        code += struct.pack("=HBBI", what, *jumps, value)
    for value in (_ALLOW, _NOTIFY, _ERRNO | errno.ENOSYS, _ERRNO):
        code += struct.pack("=HBBI", _RETURN, 0, 0, value)
    return bytes(code)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
