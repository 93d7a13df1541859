"""Finding modules: the same answers as the interpreter's own path finder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from f0make.code.find_module import Finder, find_module, search_roots
from tests.support.examples import examples


def put(base: Path, *names: str) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")


def roots(*paths: Path) -> list[str]:
    return [str(path) for path in paths]


def test_module_in_the_workspace_wins_over_one_further_on(tmp_path: Path) -> None:
    put(tmp_path, "a/tool.py", "b/tool.py")
    source = find_module("tool", roots(tmp_path / "a", tmp_path / "b"))
    assert source is not None
    assert source.path == str(tmp_path / "a/tool.py")
    assert source.root == str(tmp_path / "a")
    assert not source.package


def test_namespace_portions_lie_side_by_side(tmp_path: Path) -> None:
    put(
        tmp_path,
        "ws/scriptlets/steps/mine.py",
        "site/scriptlets/steps/shipped.py",
        "site/scriptlets/core/base.py",
    )
    finder = Finder(roots(tmp_path / "ws", tmp_path / "site"))
    for name in ("scriptlets.steps.mine", "scriptlets.steps.shipped", "scriptlets.core.base"):
        assert finder.find(name) is not None, name
    assert finder.find("scriptlets") is None
    located = finder.locate("scriptlets.steps")
    assert located is not None
    # Behind them stand the base classes that come with f0make.
    assert [root for root, _ in located.portions][:2] == roots(tmp_path / "ws", tmp_path / "site")


def test_a_regular_package_further_on_beats_a_namespace_portion(tmp_path: Path) -> None:
    put(tmp_path, "ws/yaml/data.txt", "ws/yaml/own.py", "site/yaml/__init__.py", "site/yaml/reader.py")
    finder = Finder(roots(tmp_path / "ws", tmp_path / "site"))
    found = finder.find("yaml")
    assert found is not None
    assert found.path == str(tmp_path / "site/yaml/__init__.py")
    assert finder.find("yaml.own") is None
    assert finder.find("yaml.reader") is not None


def test_a_regular_package_hides_the_portions_after_it(tmp_path: Path) -> None:
    put(tmp_path, "ws/scriptlets/__init__.py", "site/scriptlets/core.py")
    assert find_module("scriptlets.core", roots(tmp_path / "ws", tmp_path / "site")) is None


def test_a_plain_module_has_no_submodules(tmp_path: Path) -> None:
    put(tmp_path, "tool.py", "tool/inner.py")
    finder = Finder(roots(tmp_path))
    assert finder.find("tool.inner") is None
    assert finder.find("tool") is not None


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b"])
def test_names_that_are_no_modules(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a/b.py", "a.py")
    assert find_module(name, roots(tmp_path)) is None


def test_search_roots_start_with_the_workspace_and_end_with_f0make_itself(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "site")
    found = search_roots(
        str(tmp_path), ["", str(tmp_path / "site"), str(tmp_path / "link"), "/no/such/place"]
    )
    assert found[:2] == roots(tmp_path, tmp_path / "site")
    assert (Path(found[-1]) / "f0make" / "code" / "find_module.py").is_file()
    assert len(found) == 3


def test_absent_paths_change_the_answer_when_they_appear(tmp_path: Path) -> None:
    put(tmp_path, "ws/pkg/one.py", "site/pkg/two.py", "site/deep.py")
    places = roots(tmp_path / "ws", tmp_path / "site")
    for name in ("pkg.two", "pkg", "deep", "nowhere"):
        before = Finder(places).find(name)
        absent = Finder(places).absent(name)
        assert absent
        for text in absent:
            path = Path(text)
            assert not path.exists()
            if path.suffix == ".py":
                path.write_text("", encoding="utf-8")
                assert Finder(places).find(name) != before
                path.unlink()


NAMES = st.sampled_from(["a", "b"])
FILES = st.sampled_from(
    [
        f"{root}/{path}"
        for root in ("r1", "r2", "r3")
        for path in (
            "a.py",
            "a/__init__.py",
            "a/b.py",
            "a/b/__init__.py",
            "a/b/a.py",
            "a/x.txt",
            "b.py",
            "b/a.py",
            "b/a/b.py",
        )
    ]
)

ASK = """
import importlib, json, sys
roots, names = json.loads(sys.argv[1])
sys.path[:0] = roots
def find(name):
    try:
        return getattr(importlib.import_module(name), "__file__", None)
    except ImportError:
        return None
print(json.dumps([find(name) for name in names]))
"""

QUESTIONS = ["a", "b", "a.b", "a.a", "b.a", "a.b.a", "b.a.b", "a.b.a.b"]


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(FILES, unique=True, max_size=8))
def test_the_same_answers_as_the_interpreter(
    files: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import json

    base = tmp_path_factory.mktemp("tree")
    put(base, *files)
    places = roots(base / "r1", base / "r2", base / "r3")
    run = subprocess.run(
        [sys.executable, "-S", "-B", "-c", ASK, json.dumps([places, QUESTIONS])],
        capture_output=True,
        check=True,
        text=True,
    )
    finder = Finder(places)
    found = [finder.find(name) for name in QUESTIONS]
    assert [source and source.path for source in found] == json.loads(run.stdout)
