"""Parts of the watching that need no kernel: the filter's program, by interpretation, and the rules."""

from __future__ import annotations

import errno
import struct

import pytest

from f0make.worker.guard.access_rules import Rules, trees
from f0make.worker.guard.seccomp import _filter
from f0make.worker.guard.syscalls import MACHINES, Machine

ALLOW, ASK, FAIL = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS


def interpret(code: bytes, number: int, audit: int, first: int = 0) -> int:
    """What the program says of a call (struct seccomp_data: number, architecture, caller, arguments)."""
    data = struct.pack("=iIQ6Q", number, audit, 0, first, 0, 0, 0, 0, 0)
    lines = list(struct.iter_unpack("=HBBI", code))
    place, register = 0, 0
    while True:
        what, yes, no, value = lines[place]
        place += 1
        if what == 0x20:
            register = struct.unpack_from("=I", data, value)[0]
        elif what == 0x15:
            place += yes if register == value else no
        elif what == 0x35:
            place += yes if register >= value else no
        else:
            assert what == 0x06
            return int(value)


@pytest.mark.parametrize("name", MACHINES)
def test_the_filter_asks_about_what_is_watched_and_nothing_else(name: str) -> None:
    known: Machine = MACHINES[name]
    code = _filter(known)
    for number in range(600):
        expected = ASK if number in known.watched else FAIL if number in known.refused else ALLOW
        assert interpret(code, number, known.audit) == expected, number
    assert interpret(code, known.prctl, known.audit, 4) == 0x00050000, (
        "PR_SET_DUMPABLE: it says yes, and is not done"
    )
    assert interpret(code, known.prctl, known.audit, 15) == ALLOW
    assert interpret(code, 2, 0x40000003) == FAIL  # a program for i386
    if name == "x86_64":
        assert interpret(code, 0x40000000 | 2, known.audit) == FAIL  # the x32 way to make calls


def test_rules() -> None:
    rules = Rules(
        "/home/me/w/",
        reads={"/home/me/w/in", "/home/me/w/mod.py"},
        read_trees=trees(["/home/me/w/data"]),
        writes={"/home/me/w/sub/out"},
        write_trees=trees(["/home/me/w/tree/"]),
        tools=trees(["/home/me/w/.venv", "/home/me/.local"]),
    )
    for path in (
        *("in", "data/x", "sub/out", "tree/x", ".venv/lib/y", "__pycache__/mod.cpython-311.pyc"),
        *("/usr/lib/x", "/etc/passwd", "/home/me/.local/lib/z", "/proc/self/maps"),
    ):
        assert rules.may_read(path if path.startswith("/") else f"/home/me/w/{path}"), path
    for path in (
        "in2",
        "database",
        ".git/HEAD",
        "__pycache__/other.cpython-311.pyc",
        "/home/me/x",
        "/tmp/x",
        "/srv/x",
    ):
        assert not rules.may_read(path if path.startswith("/") else f"/home/me/w/{path}"), path
    for path in ("sub/out", "tree", "tree/x", "/dev/null"):
        assert rules.may_write(path if path.startswith("/") else f"/home/me/w/{path}"), path
    for path in ("in", "data/x", "sub/out2", "tree2", "/usr/lib/x", "/etc/passwd", "/home/me/.local/x"):
        assert not rules.may_write(path if path.startswith("/") else f"/home/me/w/{path}"), path
    assert rules.may_make("/home/me/w/sub") and not rules.may_make("/home/me/w/other")
    # A workspace below a directory of the system is not the system's.
    assert not Rules("/dev/shm/w/").may_write("/dev/shm/w/x") and Rules("/dev/shm/w/").may_write("/dev/shm/x")
    assert not Rules("/opt/w/").may_read("/opt/w/x") and Rules("/opt/w/").may_read("/opt/x")
