"""What a python step really imports: found as `python` in the workspace would find it, recorded, compared with its key."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.contract_tools import Traced, wait_for
from tests.support.f0 import F0

RECIPE = """steps:
  - name: use
    module: steps
    function: use
    args:
      out: out.txt
    outputs: out.txt
"""


@pytest.fixture
def f0(tmp_path: Path) -> Traced:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    traced = Traced(workspace)
    traced.recipe(RECIPE)
    return traced


def use(f0: Traced, body: str, head: str = "") -> None:
    """Write the module of the step: ``body`` gives ``value``."""
    f0.write("steps.py", f"{head}\ndef use(out):\n    {body}\n    open(out, 'w').write(str(value))\n")


def result(f0: Traced, *options: str) -> tuple[str, str]:
    """(what became of the step, what it wrote)."""
    return f0.run(*options).states["use"], f0.read("out.txt")


WAYS = {
    "computed import_module": "import importlib; value = importlib.import_module('plug_' + 'in').VALUE",
    "computed __import__": "value = __import__('plug_' + 'in').VALUE",
    "runpy by path": "import runpy; value = runpy.run_path('plug_in' + '.py')['VALUE']",
    "runpy by name": "import runpy; value = runpy.run_module('plug_' + 'in')['VALUE']",
    "exec": "g = {}; exec(open('plug_in.py').read(), g); value = g['VALUE']",
    "exec with compile": "g = {}; exec(compile(open('plug_in.py').read(), 'any', 'exec'), g); value = g['VALUE']",
    "a forked process": "import multiprocessing as m\n    with m.get_context('fork').Pool(1) as p: value = p.apply(inner)",
    "a spawned process": "import multiprocessing as m\n    with m.get_context('spawn').Pool(1) as p: value = p.apply(inner)",
}


@pytest.mark.parametrize("way", WAYS)
def test_code_that_is_found_by_a_computed_name(f0: Traced, way: str) -> None:
    use(f0, WAYS[way], "def inner():\n    return __import__('plug_' + 'in').VALUE")
    f0.write("plug_in.py", "VALUE = 1\n")
    assert result(f0) == ("ran", "1")
    assert result(f0) == ("current", "1")
    f0.write("plug_in.py", "VALUE = 22\n")
    assert result(f0) == ("ran", "22")
    f0.write("plug_in.py", "VALUE = 1\n")
    assert result(f0)[1] == "1" and f0.run().states["use"] == "current"


@pytest.mark.parametrize("text", ["text", "text.strip()", "text + 'OTHER = 1'", "text.splitlines()[-1]"])
def test_text_of_any_name_that_is_executed(f0: Traced, text: str) -> None:
    use(f0, f"g = {{}}; text = open('settings.txt').read(); exec({text}, g); value = g['VALUE']")
    f0.write("settings.txt", "# settings\r\nVALUE = 1\n")
    assert result(f0) == ("ran", "1")
    f0.write("settings.txt", "# settings\r\nVALUE = 2\n")
    assert result(f0) == ("ran", "2")


def test_search_paths_namespace_packages_zips_and_data_of_packages(f0: Traced) -> None:
    use(
        f0,
        "import sys, pkgutil, importlib.resources as r\n"
        "    sys.path[:0] = ['first', 'second', 'pack.zip']\n"
        "    value = [__import__(n).VALUE for n in ('shad' + 'owed', 'zip' + 'ped')]\n"
        "    value.append(__import__('space.part', fromlist=['x']).VALUE)\n"
        "    value.append((r.files('pkg') / 'data' / 'table.txt').read_text())\n"
        "    value.append(pkgutil.get_data('pkg', 'more.txt').decode())",
    )
    f0.write("second/shadowed.py", "VALUE = 'second'\n")
    f0.write("space/part.py", "VALUE = 'part'\n")
    f0.write("pkg/__init__.py", "")
    f0.write("pkg/data/table.txt", "table")
    f0.write("pkg/more.txt", "more")

    def pack(text: str) -> None:
        with zipfile.ZipFile(f0.workspace / "pack.zip", "w") as file:
            file.writestr("zipped.py", f"VALUE = {text!r}\n")

    pack("zipped")
    expected = ["second", "zipped", "part", "table", "more"]
    assert result(f0) == ("ran", str(expected)) and f0.run().states["use"] == "current"
    f0.write("first/shadowed.py", "VALUE = 'first'\n")
    expected[0] = "first"
    assert result(f0) == ("ran", str(expected))
    pack("zipped anew")
    expected[1] = "zipped anew"
    assert result(f0) == ("ran", str(expected))
    f0.write("space/part.py", "VALUE = 'another part'\n")
    expected[2] = "another part"
    assert result(f0) == ("ran", str(expected))
    for name, path in ((3, "pkg/data/table.txt"), (4, "pkg/more.txt")):
        f0.write(path, "other")
        expected[name] = "other"
        assert result(f0) == ("ran", str(expected)), path
    f0.remove("first")
    expected[0] = "second"
    assert result(f0)[1] == str(expected)


def test_a_module_that_appears_where_it_was_looked_for(f0: Traced) -> None:
    use(
        f0,
        "import importlib\n    try: value = importlib.import_module('perhaps_' + 'here').VALUE\n"
        "    except ImportError: value = 'not here'",
    )
    assert result(f0) == ("ran", "not here") and f0.run().states["use"] == "current"
    f0.write("perhaps_here.py", "VALUE = 'here'\n")
    assert result(f0) == ("ran", "here")
    f0.remove("perhaps_here.py")
    assert result(f0) == ("restored", "not here")


@pytest.mark.parametrize("directory", ["not there", "there, and no package"])
def test_a_package_that_appears_beside_the_module_that_was_found(f0: Traced, directory: str) -> None:
    use(f0, "import importlib; value = importlib.import_module('plug_' + 'in').VALUE")
    f0.write("plug_in.py", "VALUE = 'module'\n")
    if directory != "not there":
        f0.write("plug_in/readme.txt", "data")
    assert result(f0) == ("ran", "module") and f0.run().states["use"] == "current"
    f0.write("plug_in/__init__.py", "VALUE = 'package'\n")
    assert result(f0) == ("ran", "package")
    f0.remove("plug_in" if directory == "not there" else "plug_in/__init__.py")
    assert result(f0) == ("restored", "module")


def test_code_beside_a_root_on_pythonpath(f0: Traced) -> None:
    root = f0.workspace.parent / "code"
    root.mkdir()
    (root / "tool.py").write_text("import tool_data\nVALUE = tool_data.VALUE\n")
    (root / "tool_data.py").write_text("VALUE = 1\n")
    use(f0, "import tool; value = tool.VALUE")
    f0.recipe(RECIPE + f"    env:\n      PYTHONPATH: {root}\n")
    assert result(f0) == ("ran", "1") and f0.run().states["use"] == "current"
    (root / "tool_data.py").write_text("VALUE = 2\n")
    assert result(f0) == ("ran", "2")
    assert not (root / "__pycache__").exists()


def test_a_comment_in_what_the_key_has_is_still_no_change(f0: Traced) -> None:
    f0.write("helper.py", "VALUE = 1\n")
    use(f0, "import helper; value = helper.VALUE")
    assert result(f0) == ("ran", "1")
    f0.write("helper.py", "VALUE = 1  # one\n")
    assert result(f0) == ("current", "1")


def test_files_that_the_step_makes_itself_are_not_its_code(f0: Traced) -> None:
    use(
        f0,
        "import sys, os; os.makedirs('made', exist_ok=True)\n"
        "    open('made/gen' + 'erated.py', 'w').write('VALUE = 7')\n"
        "    sys.path.insert(0, 'made'); value = __import__('gen' + 'erated').VALUE",
    )
    assert result(f0) == ("ran", "7") and f0.run().states["use"] == "current"


@pytest.mark.parametrize("name", ["queue", "token", "random", "json", "typing", "traceback"])
def test_names_of_the_standard_library_in_the_workspace(f0: Traced, name: str) -> None:
    """The step gets what `python` there would get, and the key has that file."""
    f0.write(f"{name}.py", "VALUE = 'mine'\n")
    use(f0, f"import {name}; value = {name}.VALUE")
    assert result(f0) == ("ran", "mine")
    f0.write(f"{name}.py", "VALUE = 'still mine'\n")
    assert result(f0) == ("ran", "still mine")


def test_what_python_has_before_it_looks_at_the_workspace(f0: Traced) -> None:
    for name in ("site", "os", "io", "abc", "codecs"):
        f0.write(f"{name}.py", "raise SystemError\n")
    use(f0, "import site, os, io, abc, codecs; value = os.sep")
    assert result(f0) == ("ran", "/")
    f0.write("site.py", "raise ValueError\n")
    assert result(f0) == ("current", "/")


def test_a_module_that_is_edited_before_and_while_its_step_runs(f0: Traced) -> None:
    f0.recipe(
        "steps:\n  - name: wait\n    run: |\n      touch started\n      while [ ! -e go ]; do sleep 0.02; done\n"
        "      touch waited\n    outputs: waited\n" + RECIPE.removeprefix("steps:\n") + "    inputs: waited\n"
    )
    use(f0, "import helper; value = helper.VALUE")
    f0.write("helper.py", "VALUE = 'old'\n")
    run = f0.start("run", "recipe.yaml", "-j1")
    wait_for(lambda: f0.exists("started"))
    f0.write("helper.py", "VALUE = 'new'\n")
    f0.write("go", "")
    assert run.wait(30) == 0 and f0.read("out.txt") == "new"
    f0.write("helper.py", "VALUE = 'old'\n")
    assert result(f0) == ("ran", "old")
    f0.write("helper.py", "VALUE = 'new'\n")
    assert result(f0) == ("restored", "new")


@pytest.mark.parametrize("back", [False, True])
def test_a_module_that_is_edited_while_its_step_runs(f0: Traced, back: bool) -> None:
    """Also there and back: what was imported in between is not what the key says."""
    f0.write("helper.py", "VALUE = 'old'\n")
    use(
        f0,
        "import os\n    with open(os.environ['TRACE'], 'a') as t: t.write('use\\n')\n"
        "    first = not os.path.exists('edited')\n"
        "    if first:\n"
        "        open('helper.py', 'w').write(\"VALUE = 'new'\\n\"); open('edited', 'w')\n"
        "    import helper; value = helper.VALUE\n"
        f"    if first and {back}: open('helper.py', 'w').write(\"VALUE = 'old'\\n\")",
    )
    run = f0.run()
    assert run.states["use"] == "ran" and "helper.py" in run.stderr and f0.executed() == ["use", "use"]
    assert f0.read("out.txt") == ("old" if back else "new")
    assert f0.run().states["use"] == "current"
    f0.write("helper.py", "VALUE = 'old'\n")
    assert result(f0)[1] == "old"


def test_a_module_that_is_never_the_same(f0: Traced) -> None:
    use(
        f0,
        "import os\n    with open(os.environ['TRACE'], 'a') as t: t.write('use\\n')\n"
        "    open('helper.py', 'a').write('# more\\n'); value = 1",
        "import helper",
    )
    f0.write("helper.py", "VALUE = 'old'\n")
    run = f0.run(code=1)
    assert "helper.py" in run.reasons["use"] and len(f0.executed()) == 3 and not f0.exists("out.txt")


def test_a_module_that_only_this_machine_has(f0: Traced) -> None:
    """A cluster's worker has what was sent: that another module was not found there is no result."""
    pytest.importorskip("distributed")
    use(
        f0,
        "try: value = __import__('only_' + 'here').VALUE\n    except ImportError: value = 'not there'",
    )
    for name in ("token", "queue"):
        f0.write(f"{name}.py", "VALUE = 1\n")  # no business of the cluster's own processes
    f0.write("only_here.py", "VALUE = 'here'\n")
    assert "only_here.py" in f0.run("--backend", "dask", "-j1", code=1).reasons["use"]
    f0.recipe(RECIPE + "    inputs: only_here.py\n")
    assert result(f0, "--backend", "dask", "-j1") == ("ran", "here")


