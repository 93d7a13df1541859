"""strictyaml's word on a recipe, found by another process while the recipe is expanded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import strictyaml

from f0make import forked_task
from f0make.errors import RecipeError
from f0make.lazy_re import later
from f0make.options import RunOptions
from f0make.recipe import strictyaml_check, strictyaml_schema
from f0make.recipe.kinds import Kind
from f0make.session import Session

RECIPE = "steps:\n  - name: a\n    run: x\n  - name: b\n    run: y\n"


@pytest.fixture(params=["here", "there"])
def whoever(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who asks strictyaml: this process, or another one although pytest has threads."""
    monkeypatch.setattr(strictyaml_check, "safe", lambda: request.param == "there")
    forked_task.end_all()
    return str(request.param)


def refuse_b(kind: Kind) -> Any:
    """A schema that refuses the name `b`."""
    name = strictyaml.Enum(["a"])
    return (
        strictyaml.Any()
        if kind.__class__.__name__ != "Many"
        else strictyaml.Seq(
            strictyaml.Map(
                {"name": name, "run": strictyaml.Str(), strictyaml.Optional("inputs"): strictyaml.Str()}
            )
        )
    )


def open_session(place: Path, **more: Any) -> Session:
    return Session.open("r.yaml", RunOptions(workspace=str(place)), **more)


def test_a_sound_recipe_is_confirmed(tmp_path: Path, whoever: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    session = open_session(tmp_path, readonly=False)
    assert bool(forked_task._alive) == (whoever == "there")
    session.confirm()
    session.close()
    assert not forked_task._alive
    assert (tmp_path / ".f0make" / "steps").exists()


@pytest.mark.usefixtures("whoever")
def test_an_objection_is_an_error_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    monkeypatch.setattr(strictyaml_schema, "strict_schema", refuse_b)
    session = open_session(tmp_path, readonly=False)
    with pytest.raises(RecipeError) as caught:
        session.confirm()
    (problem,) = caught.value.problems
    assert str(problem.where) == "r.yaml:4:1" and problem.key == "b"
    assert problem.message.startswith("strictyaml refuses this: when expecting one of: a")
    assert not (tmp_path / ".f0make" / "steps").exists()
    with pytest.raises(RecipeError, match="strictyaml refuses this"):
        open_session(tmp_path)


@pytest.mark.usefixtures("whoever")
def test_it_is_told_together_with_what_else_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.replace("    run: x\n", "    run: x\n    inputs: nowhere\n"))
    monkeypatch.setattr(strictyaml_schema, "strict_schema", refuse_b)
    with pytest.raises(RecipeError) as caught:
        open_session(tmp_path, readonly=False)
    assert [problem.key for problem in caught.value.problems] == ["a.inputs", "b"]
    assert not forked_task._alive


def test_nobody_is_left_when_a_session_ends_without_asking(tmp_path: Path, whoever: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    session = open_session(tmp_path, readonly=False)
    session.close()
    assert not forked_task._alive

    def stop(*_: Any) -> None:
        assert bool(forked_task._alive) == (whoever == "there")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_session(tmp_path, readonly=False, on_loaded=stop)
    assert not forked_task._alive


def test_who_ends_without_an_answer_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    me, sound = os.getpid(), strictyaml_schema.refusal
    asked = []

    def here_only(*question: Any) -> Any:
        if os.getpid() != me:
            os._exit(1)
        asked.append(question)
        return sound(*question)

    monkeypatch.setattr(strictyaml_check, "safe", lambda: True)
    monkeypatch.setattr(strictyaml_schema, "refusal", here_only)
    open_session(tmp_path).close()
    assert len(asked) == 3


def test_yaml_is_what_it_always_is() -> None:
    """Only its regular expressions are compiled later; and `re` is itself again."""
    code = (
        "from f0make.recipe.quick_yaml import import_yaml; import_yaml(); import yaml, re;"
        "print(type(yaml.reader.Reader.NON_PRINTABLE).__name__, re.compile('a').__class__.__name__);"
        "print(yaml.load('[1, 2.5, 2001-01-02, yes, ~, 0x10, 1:30, a]', yaml.SafeLoader));"
        "print(yaml.safe_dump({'a': ['yes', '1', 'x y', '2001-01-01']}).split());"
        "print(yaml.load('a: \"\\\\t\"\\n', yaml.Loader))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plain = code.replace("from f0make.recipe.quick_yaml import import_yaml; import_yaml(); ", "")
    expected = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first == "Later Pattern"
    assert rest == expected.stdout.splitlines()[1:]


def test_a_later_pattern_is_the_pattern() -> None:
    pattern, same = later(r"(a+)\Z", re.I), re.compile(r"(a+)\Z", re.I)
    for text in ("xAa", "b", ""):
        for ask in ("search", "match", "fullmatch"):
            found, expected = getattr(pattern, ask)(text), getattr(same, ask)(text)
            assert (found and found.span()) == (expected and expected.span())
    assert pattern.sub("-", "baa") == "b-" and pattern.groups == 1 and pattern.flags == same.flags
