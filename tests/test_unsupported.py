"""What this version does not have is refused before anything runs, with its place."""

from __future__ import annotations

import pytest
from conftest import F0

ELSEWHERE = (
    "steps:\n"
    "  - name: a\n"
    "    runs_on: local\n"
    "    outputs: a.txt\n"
    "    run: echo > a.txt\n"
    "  - name: b\n"
    "    runs_on:\n"
    "      - local\n"
    "      - gpu\n"
    "    run: echo\n"
)


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_runs_on_another_host(f0: F0, verb: str) -> None:
    f0.recipe(ELSEWHERE)
    result = f0(verb, "recipe.yaml")
    assert result.code == 2
    assert result.stderr.startswith("recipe.yaml:8:7: b.runs_on: no host has the label 'gpu'")
    assert not f0.exists("a.txt")


def test_a_step_that_is_not_wanted_may_run_elsewhere(f0: F0) -> None:
    f0.recipe(ELSEWHERE)
    assert f0.run("a").states == {"a": "ran"}


def test_a_step_without_instances_yet_is_refused_too(f0: F0) -> None:
    f0.recipe(
        "steps:\n"
        "  - name: split\n"
        "    outputs: parts/\n"
        "    run: mkdir parts && touch parts/a\n"
        "  - name: each\n"
        "    foreach:\n"
        "      part:\n"
        "        glob: parts/${{ part }}\n"
        "        after: split\n"
        "    runs_on: gpu\n"
        "    run: echo ${{ part }}\n"
    )
    result = f0("run", "recipe.yaml")
    assert result.code == 2 and "each.runs_on" in result.stderr
    assert not f0.exists("parts")


@pytest.mark.parametrize("verb", [("why", "b"), ("graph",), ("list",), ("validate",)])
def test_looking_needs_no_place(f0: F0, verb: tuple[str, ...]) -> None:
    f0.recipe(ELSEWHERE)
    name, *more = verb
    result = f0(name, "recipe.yaml", *more)
    assert result.code == 0 and result.stdout + result.stderr
