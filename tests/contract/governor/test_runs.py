"""Budgets with real processes: sums end a run and the next goes on, limits hold, what pauses comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from f0make.governor import process_usage
from tests.support.f0 import F0, command, shell_code

PYTHON = sys.executable


def many(f0: F0, count: int, python: str, head: str = "") -> None:
    """A recipe of ``count`` instances that run ``python``, note that they did, and write an output."""
    code = "\n".join(f"      {line}" for line in python.splitlines())
    f0.recipe(
        f"{head}steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..{count}\n"
        f"    outputs: o/${{{{ n }}}}\n    run: |\n      echo ${{{{ n }}}} >> begun\n      {PYTHON} -S -c '\n{code}\n      '\n"
        "      echo ${{ n }} >> ran\n      touch ${{ outputs }}\n"
    )


def until(check: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for ``check``."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def burn(seconds: float) -> str:
    return f"import time\nwhile time.process_time() < {seconds}: pass"


@pytest.mark.parametrize(
    ("option", "python"),
    [
        ("--max-time=3s", "import time; time.sleep(1)"),
        ("--max-energy=5J", burn(0.4)),
        ("--max-carbon=0.0007g", burn(0.4)),
    ],
)
def test_a_sum_ends_the_run_and_reruns_finish_it(f0: F0, option: str, python: str) -> None:
    many(f0, 8, python)
    codes = []
    while not codes or codes[-1] == 3:
        result = f0.run(option, "-j2", code=None)
        codes.append(result.code)
        if result.code == 3:
            rest = result.summary["rest"]
            assert result.summary["status"] == "budget" and option.startswith(
                "--max-" + result.summary["budget"]
            )
            assert rest["instances"] == result.summary["cancelled"] > 0
            assert rest["seconds"] > 0
        assert len(codes) <= 8
    assert codes[0] == 3 and codes[-1] == 0
    assert sorted(f0.read("ran").split(), key=int) == [str(n) for n in range(1, 9)], "no step runs twice"


def test_cpu_seconds_are_true_and_the_parts_are_the_whole(f0: F0) -> None:
    many(f0, 8, burn(0.5))
    result = f0.run("--energy", "--country", "FRA")
    ran = [event for event in result.events if event.get("status") == "ran"]
    whole = result.summary
    assert 8 * 0.5 <= sum(e["cpu_seconds"] for e in ran) <= 8 * 0.5 * 1.25  # Starting python is theirs, too.
    assert whole["cpu_seconds"] == pytest.approx(sum(e["cpu_seconds"] for e in ran))
    parts = sum(e["energy_kwh"] for e in ran) + whole["energy_overhead_kwh"]
    assert parts == pytest.approx(whole["energy_kwh"], rel=0.05)
    assert 0 < whole["energy_overhead_kwh"] < whole["energy_kwh"]
    assert whole["carbon_g"] == pytest.approx(whole["energy_kwh"] * whole["carbon_intensity"])
    assert 20 < whole["carbon_intensity"] < 120 and whole["energy_method"]
    f0.recipe(f0.read("recipe.yaml") + "  - name: t\n    inputs: o/1\n    run: echo t\n")
    again = f0.run("--no-cache").summary
    assert again["current"] == 8
    assert again["saved_energy_kwh"] == pytest.approx(sum(e["energy_kwh"] for e in ran))
    assert again["saved_seconds"] == pytest.approx(sum(e["seconds"] for e in ran), rel=0.01)
    first, second = map(json.loads, f0("history", "--json").stdout.splitlines())
    assert first["energy_kwh"] == whole["energy_kwh"] and "energy_kwh" not in second
    for event in ran:
        told = first["instances"][event["step"]]
        for name in ("seconds", "cpu_seconds", "peak_mem", "read", "written", "energy_kwh", "carbon_g"):
            assert told[name] == event[name]
    assert [*second["instances"]] == ["t"]
    status = f0("status", "recipe.yaml")
    assert "saved" in status.stdout and "CPU" in status.stdout


def test_attempts_that_were_not_the_last_are_overhead(f0: F0) -> None:
    f0.write("burn.py", burn(0.3))
    f0.recipe(
        "steps:\n  - name: s\n    retries: 2\n    outputs: o\n"
        f"    run: {PYTHON} -S burn.py && test ${{{{ attempt }}}} = 3 && touch o\n"
        f"  - name: t\n    retries: 1\n    run: {PYTHON} -S burn.py; exit 1\n"
    )
    result = f0.run("-k", "-j1", "--energy", code=1)
    parts = sum(e["energy_kwh"] for e in result.events if e["event"] == "step")
    assert parts + result.summary["energy_overhead_kwh"] == pytest.approx(
        result.summary["energy_kwh"], rel=0.05
    )
    assert result.summary["energy_overhead_kwh"] > parts, "three attempts of five led to nothing"


def peak_while(f0: F0, *args: str) -> tuple[int, int, int]:
    """Exit code, and the sampled peaks of the tree's memory and of large processes at one time."""
    process = f0.start("run", "recipe.yaml", *args)
    peak = most = 0
    while process.poll() is None:
        tree = process_usage.tree(process.pid)
        peak = max(peak, tree.total_mem)
        most = max(most, sum(size > 100_000_000 for size in tree.mem.values()))
        time.sleep(0.02)
    process.communicate()
    return process.returncode, peak, most


