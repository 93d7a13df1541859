"""Timeouts, kills and interrupts: every process of a step ends, its outcome arrives, nothing lingers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from f0make.worker import system
from tests.support.execution_support import WORKERS, Lab, alive, pid_in, run_files, until

DAEMON = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 0.05; done' & "
"""Its own session, deaf to TERM, no child of the step's main process for long."""


@pytest.fixture(params=["loky", "forked"], autouse=True)
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKERS, request.param)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path, jobs=2)
    yield lab
    lab.stop(0.2)


def worker_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def test_timeout(lab: Lab) -> None:
    outcome = lab.run("echo begun; echo $$ > main; sleep 60", timeout=0.3)
    assert (outcome.ok, outcome.message, outcome.lost) == (False, "timed out after 0.3 s", False)
    assert outcome.signal == signal.SIGTERM and 0.3 <= outcome.seconds < 20
    assert lab.log == "begun\n"
    assert not alive(pid_in(lab.path / "main"))


def test_timeout_of_what_ignores_term(lab: Lab) -> None:
    outcome = lab.run(f"{DAEMON} trap '' TERM; while :; do sleep 0.05; done", timeout=0.3)
    assert outcome.message == "timed out after 0.3 s" and outcome.signal == signal.SIGKILL
    assert 2 <= outcome.seconds < 20
    assert not alive(pid_in(lab.path / "daemon"))


def test_a_step_within_its_time(lab: Lab) -> None:
    assert lab.run("sleep 0.05", timeout=30.0).ok


def test_kill_one_of_two(lab: Lab) -> None:
    doomed = lab.submit("echo $$ > one; sleep 60")
    other = lab.submit("echo $$ > two; while [ ! -e go ]; do sleep 0.02; done")
    pid_in(lab.path / "two")
    main = pid_in(lab.path / "one")
    lab.backend.kill(doomed.token)
    outcome = lab.outcome()
    assert (outcome.token, outcome.ok, outcome.message) == (doomed.token, False, "killed by SIGTERM")
    assert not alive(main)
    lab.backend.kill("no such token")
    (lab.path / "go").touch()
    assert (lab.outcome().token, lab.inbox.qsize()) == (other.token, 0)


def test_kill_what_ignores_term_and_what_is_queued(lab: Lab) -> None:
    deaf = "trap '' TERM; echo $$ > {}; while :; do sleep 0.05; done"
    first, second = lab.submit(deaf.format("p1")), lab.submit(deaf.format("p2"))
    queued = lab.submit("touch never")
    pids = [pid_in(lab.path / "p1"), pid_in(lab.path / "p2")]
    lab.backend.kill(queued.token)
    outcome = lab.outcome()
    assert (outcome.token, outcome.ok, outcome.lost) == (queued.token, False, True)
    for bundle in (first, second):
        lab.backend.kill(bundle.token)
    outcomes = [lab.outcome(), lab.outcome()]
    assert {o.message for o in outcomes} == {"killed by SIGKILL"}
    assert not any(map(alive, pids)) and not (lab.path / "never").exists()


def test_what_waits_for_a_busy_worker_can_be_taken_back(lab: Lab) -> None:
    wait = "echo $$ > {}; while [ ! -e go ]; do sleep 0.02; done"
    lab.backend.withdraw()
    running = {lab.submit(wait.format(name)).token for name in ("p1", "p2")}
    waiting = [lab.submit("touch never") for _ in range(3)]
    for name in ("p1", "p2"):
        pid_in(lab.path / name)
    lab.backend.withdraw()
    back = [lab.outcome() for _ in waiting]
    assert [(o.token, o.ok, o.lost) for o in back] == [(b.token, False, True) for b in waiting]
    again = lab.submit("touch later")
    (lab.path / "go").touch()
    assert {lab.outcome().token for _ in range(3)} == running | {again.token}
    assert (lab.path / "later").exists() and not (lab.path / "never").exists()


def test_what_has_a_worker_to_come_is_not_taken_back(lab: Lab) -> None:
    tokens = {lab.submit(f"touch {name}").token for name in ("one", "two")}
    lab.backend.withdraw()
    assert {(o.token, o.ok) for o in (lab.outcome(), lab.outcome())} == {(token, True) for token in tokens}


