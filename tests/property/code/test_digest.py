"""The digest of a python step: its module and the workspace modules that it imports."""

from __future__ import annotations

import json
import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.code.code_digest import CodeBase, CodeFacts, code_digest
from tests.support.examples import examples
from tests.support.paths import PROJECT


@pytest.fixture
def ws(tmp_path: Path) -> Path:
    path = tmp_path / "ws"
    path.mkdir()
    return path


def put(base: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def facts(ws: Path, module: str = "step", *more: Path, cache: dict[str, Any] | None = None) -> CodeFacts:
    return code_digest(module, "run", str(ws), [str(ws), *map(str, more)], {} if cache is None else cache)


@pytest.mark.parametrize(
    "statement",
    [
        "import helper",
        "import helper as h, json",
        "from helper import *",
        "from helper import thing as t",
        "def run():\n    import helper",
        "try:\n    from helper import x\nexcept ImportError:\n    x = None",
        "if __name__ == 'x':\n    import helper",
        "class A:\n    def f(self):\n        with open('x'):\n            from helper import b",
        "import importlib\nh = importlib.import_module('helper')",
        "h = __import__('helper')",
    ],
)
def test_imports_are_followed(ws: Path, statement: str) -> None:
    put(ws, {"step.py": statement, "helper.py": "thing = 1"})
    before = facts(ws)
    assert set(before.modules) == {"step.py", "helper.py"}
    put(ws, {"helper.py": "thing = 2"})
    after = facts(ws)
    assert after.digest != before.digest
    assert after.modules["step.py"] == before.modules["step.py"]


def test_packages_relative_imports_and_cycles(ws: Path) -> None:
    put(
        ws,
        {
            "pkg/__init__.py": "from .a import A",
            "pkg/a.py": "from . import b\nfrom .sub.deep import D\nA = 1",
            "pkg/b.py": "from .a import A",
            "pkg/sub/__init__.py": "",
            "pkg/sub/deep.py": "from ..c import C\nfrom ... import nothing",
            "pkg/c.py": "import pkg.star\nfrom pkg.star import *",
            "pkg/star/__init__.py": "__all__ = ['one']\n__all__ += ['two']",
            "pkg/star/one.py": "",
            "pkg/star/two.py": "",
            "pkg/star/three.py": "",
            "pkg/unused.py": "",
            "steps/go.py": "from pkg import b",
        },
    )
    found = facts(ws, "steps.go")
    assert not found.problems
    assert list(found.modules) == sorted(found.modules)
    assert set(found.modules) == {
        "steps/go.py",
        *(f"pkg/{name}.py" for name in ("__init__", "a", "b", "c", "sub/__init__", "sub/deep")),
        *(f"pkg/star/{name}.py" for name in ("__init__", "one", "two")),
    }
    assert set(found.files) == {str(ws / name) for name in found.modules}
    assert found.sources["pkg/star/__init__.py"].startswith(b"__all__")


def test_packages_above_the_module_count(ws: Path) -> None:
    put(ws, {"a/__init__.py": "x = 1", "a/b/__init__.py": "import tool", "a/b/c.py": "", "tool.py": ""})
    assert set(facts(ws, "a.b.c").modules) == {"a/__init__.py", "a/b/__init__.py", "a/b/c.py", "tool.py"}


def test_only_the_module_itself_counts_outside_the_workspace(ws: Path, tmp_path: Path) -> None:
    put(tmp_path / "site", {"scriptlets/shipped.py": "import lib\nimport mine", "lib.py": "import other"})
    put(ws, {"mine.py": "import lib", "other.py": "", "scriptlets/own.py": ""})
    found = facts(ws, "scriptlets.shipped", tmp_path / "site")
    assert set(found.modules) == {"scriptlets/shipped.py", "mine.py"}
    before = found.digest
    put(tmp_path / "site", {"lib.py": "changed = 1"})
    assert facts(ws, "scriptlets.shipped", tmp_path / "site").digest == before
    put(tmp_path / "site", {"scriptlets/shipped.py": "import lib\nimport mine\nx = 1"})
    assert facts(ws, "scriptlets.shipped", tmp_path / "site").digest != before


@pytest.mark.parametrize("place", [".f0make/x", "lib/site-packages", "venv/lib/python3", "venv"])
def test_installed_modules_inside_the_workspace_do_not_count(ws: Path, place: str) -> None:
    put(ws, {"venv/pyvenv.cfg": "", f"{place}/tool.py": "", "step.py": "import tool"})
    assert set(facts(ws, "step", ws / place).modules) == {"step.py"}
    assert set(facts(ws, "tool", ws / place).modules) == {f"{place}/tool.py".removeprefix(place + "/")}


def test_another_root_inside_the_workspace_counts(ws: Path) -> None:
    put(ws, {"src/lib.py": "", "step.py": "import lib"})
    assert set(facts(ws, "step", ws / "src").modules) == {"step.py", "src/lib.py"}


def test_where_the_workspace_lies_does_not_count(tmp_path: Path) -> None:
    files = {"step.py": "import helper", "helper.py": "x = 1"}
    put(tmp_path / "one", files)
    put(tmp_path / "two/deeper", files)
    assert facts(tmp_path / "one").digest == facts(tmp_path / "two/deeper").digest


def test_the_function_counts(ws: Path) -> None:
    put(ws, {"step.py": ""})
    base = CodeBase(str(ws), [str(ws)], {})
    assert base.facts("step", "a").digest != base.facts("step", "b").digest


def test_a_missing_module_says_where_it_was_looked_for(ws: Path, tmp_path: Path) -> None:
    put(ws, {"scriptlets/hello_world.py": ""})
    put(tmp_path / "site", {"scriptlets/shipped.py": ""})
    found = facts(ws, "scriptlets.helo_world", tmp_path / "site")
    assert found.digest == ""
    (problem,) = found.problems
    assert "no module 'scriptlets.helo_world'" in problem.message
    assert str(ws / "scriptlets") in problem.hint
    assert str(tmp_path / "site/scriptlets") in problem.hint
    assert "did you mean 'hello_world'?" in problem.hint
    assert str(ws / "scriptlets/helo_world.py") in found.watched_missing


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("math_", "there is no module"),
        ("sys", "built into Python"),
        ("folder", "without __init__.py"),
        ("plain.inner", "not a package"),
        ("deep.er.still", "looked for er.py"),
    ],
)
def test_other_modules_that_are_none(ws: Path, module: str, words: str) -> None:
    put(ws, {"folder/x.py": "", "plain.py": "", "deep/x.py": ""})
    (problem,) = facts(ws, module).problems
    assert words in problem.message + problem.hint


