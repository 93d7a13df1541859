"""`kill -9`, Ctrl-C, SIGTERM, processes killed by somebody else: nothing hangs, nothing stays, the next run is right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.support.contract_tools import Traced, marked, wait_for
from tests.support.f0 import F0, command, interrupt


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


WRITER = """\
steps:
  - name: slow
    inputs: in.txt
    outputs:
      - slow.txt
      - tree/
    run: |
      mkdir -p tree
      echo half > slow.txt
      echo half > tree/a
      {background}
      touch started
      if [ -e wait ]; then sleep 60; fi
      cat in.txt > slow.txt
      cat in.txt > tree/a
  - name: next
    inputs: slow.txt
    outputs: next.txt
    run: cp slow.txt next.txt
"""
BACKGROUND = {
    "nothing": ":",
    "child": "(while [ -e wait ]; do echo x >> slow.txt; sleep 0.01; done) &",
    "setsid": "setsid bash -c 'while true; do echo x >> slow.txt; echo x >> tree/b; sleep 0.01; done' "
    "> /dev/null 2>&1 &",
    "nohup": "nohup bash -c \"trap '' TERM INT HUP; while true; do echo x >> slow.txt; sleep 0.01; done\" > /dev/null 2>&1 &",
}


def marker(traced: Traced) -> str:
    """What every process of this test, and no other one, has in its environment."""
    return f"TRACE={traced.trace}\0"


@pytest.mark.parametrize("background", BACKGROUND)
@pytest.mark.parametrize("whole_group", [False, True], ids=["main", "group"])
def test_kill_9_and_the_next_run_is_right(traced: Traced, background: str, whole_group: bool) -> None:
    traced.recipe(
        WRITER.format(background="{ [ ! -e wait ] || " + BACKGROUND[background].rstrip("& ") + "; } &")
    )
    traced.write("in.txt", "right\n")
    traced.write("wait", "")
    run = traced.start("run", "recipe.yaml", "-j2")
    wait_for(lambda: traced.exists("started"))
    if whole_group:
        os.killpg(run.pid, signal.SIGKILL)
    else:
        run.kill()
    run.communicate()
    traced.remove("wait")
    result = traced.run()
    assert set(result.states.values()) == {"ran"}
    assert marked(marker(traced)) == []
    for path in ("slow.txt", "next.txt", "tree/a"):
        assert traced.read(path) == "right\n"
    assert os.listdir(traced.workspace / "tree") == ["a"]
    assert traced.displaced() == {}
    time.sleep(0.05)
    assert traced.read("slow.txt") == "right\n"
    assert set(traced.run().states.values()) == {"current"}


def test_no_step_of_a_killed_run_writes_when_the_next_run_starts_one(traced: Traced) -> None:
    """A writer of its own session that ignores TERM, and that also closed every file it inherited."""
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    inputs: in.txt\n"
        "    outputs: out.txt\n"
        "    run: |\n"
        "      date +%s.%N > begun\n"
        "      if [ -e wait ]; then\n"
        "        setsid bash -c \"trap '' TERM INT HUP; exec 3>&- 1>/dev/null 2>&1;"
        ' while true; do date +%s.%N > alive; sleep 0.005; done" &\n'
        "        touch started; sleep 60\n"
        "      fi\n"
        "      sleep 0.1; date +%s.%N > begun; sleep 0.1; echo done > out.txt\n"
    )
    traced.write("in.txt", "1")
    traced.write("wait", "")
    for _ in range(2):
        (traced.workspace / "alive").unlink(missing_ok=True)
        run = traced.start("run", "recipe.yaml")
        wait_for(lambda: traced.exists("started") and traced.exists("alive"))
        run.kill()
        run.communicate()
        traced.remove("started")
    traced.remove("wait")
    traced.run()
    assert float(traced.read("alive") or 0) < float(traced.read("begun"))
    assert marked(marker(traced)) == [] and traced.read("out.txt") == "done\n"


def test_what_was_finished_before_a_kill_stays(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: quick\n    outputs: quick\n    run: echo quick > quick\n"
        "  - name: slow\n    inputs: quick\n    outputs: slow\n    run: if [ -e wait ]; then sleep 60; fi; cp quick slow\n"
    )
    traced.write("wait", "")
    run = traced.start("run", "recipe.yaml", "--json")
    assert run.stdout is not None
    events = [json.loads(run.stdout.readline()) for _ in range(2)]
    assert events[1]["step"] == "quick" and events[1]["status"] == "ran"
    run.kill()
    run.communicate()
    traced.remove("wait")
    assert traced.run().states == {"quick": "current", "slow": "ran"}


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
STUBBORN = {
    "child": "sleep 50 & sleep 51",
    "grandchild": "bash -c 'bash -c \"sleep 50\" & wait' & wait",
    "setsid": "setsid sleep 50 & sleep 51",
    "exec": "exec sleep 51",
}


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["INT", "TERM"])
@pytest.mark.parametrize("kind", STUBBORN)
def test_a_signal_stops_everything(traced: Traced, number: int, code: int, kind: str) -> None:
    traced.recipe(
        "steps:\n"
        f"  - name: a\n    outputs: a\n    run: |\n      echo half > a\n      touch started\n      {STUBBORN[kind]}\n"
        "  - name: b\n    inputs: a\n    outputs: b\n    run: cp a b\n"
    )
    run = traced.start("run", "recipe.yaml", "--json")
    wait_for(lambda: traced.exists("started"))
    began = time.monotonic()
    result = interrupt(run, number)
    assert time.monotonic() - began < 10
    assert result.code == code, result.stderr
    assert result.summary["status"] == "interrupted"
    assert result.states == {"a": "cancelled", "b": "cancelled"} and result.summary["cancelled"] == 2
    assert marked(marker(traced)) == []
    assert not traced.exists("a")
    # A state to resume from.
    traced.edit("recipe.yaml", STUBBORN[kind], "true")
    assert set(traced.run().states.values()) == {"ran"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_steps_that_ignore_signals_are_stopped_within_10_seconds(traced: Traced, number: int) -> None:
    traced.write(
        "stubborn.py",
        "import signal, time\n"
        "def main():\n"
        "    for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "        signal.signal(n, signal.SIG_IGN)\n"
        "    open('two', 'w').close()\n"
        "    while True:\n"
        "        time.sleep(0.1)\n",
    )
    traced.recipe(
        "steps:\n"
        "  - name: a\n    run: |\n      trap '' INT TERM HUP\n      touch one\n      while true; do sleep 1; done\n"
        "  - name: b\n    module: stubborn\n    function: main\n"
    )
    run = traced.start("run", "recipe.yaml", "--json", "-j2")
    wait_for(lambda: traced.exists("one") and traced.exists("two"))
    began = time.monotonic()
    result = interrupt(run, number)
    assert time.monotonic() - began < 10
    assert result.code == 128 + number and result.summary["status"] == "interrupted"
    assert marked(marker(traced)) == []


def test_ctrl_c_at_a_terminal_reaches_the_whole_group(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..6\n    outputs: o${{ n }}\n"
        "    run: touch s${{ n }}; sleep 0.3; [ ! -e wait ] || sleep 50; echo ${{ n }} > ${{ outputs }}\n"
    )
    traced.write("wait", "")
    run = traced.start("run", "recipe.yaml", "-j2")
    wait_for(lambda: traced.exists("s1") and traced.exists("s2"))
    os.killpg(run.pid, signal.SIGINT)
    _, stderr = run.communicate(timeout=10)
    assert run.returncode == -signal.SIGINT and "interrupted" in stderr and "Traceback" not in stderr
    assert marked(marker(traced)) == []
    traced.remove("wait")
    assert traced.run("-j2").summary["ran"] == 6


def test_a_signal_right_at_the_start(traced: Traced) -> None:
    """Wherever the start-up is hit, no traceback, no process that stays, and the next run is right."""
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: sleep 0.2; echo a > a\n")
    for delay in (0.02, 0.06, 0.1, 0.15, 0.2, 0.3):
        run = traced.start("run", "recipe.yaml")
        time.sleep(delay)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=10)
        # Python itself may be hit before it comes to f0make's first line.
        assert "f0make" not in stderr.partition("Traceback")[2], (delay, stderr)
        assert run.returncode in (0, -signal.SIGINT) or "f0make" not in stderr, (
            delay,
            run.returncode,
            stderr,
        )
        assert marked(marker(traced)) == [], delay
        (traced.workspace / "a").unlink(missing_ok=True)
    traced.run("--force", "a")
    assert traced.read("a") == "a\n"


def test_a_step_killed_by_somebody_else_has_failed(traced: Traced) -> None:
    traced.write("suicide.py", "import os\ndef main():\n    os.kill(os.getpid(), 9)\n")
    traced.recipe(
        "steps:\n"
        "  - name: shell\n    outputs: o\n    run: echo half > o; kill -9 $$\n"
        "  - name: python\n    module: suicide\n    function: main\n"
        "  - name: fine\n    run: sleep 0.3\n"
    )
    result = traced.run("-k", "-j2", code=1)
    assert result.states == {"shell": "failed", "python": "failed", "fine": "ran"}
    assert "SIGKILL" in result.reasons["shell"] and "SIGKILL" in result.reasons["python"]
    assert not traced.exists("o")


def test_a_step_killed_by_somebody_else_is_retried(traced: Traced) -> None:
    traced.write(
        "suicide.py",
        "import os\n"
        "def main(ctx):\n"
        "    if ctx.step.attempt < 3:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    open('python.txt', 'w').write(str(ctx.step.attempt))\n",
    )
    traced.recipe(
        "steps:\n"
        "  - name: shell\n    outputs: shell.txt\n    retries: 2\n"
        "    run: |\n      [ ${{ attempt }} -eq 3 ] || kill -9 $$\n      echo ${{ attempt }} > shell.txt\n"
        "  - name: python\n    module: suicide\n    function: main\n    outputs: python.txt\n    retries: 2\n"
    )
    result = traced.run("-j2")
    assert result.states == {"shell": "ran", "python": "ran"}
    assert traced.read("shell.txt") == "3\n" and traced.read("python.txt") == "3"


@pytest.mark.parametrize("what", ["step", "worker"])
def test_killing_a_step_or_its_worker_from_outside_hangs_nothing(traced: Traced, what: str) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n    outputs: a\n    run: echo $$ > pid; echo half > a; sleep 50; echo a > a\n"
        "  - name: b\n    inputs: a\n    outputs: b\n    run: cp a b\n"
    )
    run = traced.start("run", "recipe.yaml", "--json")
    wait_for(lambda: traced.exists("a") and traced.read("pid").strip())
    step = int(traced.read("pid"))
    victim = step
    if what == "worker":
        with open(f"/proc/{step}/stat") as file:
            victim = int(file.read().rpartition(")")[2].split()[1])
        assert victim != run.pid
    os.kill(victim, signal.SIGKILL)
    stdout, stderr = run.communicate(timeout=15)
    events = [json.loads(line) for line in stdout.splitlines()]
    assert run.returncode == 1, (stdout, stderr)
    assert {e["step"]: e["status"] for e in events if e["event"] == "step"} == {
        "a": "failed",
        "b": "cancelled",
    }
    assert marked(marker(traced)) == [] and not traced.exists("a")


def test_what_a_step_leaves_in_the_background_is_ended(traced: Traced) -> None:
    """A job that was not waited for would write into an output that counts already."""
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: (sleep 1; echo late >> a) & echo a > a\n")
    traced.run()
    assert marked(marker(traced)) == []
    assert traced.run().states == {"a": "current"} and traced.read("a") == "a\n"


def test_a_failed_step_leaves_no_writer_behind(traced: Traced) -> None:
    """Not even one in a session of its own, which a step that succeeds may leave (a server, say)."""
    writer = "setsid bash -c \"trap '' TERM; while true; do touch a; sleep 0.01; done\" > /dev/null 2>&1 &"
    traced.recipe(
        f"steps:\n  - name: a\n    outputs: a\n    run: |\n      {writer}\n      sleep 0.1; false\n"
    )
    traced.run(code=1)
    assert marked(marker(traced)) == [] and not traced.exists("a")
    traced.write(
        "work.py",
        "import subprocess\n\n\ndef main():\n"
        "    subprocess.Popen(['bash', '-c', 'while true; do touch a; sleep 0.01; done'], start_new_session=True)\n"
        "    raise ValueError('no')\n",
    )
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    module: work\n    function: main\n")
    traced.run(code=1)
    assert marked(marker(traced)) == [] and not traced.exists("a")


def test_the_reader_of_events_may_go_away(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..4\n    outputs: o${{ n }}\n"
        "    run: sleep 0.1; echo ${{ n }} > ${{ outputs }}\n"
    )
    run = traced.start("run", "recipe.yaml", "--json")
    assert run.stdout is not None
    run.stdout.close()
    run.wait(timeout=20)
    assert traced.run().summary["current"] == 4


# A full disk.

FULL = """\
steps:
  - name: small
    outputs: small
    run: echo small > small
  - name: big
    inputs: small
    outputs: big
    run: head -c 6000000 /dev/zero > big
  - name: after
    inputs: big
    outputs: after
    run: wc -c < big > after
