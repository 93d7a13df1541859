"""A python step ends as a Python program ends before its outputs count, and leaves nothing to the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.contract_tools import Traced


@pytest.fixture
def f0(tmp_path: Path) -> Traced:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Traced(workspace)


def step(name: str, out: str = "", **more: str) -> str:
    """A step that calls the function ``name`` of `steps.py` with the name of its output."""
    out = out or f"{name}.txt"
    lines = [f"  - name: {name}", "    module: steps", f"    function: {name}", f"    outputs: {out}"]
    lines += [f"    {key}: {value}" for key, value in more.items()]
    return "\n".join([*lines, "    args:", f"      out: {out}"]) + "\n"


def recipe(*steps: str) -> str:
    return "steps:\n" + "".join(steps)


def test_outputs_are_whole_when_they_are_hashed(f0: Traced) -> None:
    f0.write(
        "steps.py",
        "import atexit, concurrent.futures, multiprocessing, os, threading, time\n"
        "kept = []\n"
        "def late(out, text='x' * 40):\n"
        "    time.sleep(0.2); open(out, 'w').write(text)\n"
        "def still_open(out):\n"
        "    kept.append(open(out, 'w')); kept[0].write('x' * 40)\n"
        "def on_a_module(out):\n"
        "    os.kept = open(out, 'w'); os.kept.write('x' * 40)\n"
        "def thread(out):\n"
        "    open(out, 'w').close(); threading.Thread(target=late, args=(out,)).start()\n"
        "def at_exit(out):\n"
        "    open(out, 'w').close(); atexit.register(late, out)\n"
        "def executor(out):\n"
        "    open(out, 'w').close()\n"
        "    concurrent.futures.ThreadPoolExecutor(1).submit(late, out)\n"
        "def process(out):\n"
        "    open(out, 'w').close(); multiprocessing.Process(target=late, args=(out,)).start()\n"
        "def written_by_del(out):\n"
        "    class Last:\n"
        "        def __del__(self, late=late): late(out)\n"
        "    open(out, 'w').close(); kept.append(Last())\n",
    )
    names = (
        "still_open",
        "on_a_module",
        "thread",
        "at_exit",
        "executor",
        "process",
        "written_by_del",
    )
    f0.recipe(recipe(*map(step, names)))
    assert set(f0.run().states.values()) == {"ran"}
    assert {name: f0.read(f"{name}.txt") for name in names} == dict.fromkeys(names, "x" * 40)
    assert f0.run().summary["current"] == len(names)


def test_what_does_not_end_is_named(f0: Traced) -> None:
    f0.write(
        "steps.py",
        "import atexit, subprocess, threading, time\n"
        "def thread(out):\n"
        "    open(out, 'w').close(); threading.Thread(target=time.sleep, args=(60,), name='counter').start()\n"
        "def child(out):\n"
        "    subprocess.Popen(['sleep', '61'], stdout=open(out, 'w'))\n"
        "def goodbye(): time.sleep(60)\n"
        "def handler(out):\n"
        "    open(out, 'w').close(); atexit.register(goodbye)\n",
    )
    f0.recipe(recipe(step("thread"), step("child"), step("handler")))
    reasons = f0.run("-k", "-j3", code=1).reasons
    assert "'counter'" in reasons["thread"] and "thread" in reasons["thread"]
    assert "child" in reasons["child"] and "sleep 61" in reasons["child"]
    assert "'goodbye'" in reasons["handler"] and "atexit" in reasons["handler"]
    assert not any(f0.exists(f"{name}.txt") for name in ("thread", "child", "handler"))


def test_children_that_are_left(f0: Traced) -> None:
    """One that writes is waited for; one that does not ends with the step, as what shell steps leave behind."""
    f0.write(
        "steps.py",
        "import subprocess\n"
        "def writer(out):\n"
        "    subprocess.Popen(['sh', '-c', 'sleep 3.5; echo all'], stdout=open(out, 'w'))\n"
        "def server(out):\n"
        "    child = subprocess.Popen(['sleep', '61'])\n"
        "    open(out, 'w').write(str(child.pid))\n",
    )
    f0.recipe(recipe(step("writer"), step("server")))
    assert set(f0.run("-j2").states.values()) == {"ran"}
    assert f0.read("writer.txt") == "all\n" and not Path("/proc", f0.read("server.txt")).exists()
    assert "sleep 61" in f0("log", "server").stdout


LEAKS = """
import builtins, decimal, json, locale, logging, os, random, signal, socket, sys, threading, warnings

def leak(n, out):
    state = [
        os.getcwd(), sorted(os.environ), os.umask(0o22), sys.path, sys.argv,
        [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        len(logging.getLogger().handlers), len(warnings.filters), decimal.getcontext().prec,
        locale.setlocale(locale.LC_ALL), json.dumps is real, threading.active_count(), sys.getrecursionlimit(),
        hasattr(builtins, 'left'), sorted(os.listdir('/dev/fd'))[:-1], os.nice(0), sys.gettrace(), len(seen),
    ]
    state[1] = [name for name in state[1] if name != 'F0MAKE_STEP']
    print(os.getpid(), random.random())
    open(out, 'w').write(repr(state))
    os.chdir('/'); os.environ['LEFT'] = '1'; os.umask(0o77); sys.path.append('left'); sys.argv.append('left')
    signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGUSR1, lambda *_: None)
    logging.basicConfig(); warnings.simplefilter('error'); decimal.getcontext().prec = 3
    json.dumps = None; builtins.left = 1; sys.setrecursionlimit(200); seen.append(n)
    os.open('/dev/null', os.O_RDONLY); random.seed(1); os.nice(1)

real = json.dumps
seen = []
"""


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_nothing_leaks_from_step_to_step(f0: Traced, jobs: str) -> None:
    f0.write("steps.py", LEAKS)
    f0.recipe(
        "steps:\n  - name: leak\n    foreach:\n      n:\n        range: 1..6\n    module: steps\n    function: leak\n"
        "    args:\n      n: ${{ n }}\n      out: out/${{ n }}\n    outputs: out/${{ n }}\n"
    )
    f0.run(jobs)
    assert len({f0.read(f"out/{n}") for n in range(1, 7)}) == 1
    said = [f0("log", f"leak[n={n}]").stdout.split() for n in range(1, 7)]
    assert len({pid for pid, _ in said}) == len({number for _, number in said}) == 6