def test_f0make_itself_imports_nothing_from_the_workspace(f0: Traced) -> None:
    for name in ("queue", "token", "json", "selectors", "signal", "psutil", "loky", "tempfile"):
        f0.write(f"{name}.py", "open('imported', 'a').write(__name__ + ' ')\n")
    use(f0, "value = 1")
    command = [sys.executable, "-m", "f0make", "run", "recipe.yaml"]
    done = subprocess.run(command, cwd=f0.workspace, env=f0.environment(), capture_output=True, check=False)
    assert done.returncode == 0 and f0.read("out.txt") == "1" and not f0.exists("imported"), done.stderr


@pytest.mark.parametrize(
    ("output", "made"),
    [
        ("plots", "plots"),
        ("plots/a.txt", "plots/a.txt"),
        ("plots/", "plots/a.txt"),
        ("plots.txt", "plots.txt"),
    ],
)
def test_an_output_may_lie_where_a_package_could(f0: F0, output: str, made: str) -> None:
    f0.write(
        "plots.py",
        f"import os\ndef main():\n    os.makedirs(os.path.dirname({made!r}) or '.', exist_ok=True)\n    open({made!r}, 'w').write('x')\n",
    )
    f0.recipe(f"steps:\n  - name: plots\n    outputs: {output}\n    module: plots\n    function: main\n")
    result = f0.run()
    assert result.states == {"plots": "ran"} and "changed while" not in result.stderr
    assert f0.run().states == {"plots": "current"}