def test_kill_a_python_step(lab: Lab) -> None:
    (lab.path / "mod.py").write_text(
        "import subprocess\ndef f():\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    open('child', 'w').write(f'{child.pid}\\n')\n"
        "    sum(range(10**12))\n"
    )
    bundle = lab.submit(module="mod", function="f")
    child = pid_in(lab.path / "child")
    lab.backend.kill(bundle.token)
    outcome = lab.outcome()
    assert (outcome.ok, outcome.lost, outcome.message) == (False, False, "killed by SIGTERM")
    assert outcome.signal == signal.SIGTERM
    assert not alive(child)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", "killed by SIGTERM"),
        ("os._exit(3)", "its process ended with exit code 3 before the step was done"),
        ("pass", ""),
    ],
)
def test_a_python_step_whose_parent_collected_it_and_was_killed(lab: Lab, end: str, message: str) -> None:
    """The warm interpreter that forked it dies between collecting it and saying so."""
    environment = lab.path / "env"
    venv.create(environment, symlinks=True, with_pip=False)
    (next(environment.glob("lib/python3*/site-packages")) / "sitecustomize.py").write_text(
        "import os\n"
        "wait = os.wait4\n"
        "def collect(pid, options):\n"
        "    wait(pid, options)\n"
        "    os.kill(os.getpid(), 9)\n"
        "os.wait4 = collect\n"
    )
    (lab.path / "mod.py").write_text(f"import os, signal\ndef f():\n    {end}\n")
    outcome = lab.run(module="mod", function="f", python=str(environment / "bin" / "python"), own_python=True)
    assert (outcome.ok, outcome.message) == (not message, message)


def test_a_python_step_is_killed_while_its_interpreter_starts(lab: Lab) -> None:
    environment = lab.path / "env"
    venv.create(environment, symlinks=True, with_pip=False)
    (next(environment.glob("lib/python3*/site-packages")) / "sitecustomize.py").write_text(
        "import time\nopen('starting', 'w').write('1\\n')\ntime.sleep(60)\n"
    )
    (lab.path / "mod.py").write_text("def f():\n    pass\n")
    python = str(environment / "bin" / "python")
    bundle = lab.submit(module="mod", function="f", python=python, own_python=True)
    pid_in(lab.path / "starting")
    lab.backend.kill(bundle.token)
    outcome = lab.outcome()
    assert (outcome.ok, outcome.lost, outcome.signal) == (False, False, signal.SIGTERM)
    assert outcome.message == f"the interpreter {python} cannot be started: killed by SIGTERM (see the log)"


def test_a_worker_that_is_killed_fails_its_own_step_only(lab: Lab) -> None:
    doomed = lab.submit(f"{DAEMON} echo $$ > one; sleep 60")
    other = lab.submit("echo $$ > two; while [ ! -e go ]; do sleep 0.02; done; touch out", outputs=["out"])
    waiting = [lab.submit(f"touch w{n}", outputs=[f"w{n}"]) for n in range(3)]
    main, daemon = pid_in(lab.path / "one"), pid_in(lab.path / "daemon")
    pid_in(lab.path / "two")
    os.kill(worker_of(main), signal.SIGKILL)
    outcome = lab.outcome()
    assert (outcome.token, outcome.ok, outcome.lost) == (doomed.token, False, False)
    assert "SIGKILL" in outcome.message and outcome.signal == signal.SIGKILL
    # By the time that it is told, nothing of it is left.
    assert not alive(main) and not alive(daemon)
    (lab.path / "go").touch()
    rest = [lab.outcome() for _ in range(4)]
    assert all(o.ok for o in rest)
    assert {o.token for o in rest} == {other.token, *(b.token for b in waiting)}


