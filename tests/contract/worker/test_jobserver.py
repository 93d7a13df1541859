"""f0make as GNU Make's jobserver and below one: as many processes run at one time as -j says, whoever starts them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from f0make.backends.local.jobserver.makeflags import Fifo, Pipe, for_steps, offered
from f0make.backends.local.jobserver.token_pool import Jobserver, open_jobserver
from tests.support.execution_support import Lab
from tests.support.f0 import F0, command, interrupt

WORK = """\
cd "$(dirname "$0")"
touch live/$$
printf + >> log
for i in $(seq 100); do
    [ ! -e reached ] || break
    [ $(ls live | wc -l) -lt JOBS ] || touch reached
    sleep 0.05
done
sleep 0.1
rm live/$$
printf - >> log
"""
"""One unit of work. The log holds a sign for each beginning and each end, in the order of time. The first units wait for
each other, so that as many run at one time as may."""
MAKEFILE = ".PHONY: all a b c d\nall: a b c d\na b c d:\n\t@sh work.sh\n"
NINJA = "rule work\n  command = sh work.sh\nbuild a: work\nbuild b: work\nbuild c: work\nbuild d: work\n"
PLAIN = """\
  - name: plain
    foreach:
      n:
        range: 1..4
    run: sh work.sh
"""
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


def ninja() -> str:
    """A ninja that is a client: since 1.13."""
    found = Path(sys.executable).parent / "ninja"
    program = str(found) if found.exists() else shutil.which("ninja")
    if program is None:
        pytest.skip("no ninja")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in said.split(".")[:2]) < (1, 13):
        pytest.skip(f"ninja {said.strip()} is no client of a jobserver")
    return program


def workplace(f0: F0, jobs: int) -> F0:
    """``f0`` with units of work of which ``jobs`` shall run at one time."""
    f0.write("work.sh", WORK.replace("JOBS", str(jobs)))
    f0.write("Makefile", MAKEFILE)
    f0.write("build.ninja", NINJA)
    (f0.workspace / "live").mkdir()
    return f0


def busiest(f0: F0) -> tuple[int, int]:
    """The most units of work that ran at one time, and how many there were."""
    now = most = 0
    for sign in f0.read("log"):
        now += 1 if sign == "+" else -1
        most = max(most, now)
    assert now == 0
    return most, f0.read("log").count("+")


@needs_make
@pytest.mark.parametrize("jobs", [1, 3])
def test_makes_inside_steps_share_the_slots(f0: F0, jobs: int) -> None:
    workplace(f0, jobs)
    f0.recipe("steps:\n  - name: first\n    run: make\n  - name: second\n    run: make\n" + PLAIN)
    f0.run("-j", str(jobs))
    assert busiest(f0) == (jobs, 12)
    assert "warning" not in f0("log", "first").stdout


@needs_make
def test_a_single_step_lets_its_make_use_every_slot(f0: F0) -> None:
    workplace(f0, 3)
    f0.write("outer.mk", "all:\n\t+@$(MAKE) --no-print-directory -f Makefile\n")
    f0.recipe("steps:\n  - name: only\n    run: make -f outer.mk\n")
    f0.run("-j", "3")
    assert busiest(f0) == (3, 4)


def test_ninja_inside_a_step_shares_the_slots(f0: F0) -> None:
    workplace(f0, 3)
    f0.recipe(f"steps:\n  - name: ninja\n    run: {ninja()}\n" + PLAIN)
    f0.run("-j", "3")
    assert busiest(f0) == (3, 8)
    assert "warning" not in f0("log", "ninja").stdout


@needs_make
def test_f0make_inside_a_step_shares_the_slots(f0: F0) -> None:
    workplace(f0, 3)
    inner = f0.workspace / "inner"
    f0.write("inner/recipe.yaml", "steps:\n" + PLAIN.replace("work.sh", "../work.sh"))
    f0.recipe(
        f"steps:\n  - name: inner\n    run: {' '.join(command())} run -C {inner} recipe.yaml -j 8\n" + PLAIN
    )
    f0.run("-j", "3")
    assert busiest(f0) == (3, 8)


def _below_make(f0: F0, jobs: int, *more: str, start: str = "+") -> subprocess.CompletedProcess[str]:
    """`make -jN` whose rules are f0make and four units of work."""
    workplace(f0, jobs)
    f0.write("recipe.yaml", "steps:\n" + PLAIN.replace("1..4", "1..6"))
    run = " ".join([*command(), "run", "recipe.yaml", "-j", "6", *more])
    f0.write(
        "Makefile",
        MAKEFILE.replace("all: ", "all: f0 ").replace(".PHONY:", ".PHONY: f0") + f"f0:\n\t{start}@{run}\n",
    )
    return subprocess.run(
        ["make", f"-j{jobs}"],
        cwd=f0.workspace,
        env=f0.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_make
@pytest.mark.parametrize("jobs", [2, 3])
def test_joins_the_jobserver_of_a_make_above(f0: F0, jobs: int) -> None:
    done = _below_make(f0, jobs)
    assert done.returncode == 0, done.stderr
    assert busiest(f0) == (jobs, 10)
    # At its end make counts the tokens.
    assert "INTERNAL" not in done.stderr and "jobserver" not in done.stderr


@needs_make
def test_says_so_when_the_make_above_keeps_its_jobserver(f0: F0) -> None:
    done = _below_make(f0, 2, start="")
    assert done.returncode == 0
    assert "put a + before the command in the Makefile" in done.stderr


class Above:
    """The pool of a make above, held by the test."""

    def __init__(self, tokens: bytes) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        os.write(self.writing, tokens)
        for fd in (self.reading, self.writing):
            os.set_inheritable(fd, True)
        self.flags = f" -j{len(tokens) + 1} --jobserver-auth={self.reading},{self.writing}"

    def start(self, f0: F0, *args: str) -> subprocess.Popen[str]:
        env = f0.environment({"MAKEFLAGS": self.flags})
        return subprocess.Popen(
            [*command(), *args],
            cwd=f0.workspace,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(self.reading, self.writing),
        )

    def left(self) -> bytes:
        """The tokens that are there; they are gone then."""
        try:
            return bytes(sorted(os.read(self.reading, 100)))
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


LONG = "steps:\n  - name: long\n    foreach:\n      n:\n        range: 1..3\n    outputs: done${{ n }}\n    run: touch on${{ n }}; sleep 60; touch done${{ n }}\n"


def _wait(f0: F0, *names: str) -> None:
    until = time.monotonic() + 30
    while not all(f0.exists(name) for name in names):
        assert time.monotonic() < until, names
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_gives_its_tokens_back_as_they_were(f0: F0, how: int) -> None:
    above = Above(b"xy")
    f0.recipe(LONG)
    process = above.start(f0, "run", "recipe.yaml", "-j", "3")
    _wait(f0, "on1", "on2", "on3")
    assert above.left() == b""
    assert interrupt(process, how).code == 128 + how
    assert above.left() == b"xy"
    above.close()


def test_a_killed_step_gives_its_token_back_while_others_run(f0: F0) -> None:
    above = Above(b"xy")
    f0.recipe(LONG + "    timeout: 1\n" + "  - name: other\n    run: sleep 60\n")
    process = above.start(f0, "run", "recipe.yaml", "-j", "3", "-k")
    _wait(f0, "on1", "on2", "on3")
    # The step that goes on holds one of the three slots: f0make's own, or one of these.
    assert _tokens(above, 2, 3) in (b"xy", b"x", b"y") and process.poll() is None
    interrupt(process)
    above.close()


def _tokens(above: Above, number: int, seconds: float = 20) -> bytes:
    """What comes back, until there are ``number`` or ``seconds`` are over."""
    until, found = time.monotonic() + seconds, b""
    while len(found) < number and time.monotonic() < until:
        found += above.left()
        time.sleep(0.02)
    return bytes(sorted(found))


def test_a_worker_that_is_killed_gives_its_token_back(f0: F0) -> None:
    above = Above(b"xy")
    f0.recipe(LONG.replace("touch on${{ n }}", "echo $PPID > pid${{ n }}; mv pid${{ n }} on${{ n }}"))
    process = above.start(f0, "run", "recipe.yaml", "-j", "3", "-k")
    _wait(f0, "on1", "on2", "on3")
    for n in (1, 2, 3):
        os.kill(int(f0.read(f"on{n}")), signal.SIGKILL)
    assert process.communicate(timeout=30) and process.returncode == 1
    assert _tokens(above, 2) == b"xy"
    above.close()


def test_workers_give_back_the_tokens_of_an_f0make_that_is_killed(f0: F0) -> None:
    above = Above(b"xy")
    f0.recipe(LONG)
    process = above.start(f0, "run", "recipe.yaml", "-j", "3")
    _wait(f0, "on1", "on2", "on3")
    process.kill()
    process.communicate(timeout=30)
    assert _tokens(above, 2) == b"xy"
    above.close()


def test_python_steps_take_slots_as_shell_steps_do(f0: F0) -> None:
    workplace(f0, 2)
    f0.write(
        "work.py", "import subprocess\n\n\ndef go():\n    subprocess.run(['sh', 'work.sh'], check=True)\n"
    )
    f0.write(
        "start.py",
        "import subprocess\n\n\ndef go():\n    subprocess.run(['make'], check=True, close_fds=False)\n",
    )
    python = PLAIN.replace("plain", "python").replace("run: sh work.sh", "module: work\n    function: go")
    f0.recipe("steps:\n  - name: make\n    module: start\n    function: go\n" + PLAIN + python)
    f0.run("-j", "2")
    assert busiest(f0) == (2, 12)


def test_steps_that_wait_for_a_token_start_when_there_is_one(f0: F0) -> None:
    above = Above(b"")
    f0.recipe(
        "steps:\n  - name: many\n    foreach:\n      n:\n        range: 1..40\n    outputs: o${{ n }}\n    run: echo + >> log; echo > o${{ n }}; echo - >> log\n"
    )
    process = above.start(f0, "run", "recipe.yaml", "-j", "4")
    assert process.communicate(timeout=60) and process.returncode == 0
    assert f0.read("log") == "+\n-\n" * 40
    assert above.left() == b""
    above.close()


def test_no_token_is_taken_by_a_run_without_work(f0: F0) -> None:
    above = Above(b"")
    f0.recipe("steps:\n  - name: a\n    outputs: a\n    run: echo > a\n")
    for _ in range(2):
        process = above.start(f0, "run", "recipe.yaml")
        assert process.communicate(timeout=30) and process.returncode == 0
    assert above.left() == b""
    above.close()


def test_makeflags_changes_no_key(f0: F0) -> None:
    f0.recipe("steps:\n  - name: a\n    outputs: a\n    run: echo > a\n")
    f0.run("-j", "2")
    assert f0.run("-j", "1", "--rehash", env={"MAKEFLAGS": "k"}).states == {"a": "current"}


def test_a_declared_makeflags_wins(f0: F0) -> None:
    f0.recipe(
        'steps:\n  - name: a\n    env:\n      MAKEFLAGS: -s\n    outputs: a\n    run: echo "$MAKEFLAGS" > a\n'
    )
    f0.run()
    assert f0.read("a") == "-s\n"


def _takeable(pool: Jobserver) -> list[int]:
    """The bytes of all tokens that can be taken; they are given back."""
    taken = []
    while (token := pool.purse.take()) is not None:
        taken.append(token)
    for token in taken:
        pool.purse.give(token)
    return [value for _, value in taken]


def test_a_pool_of_its_own_is_full_again_when_nothing_runs() -> None:
    """Whatever a make that was killed kept, or one that counts wrongly gave."""
    pool = open_jobserver("", 3, lambda text: None)
    assert pool is not None
    reading, writing = pool.inherited
    assert len(_takeable(pool)) == 3
    os.read(reading, 1)
    assert len(_takeable(pool)) == 2
    pool.settle()
    assert len(_takeable(pool)) == 3
    os.write(writing, b"++")
    pool.settle()
    assert len(_takeable(pool)) == 3
    pool.close()


def test_a_named_pipe_above_is_joined_and_shown_to_steps_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "jobs")
    pool = os.open(tmp_path / "jobs", os.O_RDWR | os.O_NONBLOCK)
    os.write(pool, b"z")
    said: list[str] = []
    flags = f" -j2 --jobserver-auth=fifo:{tmp_path}/jobs"
    joined = open_jobserver(flags, 4, said.append)
    assert isinstance(joined, Jobserver) and not said
    assert (joined.makeflags, joined.inherited) == (flags, ())
    assert _takeable(joined) == [ord("+"), ord("z")]
    joined.settle()
    joined.close()
    assert os.read(pool, 10) == b"z"
    os.close(pool)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", []),
        ("k", []),
        (" -j3 --jobserver-auth=3,4", [Pipe(3, 4)]),
        ("ks -j3 --jobserver-fds=5,6 -- A=1", [Pipe(5, 6)]),
        (" --jobserver-auth=-2,-2", [Pipe(-2, -2)]),
        (" --jobserver-auth=3,4 --jobserver-auth=fifo:/x", [Fifo("/x")]),
        (" -j --jobserver-auth=3,4 -- --jobserver-auth=fifo:/x", [Pipe(3, 4), Fifo("/x")]),
        (" --jobserver-auth=nonsense", []),
    ],
)
def test_what_makeflags_offers(flags: str, expected: list[Pipe | Fifo]) -> None:
    assert offered(flags) == expected


@pytest.mark.parametrize(
    ("flags", "jobs", "expected"),
    [
        ("", 4, " -j4 --jobserver-auth=3,5 -- --jobserver-auth=fifo:/p"),
        ("ks", 4, "ks -j4 --jobserver-auth=3,5 -- --jobserver-auth=fifo:/p"),
        ("-j8", 4, " -j4 --jobserver-auth=3,5 -- --jobserver-auth=fifo:/p"),
        (
            " -j2 --jobserver-auth=3,5 -- A=1",
            None,
            " -j2 --jobserver-auth=3,5 -- A=1 --jobserver-auth=fifo:/p",
        ),
        (
            " -j9 --jobserver-auth=7,8 -- --jobserver-auth=fifo:/q",
            1,
            " -j1 --jobserver-auth=3,5 -- --jobserver-auth=fifo:/p",
        ),
    ],
)
def test_what_steps_are_told(flags: str, jobs: int | None, expected: str) -> None:
    assert for_steps(flags, jobs, 3, 5, "/p") == expected


def test_a_python_step_waits_for_a_token_that_is_still_on_its_way(tmp_path: Path) -> None:
    """The worker of a shell step gives its token back a moment after the outcome: that moment, and nothing else."""
    (tmp_path / "work.py").write_text("def one() -> None:\n    pass\n")
    pool = open_jobserver("", 1, lambda text: None)
    if pool is None:
        pytest.skip("there can be no jobserver here")
    lab = Lab(tmp_path, 1, jobserver=lambda: pool)
    try:
        assert lab.run(module="work", function="one").ok  # its worker is there from now on
        token = pool.purse.take()
        assert token is not None
        lab.submit(module="work", function="one")
        time.sleep(0.2)
        assert lab.inbox.empty()
        pool.purse.give(token)
        assert lab.outcome().ok
    finally:
        lab.stop()