def test_a_package_that_a_step_makes_out_of_its_own_module_is_a_change(f0: F0) -> None:
    f0.write(
        "plots.py",
        "import os\ndef main():\n    os.makedirs('plots', exist_ok=True)\n    open('plots/__init__.py', 'w')\n    open('o', 'w')\n",
    )
    f0.recipe("steps:\n  - name: plots\n    outputs: o\n    module: plots\n    function: main\n")
    assert "changed while plots ran" in f0.run(code=None).stderr


def test_plug_ins_that_a_package_is_searched_for(f0: Traced) -> None:
    find = "[importlib.import_module('plugs.' + m.name).V for m in pkgutil.iter_modules(plugs.__path__)]"
    use(f0, f"value = {find}", "import importlib, pkgutil\nimport plugs\n")
    f0.write("plugs/__init__.py", "")
    f0.write("plugs/a.py", "V = 1\n")
    assert result(f0) == ("ran", "[1]")
    assert result(f0) == ("current", "[1]")
    f0.write("plugs/b.py", "V = 2\n")
    assert result(f0) == ("ran", "[1, 2]")
    f0.write("plugs/c/__init__.py", "V = 3\n")
    assert result(f0) == ("ran", "[1, 2, 3]")
    f0.write("plugs/notes.txt", "no module")
    f0.write("plugs/__pycache__/a.cpython-311.pyc", "")
    f0.write("plugs/data/table.csv", "no package")
    assert result(f0) == ("current", "[1, 2, 3]")
    f0.remove("plugs/b.py")
    assert result(f0) == ("ran", "[1, 3]")
    f0.remove("plugs/c")
    assert result(f0) == ("restored", "[1]")
    f0.write("plugs/data/__init__.py", "V = 4\n")
    assert result(f0) == ("ran", "[1, 4]")


def test_modules_of_the_workspace_that_are_listed(f0: Traced) -> None:
    use(f0, "value = sorted(m.name for m in pkgutil.iter_modules(['.']))", "import pkgutil\n")
    assert result(f0) == ("ran", "['steps']")
    assert result(f0) == ("current", "['steps']")
    f0.write("more.py", "")
    assert result(f0) == ("ran", "['more', 'steps']")