def test_a_dead_worker_leaves_no_script(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.submit("#!/bin/sh\necho $$ > one\nsleep 60\n")
    os.kill(worker_of(pid_in(tmp_path / "one")), signal.SIGKILL)
    assert not lab.outcome().ok
    assert not [name for name in run_files(tmp_path) if name.startswith("script-")]
    lab.stop()
    assert run_files(tmp_path) == []


def test_an_idle_worker_that_is_killed_is_replaced_silently(lab: Lab) -> None:
    assert lab.run("echo $PPID > worker").ok
    os.kill(pid_in(lab.path / "worker"), signal.SIGKILL)
    time.sleep(0.1)
    assert lab.run("true").ok and lab.run("true").ok


def test_a_worker_dies_while_another_one_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others have sent is read when one is found dead; then there is nothing left to read of them."""
    monkeypatch.setenv(WORKERS, "forked")
    lab = Lab(tmp_path, jobs=2)
    try:
        lab.submit("echo $PPID > worker; sleep 60")
        lab.submit("touch second; while [ ! -e go ]; do sleep 0.01; done; touch done")
        worker = pid_in(tmp_path / "worker")
        until((tmp_path / "second").exists)
        with lab.backend._lock:  # Its thread comes to both at once.
            lab.backend._ring()
            time.sleep(0.1)
            os.kill(worker, signal.SIGKILL)
            until(lambda: not alive(worker))
            (tmp_path / "go").touch()
            until((tmp_path / "done").exists)
            time.sleep(0.3)
        assert sorted(lab.outcome().ok for _ in range(2)) == [False, True]
    finally:
        lab.stop(0.2)


@pytest.mark.parametrize("stopped", [False, True])
def test_stop_ends_everything(tmp_path: Path, stopped: bool) -> None:
    lab = Lab(tmp_path, jobs=2)
    (tmp_path / "mod.py").write_text(
        "import time\ndef f():\n    open('py', 'w').write('1\\n')\n    time.sleep(60)\n"
    )
    shell = lab.submit(f"{DAEMON} echo $$ > one; sleep 60 & echo $! > two; trap '' TERM; wait; sleep 60")
    python = lab.submit(module="mod", function="f")
    queued = lab.submit("touch never")
    pids = [pid_in(tmp_path / name) for name in ("one", "two", "daemon")]
    pid_in(tmp_path / "py")
    worker = worker_of(pids[0])
    if stopped:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    lab.stop(0.5)
    assert time.monotonic() - began < 20
    assert not any(map(alive, [*pids, worker]))
    outcomes = {lab.outcome(1).token: None for _ in range(3)}
    assert set(outcomes) == {shell.token, python.token, queued.token}
    assert not (tmp_path / "never").exists() and run_files(tmp_path) == []
    lab.stop(0.5)
    lab.submit("true")
    assert lab.outcome(1).lost


def test_stop_is_quick_when_steps_obey(tmp_path: Path) -> None:
    lab = Lab(tmp_path, jobs=2)
    for name in ("a", "b"):
        lab.submit(f"echo $$ > {name}; sleep 60")
    pids = [pid_in(tmp_path / name) for name in ("a", "b")]
    began = time.monotonic()
    lab.stop(20)
    assert time.monotonic() - began < 10
    assert not any(map(alive, pids))


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.08, 0.15])
def test_stop_while_workers_start(tmp_path: Path, delay: float) -> None:
    lab = Lab(tmp_path, jobs=2)
    for _ in range(3):
        lab.submit("sleep 60")
    time.sleep(delay)
    began = time.monotonic()
    lab.stop(0.5)
    assert time.monotonic() - began < 10
    outcomes = [lab.outcome(1) for _ in range(3)]
    assert not any(o.ok for o in outcomes)
    assert run_files(tmp_path) == []


def test_nothing_lingers(tmp_path: Path) -> None:
    # The first one in a process leaves what the next ones use again: whether there was one is the order's affair.
    first = Lab(tmp_path, jobs=2)
    assert first.run("true").ok
    first.stop()
    before = _children()
    semaphores = {n for n in os.listdir("/dev/shm") if str(os.getpid()) in n}
    threads = threading.active_count()
    files = set(os.listdir("/proc/self/fd"))
    lab = Lab(tmp_path, jobs=2)
    for _ in range(4):
        lab.submit("true")
    assert all(lab.outcome().ok for _ in range(4))
    lab.stop()
    assert _children() == before
    assert {n for n in os.listdir("/dev/shm") if str(os.getpid()) in n} == semaphores
    assert threading.active_count() == threads
    assert len(set(os.listdir("/proc/self/fd"))) <= len(files) + 1
    assert run_files(tmp_path) == []


def _children() -> set[int]:
    return {p for p, about in system.everyone().items() if about[1] == os.getpid()}


def test_no_more_workers_than_work(tmp_path: Path) -> None:
    lab = Lab(tmp_path, jobs=8)
    try:
        assert lab.backend.slots == 8
        assert lab.run("true").ok
        assert sum(name.startswith("worker-") for name in run_files(tmp_path)) == 1
    finally:
        lab.stop()


def test_many_steps_share_the_slots(tmp_path: Path) -> None:
    lab = Lab(tmp_path, jobs=2)
    try:
        bundles = [lab.submit(f"touch m{n}", outputs=[f"m{n}"]) for n in range(60)]
        outcomes = [lab.outcome() for _ in bundles]
        assert {o.token for o in outcomes} == {b.token for b in bundles} and all(o.ok for o in outcomes)
    finally:
        lab.stop()


def test_ctrl_c_reaches_f0make_only(tmp_path: Path) -> None:
    """A terminal sends SIGINT to the whole foreground group, also while workers are starting."""
    import subprocess

    driver = tmp_path / "driver.py"
    driver.write_text(
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
        "import os, signal, time\n"
        "from pathlib import Path\n"
        "from tests.support.execution_support import Lab\n"
        "hits = []\n"
        "signal.signal(signal.SIGINT, lambda *a: hits.append(1))\n"
        "lab = Lab(Path(sys.argv[1]), jobs=2)\n"
        "for n in range(2): lab.submit(f'sleep 0.3; touch done{n}', outputs=[f'done{n}'])\n"
        "for _ in range(40):\n"
        "    os.killpg(0, signal.SIGINT); time.sleep(0.01)\n"
        "outcomes = [lab.outcome() for _ in range(2)]\n"
        "lab.stop()\n"
        "print(len(hits) > 0, [o.ok for o in outcomes])\n"
    )
    done = subprocess.run(
        [sys.executable, str(driver), str(tmp_path)],
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True [True, True]\n", "")
    assert until(lambda: (tmp_path / "done1").exists())


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-", ">&-"])
def test_f0make_without_standard_streams(tmp_path: Path, closed: str) -> None:
    import subprocess

    (tmp_path / "mod.py").write_text("import sys\ndef f():\n    print('said', sys.stdin.read())\n")
    driver = tmp_path / "driver.py"
    driver.write_text(
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
        "from pathlib import Path\n"
        "keep = open('held', 'w')\n"
        "from tests.support.execution_support import Lab\n"
        "lab = Lab(Path(sys.argv[1]), jobs=2)\n"
        "found = [lab.run('echo hi > x', outputs=['x']), lab.run(module='mod', function='f')]\n"
        "log = lab.log\n"
        "lab.stop()\n"
        "open('result', 'w').write(f'{[o.ok or o for o in found]} {log}')\n"
    )
    subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, str(driver), str(tmp_path)],
        cwd=tmp_path,
        timeout=30,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "result").read_text() == "[True, True] said \n"


def test_workers_that_cannot_start_fail_the_steps(tmp_path: Path) -> None:
    lab = Lab(tmp_path, jobs=2, environ={"PATH": "/nowhere"})
    try:
        assert lab.run("echo fine").ok is (os.path.exists("/bin/sh"))
        (tmp_path / "gone").mkdir()
        other = Lab(tmp_path / "gone", jobs=2)
        try:
            (tmp_path / "gone").rename(tmp_path / "moved")
            outcome = other.run("true")
            assert not outcome.ok and not outcome.lost and "no worker process" in outcome.message
            (tmp_path / "moved").rename(tmp_path / "gone")
            assert other.run("true").ok
        finally:
            other.stop()
    finally:
        lab.stop()