def test_a_syntax_error_has_its_place(ws: Path) -> None:
    put(ws, {"steps/bad.py": "x = 1\ndef f(:\n    pass\n"})
    (problem,) = facts(ws, "steps.bad").problems
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == ("steps/bad.py", 2)


@pytest.mark.parametrize("data", [b"x = '\xff'\n", b"# coding: no-such\n", b"x = 1\0\n"])
def test_bytes_that_are_no_python(ws: Path, data: bytes) -> None:
    (ws / "step.py").write_bytes(data)
    (problem,) = facts(ws).problems
    assert problem.where is not None
    assert problem.where.file == "step.py"


def test_a_broken_import_is_an_error_only_where_it_is_certain(ws: Path) -> None:
    put(ws, {"step.py": "try:\n    import old\nexcept SyntaxError:\n    pass", "old.py": "print 1"})
    found = facts(ws)
    assert not found.problems
    assert "old.py" in found.modules
    put(ws, {"old.py": "print 2"})
    assert facts(ws).digest != found.digest
    put(ws, {"step.py": "import via", "via.py": "import old"})
    (problem,) = facts(ws).problems
    assert problem.where is not None
    assert problem.where.file == "old.py"


def test_watched_paths_are_the_ones_that_would_change_the_answer(ws: Path, tmp_path: Path) -> None:
    put(tmp_path / "site", {"lib.py": ""})
    put(ws, {"step.py": "import lib, pkg.inner\nfrom pkg import attribute", "pkg/__init__.py": ""})
    found = facts(ws, "step", tmp_path / "site")
    for name in ("lib.py", "lib", "pkg/inner.py", "pkg/attribute.py", "step"):
        assert str(ws / name) in found.watched_missing, name
    assert all(not Path(path).exists() for path in found.watched_missing)
    put(ws, {"lib.py": ""})
    assert "lib.py" in facts(ws, "step", tmp_path / "site").modules