"""


@pytest.fixture
def small_disk(traced: Traced) -> Traced:
    """A workspace on a file system of 3 MB, or, where nothing can be mounted, one whose logs cannot be written."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(traced.workspace)],
        capture_output=True,
        check=False,
    )
    yield traced
    if done.returncode == 0:
        subprocess.run(["umount", "-l", str(traced.workspace)], check=True)


def test_a_full_disk(small_disk: Traced) -> None:
    small_disk.recipe(FULL)
    if not os.path.ismount(small_disk.workspace):
        # /dev/full says "no space left" to every write, on any machine.
        small_disk.edit("recipe.yaml", "> big\n", "> big; echo x > /dev/full\n")
    result = small_disk.run(code=1)
    assert result.states == {"small": "ran", "big": "failed", "after": "cancelled"}
    assert "o space left" in result.stderr
    assert not small_disk.exists("big")
    small_disk.recipe(FULL.replace("6000000", "60000"))
    assert small_disk.run().states == {"small": "current", "big": "ran", "after": "ran"}
    assert small_disk.read("after").strip() == "60000"


def test_a_disk_that_is_full_to_the_last_byte(small_disk: Traced) -> None:
    """Not even a record or a log can be written: exit 1 and a line, and afterwards all is well."""
    small_disk.recipe(FULL.replace("6000000", "60000"))
    small_disk.run("small")
    if os.path.ismount(small_disk.workspace):
        filler = small_disk.workspace / "filler"
        with open(filler, "wb", buffering=0) as file:
            while True:
                try:
                    file.write(b"." * 4096)
                except OSError:
                    break
    else:
        filler = small_disk.workspace / ".f0make/logs/big"
        filler.parent.mkdir(exist_ok=True)
        filler.symlink_to("/dev/full")
        small_disk.edit("recipe.yaml", "> big\n", "> big; echo x > /dev/full\n")
    result = small_disk("run", "recipe.yaml")
    assert result.code == 1 and "o space left" in result.stderr, result
    assert len(result.stderr.splitlines()) < 10
    filler.unlink()
    small_disk.recipe(FULL.replace("6000000", "60000"))
    result = small_disk.run()
    assert result.states["small"] == "current" and small_disk.read("after").strip() == "60000"
    assert small_disk.displaced() == {}


