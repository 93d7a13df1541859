"""The agent by itself, started through a shell as a host starts it: old Pythons, greetings, damage, the lease."""

from __future__ import annotations

import glob
import hashlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.backends import shipped_code
from f0make.backends.ssh import bootstrap
from f0make.worker.agent import send as outbox
from f0make.worker.agent import wire_format
from f0make.worker.bundle import Bundle, Outcome
from tests.support.execution_support import alive, pid_in, until

MARK = "mark-0123"


def python(version: str) -> str | None:
    """An interpreter of ``version`` on this machine."""
    found = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python3"))
    return found[0] if found else None


class Shell:
    """A login shell that f0make talks to through pipes."""

    def __init__(self, home: Path, interpreter: str | None, shell: str = "exec", lease: float = 20.0) -> None:
        self.home = home
        (home / "bin").mkdir(exist_ok=True)
        link = home / "bin" / "python3"
        link.unlink(missing_ok=True)
        if interpreter:
            link.symlink_to(interpreter)
        sh = home / "bin" / "sh"
        if not sh.exists():
            sh.symlink_to("/bin/sh")
        self.digest, self.archive = shipped_code.archive()
        text = bootstrap.command(MARK, "wd", self.digest, len(self.archive))
        path = f"{home}/bin" if interpreter is None else f"{home}/bin:/usr/bin:/bin"
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'{shell} /bin/sh -c "$0"' if shell == "exec" else shell, text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": path, "HOME": str(home), "USER": "somebody"},
        )
        self.sent = 0
        self.lease = lease
        self.frames = wire_format.Frames()
        self.waiting: list[tuple[int, bytes]] = []

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.sent += len(data)
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self, timeout: float) -> bytes:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise TimeoutError
        return os.read(self.process.stdout.fileno(), 1 << 20)

    def complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def begin(self) -> dict[str, Any]:
        """Start the agent; what it says of its host."""
        rest = bootstrap.begin(self, MARK, "h", self.archive, 20.0)
        self.send(
            wire_format.message(wire_format.HELLO, {"lease": self.lease, "slots": 2, "env": {"MORE": "1"}})
        )
        self.waiting += self.frames.feed(rest)
        found: dict[str, Any] = wire_format.value_of(self.next(wire_format.UP))
        return found

    def next(self, kind: int) -> bytes:
        """The next message of ``kind``; others before it are dropped."""
        until_ = time.monotonic() + 20
        while time.monotonic() < until_:
            while self.waiting:
                found, payload = self.waiting.pop(0)
                if found == kind:
                    return payload
            self.waiting += self.frames.feed(self.receive(20.0))
        raise TimeoutError

    def run(self, command: str, **fields: Any) -> Outcome:
        self.send(wire_format.bundle_message(bundle(command, **fields)))
        return wire_format.outcome_of(self.next(wire_format.OUTCOME))[0]

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait(10)


def bundle(command: str | None, **fields: Any) -> Bundle:
    base: dict[str, Any] = {
        "token": "t",
        "instance": "i",
        "step": "i",
        "attempt": 1,
        "kind": "shell" if command else "python",
        "workspace": "",
        "command": command,
    }
    return Bundle(**(base | fields))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Shell]]:
    shells: list[Shell] = []

    def make(interpreter: str | None = python("3.9"), **how: Any) -> Shell:
        shells.append(Shell(tmp_path, interpreter, **how))
        return shells[-1]

    if python("3.9") is None:
        pytest.skip("there is no Python 3.9 on this machine")
    yield make
    for shell in shells:
        shell.close()


def test_python_3_9_runs_shell_and_python_steps(start: Callable[..., Shell]) -> None:
    shell = start()
    assert shell.begin()["python"].startswith("3.9.")
    outcome = shell.run("echo hi > out; env | sort > env", outputs=[("out", False), ("env", False)])
    assert outcome.ok, outcome.message
    code = b"from scriptlets.core.base import BaseScriptlet\nclass S(BaseScriptlet):\n    def run(self, ctx, params):\n        ctx.set('k', 2)\n"
    pack = outbox.Pack()
    digest = hashlib.sha256(code).hexdigest()
    shell.send(
        wire_format.bundle_message(bundle(None, module="mine", function="S", modules={"mine.py": digest}))
    )
    assert wire_format.value_of(shell.next(wire_format.WANT)) == [digest]
    pack.add(digest, code)
    shell.send(pack.take())
    outcome = wire_format.outcome_of(shell.next(wire_format.OUTCOME))[0]
    assert outcome.ok and outcome.writes[0]["key"] == "k", outcome.message


@pytest.mark.parametrize("version", ["3.7", "3.8", "2.7"])
def test_an_old_python_says_what_it_is(start: Callable[..., Shell], version: str) -> None:
    old = python(version)
    if old is None:
        pytest.skip(f"there is no Python {version} on this machine")
    with pytest.raises(bootstrap.NotStarted, match=f"h: its python3 is Python {version}.*3.9 or newer"):
        start(old).begin()