def test_f0make_itself_is_no_module_of_a_workspace(ws: Path) -> None:
    put(
        ws,
        {"step.py": "from f0make.context import Context", "f0make/__init__.py": "", "f0make/context.py": ""},
    )
    assert set(facts(ws).modules) == {"step.py"}


def test_unchanged_modules_are_not_parsed_again(ws: Path) -> None:
    put(ws, {"step.py": "import helper\ndef run(): pass", "helper.py": "import json"})
    cache: dict[str, Any] = {}
    first = facts(ws, cache=cache)
    program = (
        "import json, sys, marshal; sys.path.insert(0, sys.argv[1]); from f0make.code.code_digest import code_digest;"
        "cache = marshal.loads(bytes.fromhex(sys.argv[3]));"
        "found = code_digest('step', 'run', sys.argv[2], [sys.argv[2]], cache);"
        "print(json.dumps([found.digest, 'f0make.code.canonical' in sys.modules]))"
    )
    root = str(PROJECT)
    for kept in (cache, json.loads(json.dumps(cache))):
        run = subprocess.run(
            [sys.executable, "-S", "-c", program, root, str(ws), marshal.dumps(kept).hex()],
            capture_output=True,
            check=True,
            text=True,
        )
        assert json.loads(run.stdout) == [first.digest, False]


def test_a_damaged_cache_is_made_anew(ws: Path) -> None:
    put(ws, {"step.py": "import helper", "helper.py": ""})
    cache: dict[str, Any] = {}
    first = facts(ws, cache=cache)
    for entry in ("junk", None, [], [99, "x", [], [], {}, []]):
        assert facts(ws, cache=dict.fromkeys(cache, entry)).digest == first.digest


# Package trees of random shape, imported for real: what the interpreter loaded must have been found.

MODULES = ["a", "b", "p", "p.x", "p.y", "p.q", "p.q.z"]
PACKAGES = {"p", "p.q"}
IMPORTS = st.sampled_from(
    [
        "import a",
        "import b",
        "import p.x",
        "import p.q.z as z",
        "from p import y",
        "from p.q import z",
        "from p import *",
        "def f():\n    import a\nf()",
        "try:\n    import nowhere\nexcept ImportError:\n    import b",
        "import importlib; importlib.import_module('p.x')",
    ]
)
RELATIVE = st.sampled_from(
    ["from . import x", "from .y import __name__ as n", "from .q import z", "from . import q"]
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    files = {}
    for name in ["step", *MODULES]:
        lines = draw(st.lists(IMPORTS, max_size=2))
        if name in ("p", "p.x", "p.y"):
            lines += draw(st.lists(RELATIVE, max_size=1))
        if name == "p":
            lines.append(f"__all__ = {draw(st.lists(st.sampled_from(['x', 'y']), max_size=2))}")
        path = name.replace(".", "/") + ("/__init__.py" if name in PACKAGES else ".py")
        files[path] = "\n".join(lines) + "\n"
    return files


@examples(25)
@given(trees())
def test_what_the_interpreter_imports_is_found(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]
) -> None:
    base = tmp_path_factory.mktemp("tree")
    put(base, files)
    program = "import sys; sys.path.insert(0, sys.argv[1])\ntry:\n    import step\nexcept (ImportError, AttributeError):\n    pass\nprint(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)), sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-S", "-B", "-c", program, str(base)], capture_output=True, check=True, text=True
    )
    loaded = {line for line in run.stdout.splitlines() if line.startswith(str(base))}
    found = facts(base)
    assert loaded <= set(found.files)