def test_memory_stays_below_its_limit_and_the_second_run_packs_at_once(f0: F0) -> None:
    hold = 'import time\nx = bytearray(150_000_000)\nx[::4096] = b"1" * len(x[::4096])\ntime.sleep(0.4)'
    many(f0, 6, hold)
    limit = 420_000_000
    for _ in range(2):
        code, peak, most = peak_while(f0, "-j6", f"--max-mem={limit}")
        assert code == 0
        assert peak < 1.2 * limit
        assert most == 2
        f0.recipe(f0.read("recipe.yaml").replace("sleep(0.4)", "sleep(0.41)"))


def test_steps_that_outgrow_the_limit_are_put_back_and_finish(f0: F0) -> None:
    grow = 'import time\nx = []\nfor _ in range(SIZE):\n    x.append(b"x" * 1_000_000); time.sleep(0.002)\ntime.sleep(0.3)'
    many(f0, 3, grow.replace("SIZE", "5"))
    f0.run("-j3")
    many(f0, 3, grow.replace("SIZE", "150"))
    result = f0.run("-j3", "--max-mem=250MB", "-v")
    assert result.summary["ran"] == 3 and result.summary["failed"] == 0
    assert "is paused" in result.stderr and "will run again" in result.stderr


HOG = """
import sys, time
from f0make.governor import machine_state as machine
held = []
while machine.memory().available > 45_000_000:
    held.append(bytearray(5_000_000))
    held[-1][::4096] = b"1" * len(held[-1][::4096])
print("full", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group of 700 MB; processes join it by `joining`."""
    about = Path("/proc/self/cgroup").read_text().splitlines()
    first = [line.split(":", 2)[2] for line in about if ":memory:" in line]
    root = Path("/sys/fs/cgroup") / "memory" / first[0].strip("/") if first else Path("/sys/fs/cgroup")
    group = root / f"f0make-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text("700000000")
    except OSError:
        pytest.skip("control groups of memory cannot be made here")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text().strip(), 10)
    group.rmdir()


def joining(group: Path, *words: str) -> list[str]:
    """``words`` inside of ``group``."""
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *words]


