"""Python steps in a real worker: how code is found and called, and that steps leave no trace in the worker."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.backends.local import local_backend
from f0make.worker.bundle import Outcome
from tests.support.execution_support import Lab, alive, pid_in


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.stop()


def call(lab: Lab, source: str, function: str = "f", module: str = "mod", **fields: Any) -> Outcome:
    path = lab.path / (module.replace(".", "/") + ".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return lab.run(module=module, function=function, **fields)


def test_function(lab: Lab) -> None:
    outcome = call(
        lab,
        "def f(count, name='x', *, ctx):\n"
        "    open(ctx.step.outputs[0], 'w').write(name * count)\n"
        "    print(ctx.step.name, ctx.step.attempt, ctx.step.inputs.a, ctx.step.resources)\n",
        args={"count": 3, "name": "ab"},
        outputs=["pyout"],
        inputs=["i"],
        named_inputs={"a": "i"},
        resources={"cpu": 2},
        step="me",
        attempt=2,
    )
    assert outcome.ok and outcome.exit_code == 0 and outcome.message == ""
    assert lab.read("pyout") == "ababab" and list(outcome.outputs) == ["pyout"]
    assert lab.log == "me 2 i {'cpu': 2}\n"
    assert outcome.peak_mem > 5_000_000


def test_hello_world(lab: Lab) -> None:
    fields: dict[str, Any] = {"module": "scriptlets.steps.hello_world", "function": "HelloWorld"}
    outcome = lab.run(args={"message": "Hello, World!"}, **fields)
    assert outcome.ok and lab.log == "Hello, World!\n"
    write = outcome.writes[0]
    assert (write["key"], write["value"], write["who"]) == (
        "hello_world.output",
        "Hello, World!",
        "hello_world",
    )
    outcome = lab.run(**fields)
    assert (outcome.ok, outcome.message) == (False, "ValueError: Missing 'message' argument")


def test_scriptlets_of_the_workspace_live_beside_the_shipped_ones(lab: Lab) -> None:
    outcome = call(
        lab,
        "import scriptlets.core.base\n"
        "from scriptlets.core.base import BaseScriptlet\n"
        "from scriptlets.steps.hello_world import HelloWorld\n"
        "assert issubclass(HelloWorld, scriptlets.core.base.BaseScriptlet)\n"
        "class Mine(BaseScriptlet):\n"
        "    class Params:\n"
        "        count: int = 4\n"
        "        names: list = []\n"
        "        other: str\n"
        "    def validate(self, ctx, params):\n"
        "        print('validated', params)\n"
        "        params['names'].append('x')\n"
        "    def run(self, ctx, params):\n"
        "        return params['count'] - 4\n",
        "Mine",
        "scriptlets.steps.mine",
        args={"other": "o"},
    )
    assert outcome.ok, outcome.message
    again = lab.run(module="scriptlets.steps.mine", function="Mine", args={"other": "o"})
    assert again.ok and lab.log == "validated {'count': 4, 'names': [], 'other': 'o'}\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", "returned 3"),
        ("return True", "it returned True (bool)"),
        ("return 'done'", "it returned 'done' (str)"),
        ("yield 1", "generator"),
        ("raise ValueError('no\\nsuch luck')", "ValueError: no"),
        ("raise KeyError('k')", "KeyError: 'k'"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys; sys.exit(4)", "exit code 4"),
        ("import sys; sys.exit('sorry')", "exit code 1"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import os; os._exit(7)", "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os\n    if os.fork() == 0: raise OSError\n    os.wait()\n    return 5", "returned 5"),
        ("class E(Exception):\n        def __str__(self): raise SystemExit(0)\n    raise E", "E"),
        ("return 0 +", "SyntaxError"),
    ],
)
def test_failure(lab: Lab, body: str, message: str) -> None:
    outcome = call(lab, f"def f():\n    {body}\n")
    assert not outcome.ok and not outcome.lost
    assert message in outcome.message and "\n" not in outcome.message
    assert call(lab, "def f(): pass\n").ok


def test_exit_without_a_code_is_success(lab: Lab) -> None:
    assert call(lab, "import sys\ndef f(): sys.exit()\n").ok
    assert call(lab, "def f(): return 3\n", exit_codes=[3]).ok


def test_the_traceback_in_the_log_begins_in_the_step(lab: Lab) -> None:
    call(lab, "def g():\n    raise ValueError('deep')\ndef f():\n    print('before')\n    g()\n")
    lines = lab.log.splitlines()
    assert lines[:2] == ["before", "Traceback (most recent call last):"]
    assert "mod.py" in lines[2] and "line 5" in lines[2]
    assert lines[-1] == "ValueError: deep"
    assert "f0make/worker" not in lab.log


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"module": "no.such.mod", "function": "f"}, "ModuleNotFoundError: No module named 'no"),
        ({"module": "mod", "function": "nothing"}, "has no nothing"),
        ({"module": "mod", "function": "VALUE"}, "is no function and no class"),
        ({"module": "mod", "function": "Plain"}, "not derived from BaseScriptlet"),
        ({"module": "mod", "function": "f", "args": {"b": 1}}, "TypeError"),
    ],
)
def test_what_cannot_be_called(lab: Lab, fields: dict[str, Any], message: str) -> None:
    (lab.path / "mod.py").write_text("VALUE = 3\nclass Plain: pass\ndef f(a): pass\n")
    outcome = lab.run(**fields)
    assert not outcome.ok and message in outcome.message
    assert lab.log


def test_context(lab: Lab) -> None:
    source = (
        "def f(ctx):\n"
        "    ctx.set('sum', ctx.get('a') + ctx.get('b', 1), who='adder')\n"
        "    if ctx.get('a') > 5: ctx.get('secret')\n"
    )
    outcome = call(lab, source, context={"a": 2, "unused": 9}, foreign_keys={"secret": "other"})
    assert (outcome.ok, outcome.reads, outcome.missing_reads) == (True, {"a": 2}, ["b"])
    assert [(w["key"], w["value"]) for w in outcome.writes] == [("sum", 3)]
    outcome = call(lab, source, context={"a": 6}, foreign_keys={"secret": "other"}, step="me")
    assert not outcome.ok and "'other'" in outcome.message and "depends_on" in outcome.message
    outcome = call(lab, "def f(ctx): ctx.set('k', float('nan'))\n")
    assert not outcome.ok and "'k'" in outcome.message


def test_everything_printed_goes_to_the_log(lab: Lab) -> None:
    outcome = call(
        lab,
        "import os, subprocess, sys\n"
        "def f():\n"
        "    print('python: ä \\udcff')\n"
        "    sys.stderr.write('stderr\\n')\n"
        "    os.write(1, b'descriptor\\n')\n"
        "    subprocess.run(['echo', 'child'])\n"
        "    os.system('echo shell >&2')\n"
        "    sys.stdout = None\n",
    )
    assert outcome.ok
    assert lab.log == "python: ä \\udcff\nstderr\ndescriptor\nchild\nshell\n"
    call(lab, "def f(): print('next')\n")
    assert lab.log == "next\n"


def test_nothing_of_a_step_is_found_by_the_next(lab: Lab) -> None:
    (lab.path / "helper.py").write_text("seen = []\n")
    probe = (
        "import os, signal, sys, helper\n"
        "def f():\n"
        "    helper.seen.append(1)\n"
        "    mask = os.umask(0); os.umask(mask)\n"
        "    print(os.getcwd(), mask, 'MY' in os.environ, os.environ.get('DECLARED'), 'evil' in sys.path,\n"
        "          signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, len(helper.seen), sys.argv[-1] == 'evil',\n"
        "          signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
    )
    assert call(lab, probe, env={"DECLARED": "1"}).ok
    before = lab.log
    assert " True 1 " in before
    assert call(
        lab,
        "import os, signal, sys, helper\n"
        "def f():\n"
        "    os.chdir('/'); os.umask(0o77); os.environ['MY'] = '1'; sys.path.append('evil'); sys.argv.append('evil')\n"
        "    signal.signal(signal.SIGUSR1, signal.SIG_IGN); helper.seen.append(1)\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n"
        "    assert 'DECLARED' not in os.environ\n"
        "    os.close(0)\n",
    ).ok
    assert call(lab, probe, env={"DECLARED": "1"}).ok
    assert lab.log == before
    assert lab.run("umask; pwd").ok and str(lab.path) in lab.log


def test_the_source_counts_and_no_byte_code_is_written(lab: Lab) -> None:
    import py_compile

    path = lab.path / "stale.py"
    path.write_text("def f(): return 1\n")
    st = path.stat()
    py_compile.compile(str(path))
    path.write_text("def f(): return 0\n")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    assert lab.run(module="stale", function="f").ok
    assert call(lab, "import fresh_dependency\ndef f(): pass\n", module="pkg.fresh").message.startswith(
        "Module"
    )
    (lab.path / "pkg/dep.py").write_text("")
    assert call(lab, "import pkg.dep\ndef f(): pass\n", module="pkg.fresh").ok
    assert not (lab.path / "pkg/__pycache__").exists()


@pytest.mark.parametrize("private", [True, False])
def test_modules_of_the_workspace_come_first_but_do_not_break_the_worker(
    tmp_path: Path, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not private:
        if sys.version_info < (3, 11):
            pytest.skip("PYTHONSAFEPATH came with Python 3.11")
        monkeypatch.setattr(
            local_backend.system, "private_cwd", lambda: False
        )  # as in a container without unshare(2)
    for name in ("random", "queue", "signal", "psutil", "json"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemError('{name} of the workspace was imported')\n")
    (tmp_path / "yaml.py").write_text("mine = True\n")
    (tmp_path / "mod.py").write_text("import yaml\ndef f(): assert yaml.mine\n")
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        lab = Lab(tmp_path)
        try:
            outcome = lab.run(module="mod", function="f")
        finally:
            lab.stop()
    finally:
        os.chdir(before)
    assert outcome.ok, outcome.message


def test_a_child_that_ends_by_itself_is_waited_for(lab: Lab) -> None:
    outcome = call(
        lab,
        "import subprocess\ndef f():\n"
        "    child = subprocess.Popen(['sh', '-c', 'sleep 0.4; echo all > whole'])\n"
        "    open('child', 'w').write(f'{child.pid}\\n')\n",
        outputs=["whole"],
    )
    assert outcome.ok and not alive(pid_in(lab.path / "child")) and lab.read("whole") == "all\n"


def test_measures(lab: Lab) -> None:
    outcome = call(
        lab,
        "import time\ndef f():\n"
        "    x = bytearray(200_000_000)\n"
        "    end = time.process_time() + 0.2\n"
        "    while time.process_time() < end: pass\n"
        "    open('made', 'wb').write(b'x' * 1_000_000)\n",
    )
    assert outcome.ok
    assert 200_000_000 < outcome.peak_mem < 400_000_000
    assert 0.2 <= outcome.cpu_seconds < 3 and 1_000_000 <= outcome.written < 2_000_000
    assert call(lab, "def f(): pass\n").peak_mem < 150_000_000


@pytest.mark.parametrize("body", ["time.sleep(60)", "sum(range(10**12))"])
def test_timeout(lab: Lab, body: str) -> None:
    began = time.monotonic()
    outcome = call(lab, f"import time\ndef f():\n    {body}\n", timeout=0.3)
    assert (outcome.ok, outcome.message) == (False, "timed out after 0.3 s")
    assert time.monotonic() - began < 20
    assert call(lab, "def f(): pass\n", timeout=5.0).ok


def test_a_step_may_clean_up_when_its_time_is_up(lab: Lab) -> None:
    outcome = call(
        lab,
        "import signal, sys, time\n"
        "def f():\n"
        "    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "    try: time.sleep(60)\n"
        "    finally: open('cleaned', 'w').close()\n",
        timeout=0.2,
    )
    assert outcome.message == "timed out after 0.2 s" and (lab.path / "cleaned").exists()


@pytest.mark.parametrize("more", [{}, {"secrets": {"A": "hush"}}, {"guard": "audit"}])
def test_the_interpreter_says_its_version_however_it_was_started(lab: Lab, more: dict[str, Any]) -> None:
    outcome = call(lab, "def f(): pass\n", **more)
    assert outcome.ok and outcome.python == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_every_process_of_a_step_tells_which_code_it_used(lab: Lab) -> None:
    """The step's own says it when it ends, one that it forks at once: that may end in any way."""
    for number in range(80):
        (lab.path / f"part{number}.py").write_text("")
    (lab.path / "childs.py").write_text("")
    outcome = call(
        lab,
        "import os, importlib\n"
        "def f():\n"
        "    for n in range(80): importlib.import_module(f'part{n}')\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        importlib.import_module('childs')\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n",
    )
    assert outcome.ok
    assert set(outcome.discovered) == {"mod.py", "childs.py", *(f"part{n}.py" for n in range(80))}


def test_a_request_of_any_size(lab: Lab) -> None:
    text = "é" * 300_000
    outcome = call(
        lab,
        "def f(text, ctx): ctx.set('all', text == 'é' * 300_000)\n",
        args={"text": text},
        code=[str(lab.path / "mod.py")],
    )
    assert outcome.ok and outcome.writes[0]["value"] is True


def test_what_a_module_is_now_is_executed_whatever_was_compiled_before(lab: Lab) -> None:
    """Of the same size, and with the same time of change."""
    path = lab.path / "mod.py"
    code = [str(path)]
    for value in ("1", "2"):
        path.write_text(f"def f(ctx): ctx.set('value', {value})\n")
        os.utime(path, ns=(10**18, 10**18))
        outcome = lab.run(module="mod", function="f", code=code)
        assert outcome.ok and outcome.writes[0]["value"] == int(value)