def test_no_python_at_all(start: Callable[..., Shell]) -> None:
    with pytest.raises(bootstrap.NotStarted, match="h: there is no python3"):
        start(None).begin()


def test_a_greeting_is_passed_over(start: Callable[..., Shell]) -> None:
    shell = start(shell='echo Welcome; echo "mark-01 "; printf \'no newline\'; eval "$0"')
    shell.begin()
    assert shell.run("true").ok


def test_the_code_is_sent_once_and_a_damaged_copy_is_replaced(
    start: Callable[..., Shell], tmp_path: Path
) -> None:
    first = start()
    first.begin()
    assert first.sent > len(first.archive)
    second = start()
    second.begin()
    assert second.sent < 1000
    (copy,) = (tmp_path / "wd" / "agent").iterdir()
    copy.write_bytes(copy.read_bytes()[:-100])
    third = start()
    third.begin()
    assert third.sent > len(third.archive) and third.run("true").ok
    assert [p.name for p in copy.parent.iterdir()] == [f"{third.digest}.zip"]


def test_everything_lies_below_a_private_workdir(start: Callable[..., Shell], tmp_path: Path) -> None:
    shell = start()
    shell.begin()
    shell.run("echo > out", outputs=[("out", False)])
    shell.close()
    assert (tmp_path / "wd").stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "wd"]
    assert list((tmp_path / "wd" / "run").iterdir()) == []


ESCAPE = "echo $$ > {0}/step; setsid sh -c 'trap \"\" TERM; echo $$ > {0}/daemon; sleep 100' & trap '' TERM; sleep 100"


@pytest.mark.parametrize("how", ["close", "kill", "lease"])
def test_steps_end_with_the_agent_or_its_connection(
    start: Callable[..., Shell], tmp_path: Path, how: str
) -> None:
    shell = start(lease=2.0 if how == "lease" else 20.0)
    shell.begin()
    shell.send(wire_format.bundle_message(bundle(ESCAPE.format(tmp_path))))
    pids = [pid_in(tmp_path / "step"), pid_in(tmp_path / "daemon")]
    if how == "close":
        assert shell.process.stdin is not None
        shell.process.stdin.close()
    elif how == "kill":
        shell.process.kill()
    until(lambda: not any(alive(pid) for pid in pids))
    shell.process.wait(10)


def test_stop_gives_grace_and_says_goodbye(start: Callable[..., Shell], tmp_path: Path) -> None:
    shell = start()
    shell.begin()
    shell.send(
        wire_format.bundle_message(
            bundle(f"trap 'echo > {tmp_path}/polite; exit' TERM; echo $$ > {tmp_path}/pid; sleep 100 & wait")
        )
    )
    pid = pid_in(tmp_path / "pid")
    shell.send(wire_format.message(wire_format.STOP, 5.0))
    shell.next(wire_format.BYE)
    assert (tmp_path / "polite").exists() and not alive(pid)


def test_a_killed_step_is_told_by_its_signal(start: Callable[..., Shell]) -> None:
    shell = start()
    shell.begin()
    outcome = shell.run("kill -9 $$")
    assert (outcome.ok, outcome.lost, outcome.signal) == (False, False, signal.SIGKILL)
    assert "SIGKILL" in outcome.message
    shell.send(wire_format.frame(wire_format.GO_ON))
    outcome = shell.run("kill -9 $PPID; sleep 10")
    assert (outcome.ok, outcome.lost, outcome.signal) == (False, False, signal.SIGKILL)
    shell.send(wire_format.frame(wire_format.GO_ON))
    assert shell.run("true").ok


def test_a_damaged_content_is_asked_for_again(start: Callable[..., Shell], tmp_path: Path) -> None:
    shell = start()
    shell.begin()
    good = hashlib.sha256(b"good").hexdigest()
    shell.send(wire_format.bundle_message(bundle("cat a", inputs=["a"], contents={"a": good})))
    assert wire_format.value_of(shell.next(wire_format.WANT)) == [good]
    pack = outbox.Pack()
    pack.add(good, b"evil")
    shell.send(pack.take())
    assert wire_format.value_of(shell.next(wire_format.BAD)) == [good]
    pack.add(good, b"good")
    shell.send(pack.take())
    assert wire_format.outcome_of(shell.next(wire_format.OUTCOME))[0].ok
    # What is damaged in its store is asked for again, too.
    (blob,) = (tmp_path / "wd" / "cache" / "cas").rglob(good)
    blob.chmod(0o644)
    blob.write_bytes(b"evil")
    shell.send(wire_format.bundle_message(bundle("cat a", inputs=["a"], contents={"a": good})))
    assert wire_format.value_of(shell.next(wire_format.WANT)) == [good]
    pack.add(good, b"good")
    shell.send(pack.take())
    assert wire_format.outcome_of(shell.next(wire_format.OUTCOME))[0].ok
