"""Which interpreter a python step runs in, and that it is an ordinary one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.contract_tools import Traced

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def f0(tmp_path: Path) -> Traced:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Traced(workspace)


def environment(at: Path) -> Path:
    """A virtual environment without pip, as `python -m venv` makes it; its site-packages."""
    import venv

    venv.create(at, symlinks=True, with_pip=False)
    return at / "lib" / VERSION / "site-packages"


def recipe(f0: Traced, body: str, *more: str, top: str = "") -> None:
    """A step whose function writes ``value``."""
    f0.write("steps.py", f"def use(out):\n    {body}\n    open(out, 'w').write(repr(value))\n")
    keys = "".join(f"    {line}\n" for line in more)
    f0.recipe(
        f"{top}steps:\n  - name: use\n    module: steps\n    function: use\n    args:\n      out: out.txt\n"
        f"    outputs: out.txt\n{keys}"
    )


def value(f0: Traced, **how: object) -> object:
    """What the step wrote, after a run."""
    f0.run(**how)  # type: ignore[arg-type]
    return eval(f0.read("out.txt"))


def test_the_interpreter_of_the_project(f0: Traced) -> None:
    """`.venv`, then VIRTUAL_ENV, then f0make's own; what is declared comes before them."""
    own, other = environment(f0.workspace / ".venv"), environment(f0.workspace.parent / "other")
    for site, name in ((own, "own"), (other, "other")):
        (site / "pinned.py").write_text(f"NAME = {name!r}\n")
        (site / "yaml.py").write_text(f"NAME = {name!r}\n")
    recipe(f0, "import pinned, yaml, sys; value = (pinned.NAME, yaml.NAME, sys.prefix)")
    there = str(f0.workspace.parent / "other")
    assert value(f0) == ("own", "own", str(f0.workspace / ".venv"))
    assert value(f0, env={"VIRTUAL_ENV": there}) == ("own", "own", str(f0.workspace / ".venv"))
    recipe(
        f0,
        "import pinned, yaml, sys; value = (pinned.NAME, yaml.NAME, sys.prefix)",
        "python: ../other/bin/python",
    )
    assert value(f0) == ("other", "other", there)
    recipe(
        f0,
        "import pinned, yaml, sys; value = (pinned.NAME, yaml.NAME, sys.prefix)",
        top="python: ../other/bin/python\n",
    )
    assert value(f0) == ("other", "other", there)
    (f0.workspace / ".venv").rename(f0.workspace.parent / "gone")
    recipe(f0, "import pinned; value = pinned.NAME")
    assert value(f0, env={"VIRTUAL_ENV": there}) == "other"


def test_nothing_of_f0make_but_its_base_classes(f0: Traced) -> None:
    environment(f0.workspace / ".venv")
    f0.write("scriptlets/mine/extra.py", "VALUE = 'extra'\n")
    f0.write(
        "steps.py",
        "from scriptlets.core.base import BaseScriptlet\n"
        "import scriptlets.mine.extra, scriptlets.steps.hello_world\n"
        "class Use(BaseScriptlet):\n"
        "    def run(self, ctx, params):\n"
        "        from f0make.context import Context\n"
        "        found = []\n"
        "        for name in ('strictyaml', 'loky', 'jinja2', 'f0make.executor', 'f0make.cli.app', 'psutil'):\n"
        "            try: __import__(name)\n"
        "            except ImportError: continue\n"
        "            found.append(name)\n"
        "        ctx.set('seen', 1)\n"
        "        open('out.txt', 'w').write(repr((found, isinstance(ctx, Context), scriptlets.mine.extra.VALUE)))\n",
    )
    f0.recipe("steps:\n  - name: use\n    module: steps\n    function: Use\n    outputs: out.txt\n")
    # Without the PYTHONPATH of the tests, which names f0make itself.
    assert value(f0, env={"PYTHONPATH": ""}) == ([], True, "extra")


def test_editable_installs_and_pythonpath(f0: Traced) -> None:
    site = environment(f0.workspace / ".venv")
    project = f0.workspace.parent / "project"
    (project / "hooked").mkdir(parents=True)
    (project / "hooked" / "__init__.py").write_text("NAME = 'hooked'\n")
    (project / "src").mkdir()
    (project / "src" / "pathed.py").write_text("NAME = 'pathed'\n")
    (site / "pathed.pth").write_text(f"{project / 'src'}\n")
    (site / "__editable__.hooked.pth").write_text("import __editable___hooked_finder\n")
    (site / "__editable___hooked_finder.py").write_text(
        "import sys\nfrom importlib.util import spec_from_file_location\n"
        f"MAPPING: dict[str, str] = {{'hooked': {str(project / 'hooked')!r}}}\n"
        "class F:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
        "        if name in MAPPING: return spec_from_file_location(name, MAPPING[name] + '/__init__.py')\n"
        "sys.meta_path.append(F)\n"
    )
    f0.write("lib/beside.py", "NAME = 'beside'\n")
    recipe(
        f0,
        "import beside, hooked, pathed; value = (beside.NAME, hooked.NAME, pathed.NAME)",
        "env:",
        "  PYTHONPATH: lib",
    )
    assert value(f0) == ("beside", "hooked", "pathed")
    (project / "hooked" / "__init__.py").write_text("NAME = 'hooked anew'\n")
    assert value(f0) == ("beside", "hooked anew", "pathed")


