"""The workspace lock between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from f0make.errors import Exit, LockedError, StateError
from f0make.store.workspace_lock import WorkspaceLock, read_owner

HOLD = """
import sys, time
from f0make.store.workspace_lock import WorkspaceLock
lock = WorkspaceLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
{then}
"""


@contextmanager
def holder(workspace: Path, then: str = "time.sleep(60)") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD.format(then=then), str(workspace)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_second_is_told_who_and_since_when(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(LockedError) as caught:
            WorkspaceLock(str(tmp_path)).acquire()
        assert caught.value.exit_code is Exit.LOCKED
        text = str(caught.value)
        assert f"process {process.pid} on " in text
        assert str(tmp_path) in text
        assert time.strftime("since %Y-%m-%d %H:") in text
        assert "--wait" in text
        owner = read_owner(str(tmp_path))
        assert owner is not None
        assert owner["pid"] == process.pid
        assert isinstance(owner["argv"], list)
    assert (tmp_path / ".f0make" / ".gitignore").read_text() == "*\n"


def test_nothing_is_left_to_unlock_after_a_kill(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with WorkspaceLock(str(tmp_path)):
            owner = read_owner(str(tmp_path))
            assert owner is not None
            assert owner["pid"] == os.getpid()


def test_waiting_until_it_is_free(tmp_path: Path) -> None:
    with holder(tmp_path, "time.sleep(0.5); lock.release(); time.sleep(60)"):
        lock = WorkspaceLock(str(tmp_path))
        lock.acquire(wait=True)
        with pytest.raises(LockedError):
            WorkspaceLock(str(tmp_path)).acquire()
        lock.release()
        lock.release()


def test_signals_get_through_while_waiting(tmp_path: Path) -> None:
    with holder(tmp_path):

        def alarm(*_: object) -> None:
            raise KeyboardInterrupt("rang")

        old = signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            with pytest.raises(KeyboardInterrupt, match="rang"):
                WorkspaceLock(str(tmp_path)).acquire(wait=True)
        finally:
            signal.signal(signal.SIGALRM, old)
        end = time.monotonic() + 0.3
        with pytest.raises(LockedError):
            WorkspaceLock(str(tmp_path)).acquire(wait=True, stop=lambda: time.monotonic() > end)


def test_programs_that_are_started_do_not_hold_it(tmp_path: Path) -> None:
    then = (
        "import subprocess; p = subprocess.Popen(['sleep', '60'], close_fds=False); print(p.pid, flush=True)"
    )
    with holder(tmp_path, then) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        try:
            os.kill(child, 0)
            with WorkspaceLock(str(tmp_path)):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_fork_that_outlives_its_parent_is_not_taken_for_it(tmp_path: Path) -> None:
    then = "import os\nif os.fork() == 0:\n    print(os.getpid(), flush=True); time.sleep(60)\nos._exit(0)"
    with holder(tmp_path, then) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        try:
            with pytest.raises(LockedError, match="that process has ended"):
                WorkspaceLock(str(tmp_path)).acquire()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_removed_lock_file_locks_nobody_out(tmp_path: Path) -> None:
    first = WorkspaceLock(str(tmp_path))
    first.acquire()
    (tmp_path / ".f0make" / "lock").unlink()
    second = WorkspaceLock(str(tmp_path))
    second.acquire()
    with pytest.raises(LockedError):
        WorkspaceLock(str(tmp_path)).acquire()
    first.release()
    with pytest.raises(LockedError):
        WorkspaceLock(str(tmp_path)).acquire()
    second.release()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe", b'{"pid": 1, "host": "h"}'])
def test_a_damaged_lock_file_does_no_harm(tmp_path: Path, text: bytes) -> None:
    with holder(tmp_path):
        (tmp_path / ".f0make" / "lock").write_bytes(text)
        with pytest.raises(LockedError, match="another f0make holds the workspace"):
            WorkspaceLock(str(tmp_path)).acquire()
    with WorkspaceLock(str(tmp_path)):
        pass


def test_where_no_state_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / ".f0make").write_text("")
    with pytest.raises(StateError, match=r"\.f0make cannot be used"):
        WorkspaceLock(str(tmp_path)).acquire()


def test_a_lock_on_a_file_that_was_just_replaced_does_not_count(tmp_path: Path) -> None:
    lock = WorkspaceLock(str(tmp_path))
    lock.acquire()
    path = tmp_path / ".f0make" / "lock"
    fd = os.open(path, os.O_RDWR)
    try:
        assert lock._same_file(fd)
        path.unlink()
        assert not lock._same_file(fd)
        path.touch()
        assert not lock._same_file(fd)
    finally:
        os.close(fd)
        lock.release()