# Ctrl-Z, and the signal that a command dies of.

COUNTING = """\
steps:
  - name: count
    outputs: out.txt
    {timeout}
    run: |
      for n in $(seq 40); do echo $n >> ticks; sleep 0.05; done
      echo done > out.txt
"""


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_ctrl_z_stops_the_steps_too(traced: Traced, kind: str) -> None:
    if kind == "shell":
        traced.recipe(COUNTING.format(timeout="priority: 0"))
    else:
        traced.recipe("steps:\n  - name: count\n    outputs: out.txt\n    module: tick\n    function: main\n")
        traced.write(
            "tick.py",
            "import time\n"
            "def main():\n"
            "    for n in range(40):\n"
            "        with open('ticks', 'a') as file: file.write('x')\n"
            "        time.sleep(0.05)\n"
            "    open('out.txt', 'w').write('done\\n')\n",
        )
    run = traced.start("run", "recipe.yaml", "--json")
    wait_for(lambda: traced.exists("ticks"))
    run.send_signal(signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(run.pid, os.WUNTRACED)[1]), "a shell sees a stopped job"
    before = traced.read("ticks")
    time.sleep(0.3)
    assert traced.read("ticks") == before
    run.send_signal(signal.SIGCONT)
    assert run.wait(20) == 0
    run.communicate()
    assert traced.read("out.txt") == "done\n"


