"""After `kill -9` of f0make: its steps end by themselves, and the next run makes sure of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.backends.local import process_journal
from f0make.backends.local.process_journal import kill_leftovers
from f0make.worker import system
from f0make.worker.run_marks import marker, workspace_id
from tests.support.execution_support import Lab, alive, pid_in, run_files, until

DRIVER = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.support.execution_support import Lab
lab = Lab(Path(sys.argv[1]), jobs=2)
for command in sys.argv[2:]:
    if command == "python":
        lab.submit(module="mod", function="f")
    else:
        lab.submit(command)
lab.outcome(60)
"""

STEP = "echo $PPID > worker; echo $$ > step; sleep 60 & echo $! > child; wait"
DAEMON = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 0.05; done' & sleep 60"


def start(workspace: Path, *commands: str) -> subprocess.Popen[str]:
    driver = workspace / "driver.py"
    driver.write_text(DRIVER.format(path=[p for p in sys.path if p]))
    return subprocess.Popen(
        [sys.executable, str(driver), str(workspace), *commands], stderr=subprocess.PIPE, text=True
    )


def test_killed_f0make_takes_its_steps_along(tmp_path: Path) -> None:
    driver = start(tmp_path, STEP, DAEMON)
    pids = [pid_in(tmp_path / name) for name in ("worker", "step", "child", "daemon")]
    driver.kill()
    _, complaints = driver.communicate(timeout=10)
    until(lambda: not any(map(alive, pids)), 5)
    assert complaints == ""
    kill_leftovers(str(tmp_path))
    assert run_files(tmp_path) == []


def test_killed_with_its_workers(tmp_path: Path) -> None:
    driver = start(tmp_path, STEP, DAEMON)
    worker, *pids = (pid_in(tmp_path / name) for name in ("worker", "step", "child", "daemon"))
    workers = [int(n.removeprefix("worker-")) for n in run_files(tmp_path) if n.startswith("worker-")]
    assert worker in workers and len(workers) == 2
    driver.send_signal(signal.SIGSTOP)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    driver.kill()
    driver.communicate(timeout=10)
    assert all(map(alive, pids))
    assert kill_leftovers(str(tmp_path)) >= 3
    assert not any(map(alive, pids))
    assert run_files(tmp_path) == []


def test_a_python_step_that_never_lets_go(tmp_path: Path) -> None:
    """It runs in a process of its own, which its worker ends when f0make is gone."""
    (tmp_path / "mod.py").write_text(
        "import os\ndef f():\n    open('py', 'w').write(f'{os.getpid()}\\n')\n    sum(range(10**12))\n"
    )
    driver = start(tmp_path, "python")
    worker = pid_in(tmp_path / "py")
    driver.kill()
    driver.wait(timeout=10)
    until(lambda: not alive(worker))
    assert until(lambda: kill_leftovers(str(tmp_path)) == 0)


def test_a_group_is_known_by_pid_and_start(tmp_path: Path) -> None:
    """A step that has dropped the marker is found by the journal and its log; others are spared whatever the journal says."""
    run = tmp_path / ".f0make" / "run"
    run.mkdir(parents=True)
    (run.parent / "logs").mkdir()
    before = system.now()
    processes = [
        subprocess.Popen(
            ["env", "-i", "sleep", "60"],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=(run.parent / "logs" / name).open("w") if name else None,
        )
        for name in ("a.log", "b.log", "")
    ]
    after = system.now()
    old, stranger, victim = (p.pid for p in processes)
    until(lambda: all(b"sleep" in Path(f"/proc/{p}/cmdline").read_bytes() for p in (old, stranger)))
    header = f"f0make-run-1 {system.boot()} {before} 1 1\n"
    try:
        (run / "worker-1").write_text(f"{header}{stranger} {before - 500} {after - 400}\n")
        assert kill_leftovers(str(tmp_path)) == 0
        assert alive(stranger) and alive(old)
        (run / "worker-1").write_text(
            f"{header.replace(system.boot(), 'another-boot')}{old} {before} {after}\n"
        )
        assert kill_leftovers(str(tmp_path)) == 0
        assert alive(old)
        # Planted: the journal is right about the pid and its start, and names it as a worker, too.
        for planted in (
            f"{header}{victim} {before} {after}\n",
            f"f0make-run-1 {system.boot()} {before} {victim} {system.facts(victim)[4]}\n0 0 0\n",
        ):
            (run / f"worker-{victim}").write_text(planted)
            assert kill_leftovers(str(tmp_path)) == 0
            assert alive(victim)
        (run / "worker-1").write_text(f"{header}{old} {before} {after}\n")
        assert kill_leftovers(str(tmp_path)) == 1
        assert not alive(old) and alive(stranger)
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    "content", [b"", b"f0make-run-1 x", b"\xff\x00garbage\n1 2 3\n", b"f0make-run-1 boot 1 2 3\n"]
)
def test_a_torn_journal_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    run = tmp_path / ".f0make" / "run"
    run.mkdir(parents=True)
    (run / "worker-77").write_bytes(content)
    (run / "script-77-1").write_text("left")
    marked = subprocess.Popen(
        ["sleep", "60"],
        env={"F0MAKE_WORKSPACE": f"1.2:{workspace_id(str(tmp_path))}", "PATH": os.environ["PATH"]},
    )
    other = subprocess.Popen(["sleep", "60"], env={"F0MAKE_WORKSPACE": "1.2", "PATH": os.environ["PATH"]})
    try:
        killed = kill_leftovers(str(tmp_path))
        assert alive(other.pid)
        assert killed == (0 if content.startswith(b"f0make-run-1 boot") else 1)
        assert alive(marked.pid) == (killed == 0)
        assert run_files(tmp_path) == []
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()


def test_it_never_ends_itself_or_its_ancestors(tmp_path: Path) -> None:
    """A f0make that waited for the lock inside of a step of the run that was killed."""
    lab = Lab(tmp_path)
    inner = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
        "from f0make.backends.local.process_journal import kill_leftovers\n"
        "print(kill_leftovers(sys.argv[1]), flush=True)\n"
    )
    (tmp_path / "inner.py").write_text(inner)
    try:
        outcome = lab.run(
            f"sleep 60 & echo $! > bystander; {sys.executable} inner.py {tmp_path}; echo still here"
        )
        assert outcome.ok, (outcome.message, lab.log)
        assert lab.log.startswith("1\n") and lab.log.endswith("still here\n")
        assert not alive(pid_in(tmp_path / "bystander"))
    finally:
        lab.stop()


def test_nothing_is_looked_at_after_an_orderly_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kill_leftovers(str(tmp_path)) == 0
    lab = Lab(tmp_path)
    assert lab.run("true").ok
    assert len(run_files(tmp_path)) == 2
    lab.stop()

    def never() -> None:
        raise AssertionError("processes were looked at")

    monkeypatch.setattr(process_journal.system, "everyone", never)
    assert kill_leftovers(str(tmp_path)) == 0


def test_marker(tmp_path: Path) -> None:
    own = workspace_id(str(tmp_path))
    assert marker(str(tmp_path), "") == own
    assert marker(str(tmp_path), "1.2") == f"1.2:{own}"
    assert marker(str(tmp_path), f"1.2:{own}:3.4") == f"1.2:{own}:3.4"
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert workspace_id(str(tmp_path.with_name("elsewhere"))) == own
