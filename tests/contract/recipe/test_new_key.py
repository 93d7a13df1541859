"""A key that the table of keys gains works from the recipe to the step, with that one entry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.f0 import F0

ENTRY = """\
import sys

if any(word.endswith("f0make") for word in sys.orig_argv):  # not in the interpreters of steps
    from f0make.recipe.keys import LATE, STEP_KEYS, Key
    from f0make.recipe.value_kinds import COUNT

    STEP_KEYS["toy"] = Key(
        COUNT, "how many bricks", "a-first-recipe", 1, LATE, part="toy", bundle="extra", shared=True
    )

    from f0make.recipe.top_keys import RECIPE_KEYS, TopKey

    RECIPE_KEYS["toy"] = TopKey(COUNT, "how many bricks each step has", "a-first-recipe", for_steps=True)
"""

MODULE = """\
def build(ctx):
    (path,) = ctx.step.outputs
    with open(path, "w") as file:
        file.write(f"{ctx.step.extra!r}")
"""

RECIPE = """\
steps:
  - name: build
    foreach:
      n:
        range: 1..2
    toy: {toy}
    module: bricks
    function: build
    inputs: plans/${{{{ n }}}}.txt
    outputs: built/${{{{ n }}}}.txt
"""


@pytest.fixture
def toy(f0: F0, tmp_path: Path) -> Mapping[str, str]:
    """The environment of an f0make whose table has one key more."""
    site = tmp_path / "one-key-more"
    site.mkdir()
    (site / "sitecustomize.py").write_text(ENTRY)
    f0.write("bricks.py", MODULE)
    for n in (1, 2):
        f0.write(f"plans/{n}.txt", f"plan {n}\n")
    path = f0.environment()["PYTHONPATH"]
    return {"PYTHONPATH": os.pathsep.join([str(site), path])}


def test_it_reaches_the_step_rendered_and_joins_the_key(f0: F0, toy: Mapping[str, str]) -> None:
    f0.recipe(RECIPE.format(toy="${{ n | int + 1 }}"))
    assert f0.run(env=toy).summary["ran"] == 2
    assert [f0.read(f"built/{n}.txt") for n in (1, 2)] == ["{'toy': 2}", "{'toy': 3}"]
    assert f0.run(env=toy).summary["ran"] == 0

    f0.write("plans/1.txt", "another plan\n")  # decided from what the last run kept of the instances
    assert f0.run(env=toy).states["build[n=1]"] == "ran"
    assert f0.read("built/1.txt") == "{'toy': 2}"

    f0.recipe(RECIPE.format(toy="${{ n | int * 2 }}"))
    why = f0("why", "recipe.yaml", "build[n=2]", env=toy).stdout
    assert "toy" in why and "3" in why and "4" in why
    assert f0.run(env=toy).reasons == {"build[n=1]": "up to date", "build[n=2]": "toy changed"}


def test_what_it_is_by_default_changes_no_key(f0: F0, toy: Mapping[str, str]) -> None:
    f0.recipe(RECIPE.format(toy="1"))
    f0.run(env=toy)
    f0.recipe(RECIPE.replace("    toy: {toy}\n", "").format())
    assert f0.run().summary["current"] == 2


def test_resources_in_it_stand_in_the_key_as_themselves(f0: F0, toy: Mapping[str, str]) -> None:
    recipe = RECIPE + "    resources:\n      cpu: {cpu}\n"
    f0.recipe(recipe.format(toy="${{ resources.cpu }}", cpu=1))
    f0.run(env=toy)
    f0.recipe(recipe.format(toy="${{ resources.cpu }}", cpu=2))
    assert f0.run(env=toy).summary["ran"] == 0


def test_defaults_give_it_to_all_steps_and_list_and_schema_show_it(f0: F0, toy: Mapping[str, str]) -> None:
    f0.recipe("defaults:\n  toy: 5\n" + RECIPE.replace("    toy: {toy}\n", "").format())
    assert f0("list", "recipe.yaml", "--json", env=toy).events[0]["toy"] == 5
    step = json.loads(f0("schema", env=toy).stdout)["$defs"]["step"]
    assert step["properties"]["toy"]["description"] == "how many bricks"
    f0.run(env=toy)
    assert f0.read("built/2.txt") == "{'toy': 5}"


def test_at_the_top_level_it_is_for_all_steps_too_and_yields_to_what_is_nearer(
    f0: F0, toy: Mapping[str, str]
) -> None:
    steps = RECIPE.replace("    toy: {toy}\n", "").format() + "  - name: own\n    toy: 6\n"

    def listed(head: str) -> list[int]:
        f0.recipe(head + steps)
        return [line["toy"] for line in f0("list", "recipe.yaml", "--json", env=toy).events]

    assert listed("toy: 4\n") == [4, 6]
    assert listed("toy: 4\ndefaults:\n  toy: 5\n") == [5, 6]
    f0.recipe("toy: often\n" + steps)
    said = f0("validate", "recipe.yaml", env=toy).stderr
    assert said == "recipe.yaml:1:6: toy: expected an integer of 0 or more, found 'often'\n"


def test_a_top_level_key_that_is_not_for_steps_is_the_recipes(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("season: 4\ninclude: more.yaml\nsteps:\n  - name: a\n    run: x\n")
    (tmp_path / "more.yaml").write_text("season: 3\nsteps:\n  - name: b\n    run: x\n")
    code = (
        "from f0make.recipe.top_keys import RECIPE_KEYS, TopKey\n"
        "from f0make.recipe.value_kinds import COUNT\n"
        "RECIPE_KEYS['season'] = TopKey(COUNT, 'of the year', 'a-first-recipe')\n"
        "from f0make.recipe_parser import RecipeParser\n"
        "print(RecipeParser().load('recipe.yaml').recipe.extra)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'season': 4}\n"


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_it_is_checked_at_its_place(f0: F0, toy: Mapping[str, str], verb: str) -> None:
    for toy_text, place, message in (
        ("often", "6:10", "expected an integer of 0 or more, found 'often'"),
        ("${{ nowhere }}", "6:10", "nowhere"),
        ("${{ 'a' * n | int }}", "6:10", "expected an integer of 0 or more, found 'a'"),
    ):
        f0.recipe(RECIPE.format(toy=toy_text))
        result = f0(verb, "recipe.yaml", env=toy)
        assert result.code == 2
        assert f"recipe.yaml:{place}: build.toy: " in result.stderr and message in result.stderr, (
            result.stderr
        )
    f0.recipe(RECIPE.format(toy="1").replace("toy:", "tooy:"))
    assert "did you mean 'toy'?" in f0(verb, "recipe.yaml", env=toy).stderr


def test_without_the_entry_it_is_no_key_also_where_it_was_one(f0: F0, toy: Mapping[str, str]) -> None:
    f0.recipe(RECIPE.format(toy="1"))
    f0.run(env=toy)
    result = f0("run", "recipe.yaml", "--rehash")
    assert result.code == 2 and "a step has no key 'toy'" in result.stderr
