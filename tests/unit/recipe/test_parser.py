"""The recipe parser of the Python interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from f0make.errors import RecipeError
from f0make.model import Recipe
from f0make.recipe_parser import RecipeParser
from tests.unit.recipe.test_load import HELLO


def test_usage_of_the_manual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello_world.yaml").write_text(HELLO, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    parser = RecipeParser()
    recipe = parser.load("hello_world.yaml")
    assert recipe["steps"][0]["name"] == "hello_world"
    assert isinstance(parser.validate(recipe), Recipe)
    assert [step["name"] for step in parser.parse_steps(recipe)] == ["hello_world"]
    assert parser.parse_steps(recipe)[0]["args"] == {"message": "Hello, World!"}


def test_load_reports_every_problem_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("steps:\n  - name: a\n    retires: 1\n    cache: so\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        RecipeParser(str(tmp_path)).load("r.yaml")
    assert [str(p.where) for p in caught.value.problems] == ["r.yaml:3:5", "r.yaml:4:12"]


def test_plain_mappings_are_validated_too(tmp_path: Path) -> None:
    parser = RecipeParser(str(tmp_path))
    steps = parser.parse_steps(
        {
            "steps": [
                {"name": "late", "idx": 2, "run": "x", "cache": False, "retries": 3, "depends_on": ["early"]},
                {
                    "name": "early",
                    "idx": 1,
                    "run": "y",
                    "resources": {"cpu": 1.5, "mem": "1GB"},
                    "timeout": 90,
                },
                {"name": "first", "inputs": {"a": ["x", "y"], "b": "z"}, "description": None},
            ]
        }
    )
    assert [step["name"] for step in steps] == ["first", "early", "late"]
    assert steps[0]["inputs"] == {"a": ["x", "y"], "b": "z"} and steps[0]["type"] == "gather"
    assert steps[1]["resources"] == {"cpu": 1.5, "mem": 1_000_000_000} and steps[1]["timeout"] == 90.0
    assert steps[2]["cache"] is False and steps[2]["retries"] == 3 and steps[2]["depends_on"] == ["early"]


def test_problems_of_a_mapping_have_keys_but_no_places() -> None:
    with pytest.raises(RecipeError) as caught:
        RecipeParser().validate(
            {"steps": [{"name": "a", "retires": 2}, {"name": "a", "depends_on": "b"}, "c"], "colour": 1}
        )
    problems = {p.key: p for p in caught.value.problems}
    assert set(problems) == {"a.retires", "a.name", "a.depends_on", "steps[2]", "colour"}
    assert all(p.where is None for p in problems.values())
    assert problems["a.retires"].hint == "did you mean 'retries'?"


@pytest.mark.parametrize("recipe", [{}, {"steps": []}, {"steps": None}, {"steps": "x"}, {"recipe": "x"}])
def test_mappings_without_steps(recipe: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="steps"):
        RecipeParser().validate(recipe)


def test_changed_recipe_is_validated_again(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("steps:\n  - name: a\n    run: x\n", encoding="utf-8")
    parser = RecipeParser(str(tmp_path))
    recipe = parser.load("r.yaml")
    recipe["steps"].append({"name": "b", "run": "y"})
    assert [step["name"] for step in parser.parse_steps(recipe)] == ["a", "b"]
    recipe["steps"][0]["runn"] = "z"
    with pytest.raises(RecipeError, match="runn"):
        parser.validate(recipe)


def test_steps_of_includes_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text("steps:\n  - name: part\n    run: x\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text(
        "include: part.yaml\nsteps:\n  - name: own\n    run: x\n", encoding="utf-8"
    )
    parser = RecipeParser(str(tmp_path))
    recipe = parser.load("r.yaml")
    assert [step["name"] for step in parser.parse_steps(recipe)] == ["part", "own"]
    assert [step["name"] for step in parser.parse_steps(dict(recipe))] == ["part", "own"]


def test_parsed_steps_are_copies(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "steps:\n  - name: a\n    run: x\n    env:\n      A: b\n", encoding="utf-8"
    )
    parser = RecipeParser(str(tmp_path))
    recipe = parser.load("r.yaml")
    parser.parse_steps(recipe)[0]["env"]["A"] = "c"
    assert parser.parse_steps(recipe)[0]["env"] == {"A": "b"}