@pytest.mark.parametrize("lasting", [False, True])
def test_a_foreign_process_takes_the_memory_and_steps_come_back(
    f0: F0, memory_group: Path, lasting: bool
) -> None:
    many(f0, 2, 'import os, time\nwhile not os.path.exists("go"): time.sleep(0.02)')
    environment = f0.environment()
    run = subprocess.Popen(
        joining(memory_group, *command(), "run", "recipe.yaml", "--json", "-j2", "--max-mem=8GB"),
        cwd=f0.workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: (f0.workspace / "begun").exists() and len(f0.read("begun").split()) == 2)
    hog = subprocess.Popen(
        joining(memory_group, PYTHON, "-c", HOG),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hog.stdout is not None and hog.stdout.readline() == "full\n"
    until(lambda: _stopped_any(f0.workspace))
    if not lasting:
        hog.communicate()
    until(lambda: not _stopped_any(f0.workspace))
    hog.communicate()
    f0.write("go", "")
    out, err = run.communicate(timeout=30)
    summary = json.loads(out.splitlines()[-1])
    assert run.returncode == 0 and (summary["ran"], summary["failed"]) == (2, 0), err
    assert "is paused: the machine is short of memory" in err
    assert ("will run again" in err) == lasting
    assert len(f0.read("begun").split()) == (3 if lasting else 2), "only what was put back began twice"
    assert "attempt" not in err


def test_steps_that_take_more_cpu_than_they_declare_are_paused_and_finish(f0: F0) -> None:
    many(f0, 2, burn(0.6), "defaults:\n  resources:\n    cpu: 0.05\n")
    result = f0.run("-j2", "--max-cpu=10%")
    assert (result.summary["ran"], result.summary["failed"]) == (2, 0)
    assert "is paused: the steps take more than the CPU limit" in result.stderr
    assert "will run again" not in result.stderr
    assert len(f0.read("begun").split()) == 2


def test_beyond_the_load_only_one_step_runs_at_a_time(f0: F0) -> None:
    many(f0, 3, "import time; time.sleep(0.3)")
    f0.recipe(f0.read("recipe.yaml").replace("      touch", "      echo ended >> begun\n      touch"))
    f0.run("-j3", "--max-load=0.01")
    assert [word.isdigit() for word in f0.read("begun").split()] == [True, False] * 3


def _stopped_any(workspace: Path) -> bool:
    return any(_stopped_in(each, workspace) for each in psutil.process_iter())


def _stopped_in(process: psutil.Process, workspace: Path) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED and process.cwd() == str(workspace)
    except psutil.Error:
        return False


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_no_stopped_process_outlives_a_killed_f0make(f0: F0, kind: str) -> None:
    code = 'import time\nx = bytearray(120_000_000)\nx[::4096] = b"1" * len(x[::4096])\ntime.sleep(30)'
    if kind == "shell":
        many(f0, 3, code)
    else:
        f0.write("hold.py", "def hold(n: int) -> None:\n    " + code.replace("\n", "\n    ") + "\n")
        f0.recipe(
            "steps:\n  - name: s\n    module: hold\n    function: hold\n"
            "    args:\n      n: ${{ n }}\n    foreach:\n      n:\n        range: 1..3\n"
        )
    # Nothing is known of them: as declared they fit, as they are they do not.
    f0.recipe(f0.read("recipe.yaml").replace("    foreach", "    resources:\n      mem: 10MB\n    foreach"))
    process = f0.start("run", "recipe.yaml", "-j3", "--max-mem=390MB")

    def ours() -> list[psutil.Process]:
        found = []
        for each in psutil.process_iter():
            try:
                if each.cwd() == str(f0.workspace) and each.pid != process.pid:
                    found.append(each)
            except psutil.Error:
                continue
        return found

    until(lambda: any(_stopped_in(each, f0.workspace) for each in ours()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not ours(), 10)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_paused_run_is_interrupted_in_order(f0: F0, signum: int, code: int) -> None:
    hold = 'import time\nx = bytearray(120_000_000)\nx[::4096] = b"1" * len(x[::4096])\ntime.sleep(30)'
    many(f0, 3, hold)
    f0.recipe(f0.read("recipe.yaml").replace("    foreach", "    resources:\n      mem: 10MB\n    foreach"))
    process = f0.start("run", "recipe.yaml", "-j3", "--max-mem=390MB")
    until(lambda: any(_stopped_in(each, f0.workspace) for each in psutil.process_iter()))
    began = time.monotonic()
    process.send_signal(signum)
    process.communicate(timeout=15)
    assert shell_code(process.returncode) == code and time.monotonic() - began < 10
    assert not [p for p in psutil.process_iter() if _stopped_in(p, f0.workspace)]


def test_a_memory_limit_below_f0make_itself_is_said_and_steps_run_one_at_a_time(f0: F0) -> None:
    many(f0, 3, "import time; time.sleep(0.2)")
    f0.recipe(f0.read("recipe.yaml").replace("      touch", "      echo ended >> begun\n      touch"))
    result = f0.run("-j3", "--max-mem=8")
    assert result.stderr.count("the memory limit (8B) is less than f0make alone takes") == 1
    assert [word.isdigit() for word in f0.read("begun").split()] == [True, False] * 3
    assert "less than f0make" not in f0.run("--max-mem=8").stderr, "nothing runs"


@pytest.mark.parametrize(
    ("head", "args", "message"),
    [
        ("", ["--country=XXX"], "--country XXX: nothing is known about the electricity of country 'XXX'"),
        ("", ["--country=GBB"], "'GBB' (did you mean"),
        (
            "budget:\n  tim: 3s\n",
            [],
            "recipe.yaml:2:3: budget.tim: `budget` has no key 'tim' (did you mean 'time'?)",
        ),
        ("budget:\n  max_energy: 3J\n", [], "has no key 'max_energy' (did you mean 'energy'?)"),
        ("budget:\n  cpu: 80\n", [], "recipe.yaml:2:8: budget.cpu: expected a percentage"),
        ("budget:\n  time: 0s\n", [], "recipe.yaml:2:9: budget.time: expected a duration above 0"),
        ("", ["--max-energy=5"], "--max-energy 5: expected an energy"),
        ("", ["--max-time=0s"], "--max-time 0s: expected a duration above 0"),
        ("budget:\n  time: 2h\n  country: ZZZ\n", [], "recipe.yaml:3:12: budget.country: nothing is known"),
        ("budget:\n  energy: 5\n", [], "recipe.yaml:2:11: budget.energy: expected an energy"),
        (
            "defaults:\n  resources:\n    mem: 9GB\n",
            ["--max-mem=8GB"],
            "asks for mem=9GB, more than the budget's limit 8GB",
        ),
        (
            "defaults:\n  resources:\n    cpu: 3\n",
            ["--max-cpu=1%"],
            "asks for cpu=3, more than the budget's limit",
        ),
    ],
)
def test_a_budget_that_is_wrong_or_never_fits_is_refused(
    f0: F0, head: str, args: list[str], message: str
) -> None:
    many(f0, 2, "pass", head)
    result = f0("run", "recipe.yaml", *args)
    assert result.code == 2 and message in result.stderr, result.stderr
    assert not f0.exists("ran")


def test_a_sum_that_no_step_fits_is_refused_before_anything_runs(f0: F0) -> None:
    many(f0, 2, "import time; time.sleep(0.5)")
    f0.run()
    f0.recipe(f0.read("recipe.yaml").replace("0.5", "0.51"))
    before = f0.read("ran")
    result = f0("run", "recipe.yaml", "--max-time=300ms")
    assert result.code == 2 and "can never fit" in result.stderr
    assert f0.read("ran") == before


def test_without_energy_options_nothing_of_it_is_imported_and_with_a_budget_a_noop_stays_one(f0: F0) -> None:
    many(f0, 1, "pass")
    show = "import sys; from f0make.entry import main; sys.argv = ['f0make', 'run', 'recipe.yaml', *sys.argv[1:]]\ntry: main(sys.argv[1:])\nfinally: print([m for m in sys.modules if m.startswith(('codecarbon', 'f0make.governor', 'pandas'))])"

    def modules(*args: str) -> str:
        script = f0.write("show.py", show)
        env = dict(f0.environment())
        done = subprocess.run(
            [PYTHON, str(script), *args],
            cwd=f0.workspace,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    f0.run()
    f0.recipe(f0.read("recipe.yaml").replace("pass", "pass;pass"))
    assert "codecarbon" not in modules()
    f0.run("--max-time=1h")
    assert "governor" not in modules("--max-time=1h"), "the fast way needs no budget"


def test_plan_predicts_and_the_scheduler_agrees(f0: F0) -> None:
    many(f0, 4, "import time; time.sleep(0.3)")
    took = [e["seconds"] for e in f0.run("-j2").events if e["event"] == "step"]
    f0.recipe(f0.read("recipe.yaml").replace("0.3)", "0.31)"))
    plan = f0("plan", "recipe.yaml", "--json", "-j2").summary
    assert len(took) == 4 and 0.99 * sum(took) / 2 <= plan["predicted_seconds"] < sum(took)
    assert (
        plan["predicted_energy_kwh"] > 0 and plan["predicted_carbon_g"] > 0 and plan["predicted_known"] == 4
    )
    assert "predicted to take" in f0("plan", "recipe.yaml").stderr


def test_monitor_is_a_live_snapshot() -> None:
    from f0make.scheduler import Scheduler

    scheduler = Scheduler()
    scheduler.monitor()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    seen = scheduler.monitor()
    assert seen["cpu"] is not None and seen["cpu"] > 1
    assert seen["mem"] is not None and seen["mem"] > 1_000_000
    assert seen["power_w"] is None and os.getpid() in process_usage.tree(os.getpid()).mem


@pytest.mark.parametrize("together", [True, False], ids=["together", "staggered"])
def test_energy_follows_the_cpu_seconds_of_steps_that_end_together(f0: F0, together: bool) -> None:
    pause = "" if together else "import os, time\ntime.sleep(0.05 * (os.getpid() % 4))\n"
    many(f0, 6, pause + burn(0.3))
    events = [e for e in f0.run("--energy", "-j2").events if e["event"] == "step"]
    assert len(events) == 6
    rates = [e["energy_kwh"] / e["cpu_seconds"] for e in events]
    assert max(rates) < 1.5 * min(rates), rates


@pytest.mark.parametrize("seconds", [0.0, 1.2], ids=["short", "long"])
def test_a_step_that_alone_takes_more_than_the_limit_is_named(f0: F0, seconds: float) -> None:
    many(f0, 1, f"import time\nx = bytes([1]) * 300_000_000\ntime.sleep({seconds})")
    result = f0.run("--max-mem=250MB")
    assert result.states == {"s[n=1]": "ran"}
    assert result.stderr.count("s[n=1] alone takes ") == 1 and "(250MB)" in result.stderr


def test_a_step_inside_the_limit_is_not_named(f0: F0) -> None:
    many(f0, 2, "x = bytes([1]) * 20_000_000")
    assert "alone takes" not in f0.run("--max-mem=400MB", "-j2").stderr