def test_an_interpreter_that_is_not_there_or_no_interpreter(f0: Traced) -> None:
    recipe(f0, "value = 1", "python: nowhere/bin/python")
    for verb in ("validate", "run"):
        result = f0(verb, "recipe.yaml")
        assert result.code == 2 and "recipe.yaml:8" in result.stderr and "nowhere/bin/python" in result.stderr
    recipe(f0, "value = 1", "python: /bin/false")
    assert "/bin/false" in f0.run(code=1).reasons["use"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(f0: Traced, method: str) -> None:
    f0.write(
        "steps.py",
        "import multiprocessing as m, os, sys\n"
        "def double(n): return 2 * n\n"
        "def put(queue): queue.put(__name__)\n"
        "def use(out):\n"
        "    first = m.get_start_method()\n"
        f"    c = m.get_context({method!r})\n"
        "    with c.Pool(2) as pool: doubled = pool.map(double, [1, 2])\n"
        "    queue = c.Queue(); process = c.Process(target=put, args=(queue,)); process.start()\n"
        "    name = queue.get(); process.join()\n"
        "    shared = c.Value('i', 3)\n"
        "    open(out, 'w').write(repr((first, doubled, name, process.exitcode, shared.value)))\n",
    )
    f0.recipe(
        "steps:\n  - name: use\n    module: steps\n    function: use\n    args:\n      out: out.txt\n    outputs: out.txt\n"
    )
    import multiprocessing

    default = multiprocessing.get_all_start_methods()[0]
    assert value(f0) == (default, [2, 4], "steps", 0, 3)


def test_an_ordinary_interpreter(f0: Traced) -> None:
    recipe(
        f0,
        "import os, signal, sys, threading\n"
        "    value = (sys.argv, sys.path[0], __name__, sys.stdin.read(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,\n"
        "        signal.getsignal(signal.SIGINT) is signal.default_int_handler, sys.flags.isolated, sys.flags.no_site,\n"
        "        'loky' in sys.modules, signal.pthread_sigmask(signal.SIG_BLOCK, ()), threading.active_count(),\n"
        "        sys.stdout.encoding, os.getcwd())",
    )
    here = str(f0.workspace)
    expected = ([""], here, "steps", "", True, True, 0, 0, False, set(), 1, "utf-8", here)
    assert value(f0) == expected


def test_a_step_cannot_speak_for_f0make(f0: Traced) -> None:
    """Whatever it writes to whatever it finds open: nothing is executed, and its own result is all that it can spoil."""
    f0.write(
        "steps.py",
        "import os, pickle\n"
        "class Evil:\n"
        "    def __reduce__(self): return os.system, ('touch pwned',)\n"
        "def use(out):\n"
        "    open(out, 'w').write('1')\n"
        "    for fd in range(3, 300):\n"
        "        for data in (pickle.dumps(Evil()), b'1 R . {\"returned\": 0}\\n', b'\\xff' * 10 + b'\\n', b'1 R . [[[\\n'):\n"
        "            try: os.write(fd, data)\n"
        "            except OSError: pass\n",
    )
    f0.recipe(
        "steps:\n  - name: use\n    module: steps\n    function: use\n    args:\n      out: out.txt\n    outputs: out.txt\n"
    )
    f0.run(code=None)
    assert not f0.exists("pwned")
    assert f0("status").code in (0, 1) and os.listdir(f0.workspace)


def test_a_shared_cache_goes_by_the_chosen_interpreter(f0: Traced) -> None:
    """Not by f0make's own: what one version of Python made is handed out to that version."""
    places = [Traced(f0.workspace / name) for name in ("one", "two", "three")]
    for place in places:
        place.workspace.mkdir()
        recipe(place, "value = 1")
    for place in places[1:]:
        environment(place.workspace / ".venv")
    places[1].edit(".venv/pyvenv.cfg", "version = 3.", "version = 3.9")
    found = [place.run("--cache", "../cache").states["use"] for place in places]
    assert found == ["ran", "ran", "restored"]