def test_ctrl_z_makes_no_step_late(traced: Traced) -> None:
    traced.recipe(COUNTING.format(timeout="timeout: 4s"))
    run = traced.start("run", "recipe.yaml", "--json")
    wait_for(lambda: traced.exists("ticks"))
    run.send_signal(signal.SIGTSTP)
    os.waitpid(run.pid, os.WUNTRACED)
    time.sleep(4.2)
    run.send_signal(signal.SIGCONT)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 0, (stdout, stderr)


def test_a_run_killed_while_stopped_leaves_nothing(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: touch started; sleep 60; echo > a\n")
    run = traced.start("run", "recipe.yaml")
    wait_for(lambda: traced.exists("started"))
    run.send_signal(signal.SIGTSTP)
    os.waitpid(run.pid, os.WUNTRACED)
    run.kill()
    run.communicate()
    wait_for(lambda: marked(marker(traced)) == [])


LOOPED = 'for n in 1 2 3; do echo "$n" >> loop; {f0make} run recipe.yaml; done'


def test_a_shell_loop_ends_with_the_interrupted_run(traced: Traced) -> None:
    """The terminal interrupts the shell and f0make alike; bash goes on unless its command died of the signal."""
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: touch started; sleep 60; echo > a\n")
    loop = subprocess.Popen(
        ["bash", "-c", LOOPED.format(f0make=" ".join(command()))],
        cwd=traced.workspace,
        env=traced.environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: traced.exists("started"))
    os.killpg(loop.pid, signal.SIGINT)
    assert loop.wait(20) == -signal.SIGINT and traced.read("loop") == "1\n"


def test_a_loop_over_another_verb_ends_as_well(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: touch started; sleep 60; echo > a\n")
    holder = traced.start("run", "recipe.yaml")
    wait_for(lambda: traced.exists("started"))
    waiting = traced.start("run", "recipe.yaml", "--wait")
    time.sleep(0.5)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(20) == -signal.SIGINT
    waiting.communicate()
    holder.send_signal(signal.SIGTERM)
    holder.communicate(timeout=20)
    assert holder.returncode == -signal.SIGTERM
