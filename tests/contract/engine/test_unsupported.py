"""What this version does not have is refused before anything runs, with its place."""

from __future__ import annotations

import pytest

from tests.support.f0 import F0

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


PLACED = (
    "steps:\n"
    "  - name: a\n"
    "    inputs: in\n"
    "    outputs: a.txt\n"
    "    run: cut -c1 in > a.txt\n"
    "  - name: b\n"
    "    inputs: a.txt\n"
    "    outputs: b.txt\n"
    "    run: cp a.txt b.txt\n"
    "{}"
    "  - name: c\n"
    "    inputs: b.txt\n"
    "    outputs: c.txt\n"
    "    run: cp b.txt c.txt\n"
)


def test_only_what_must_run_needs_a_place(f0: F0) -> None:
    f0.write("in", "1")
    f0.recipe(PLACED.format(""))
    f0.run()
    f0.recipe(PLACED.format("    runs_on: gpu\n"))
    for _ in range(2):
        assert set(f0.run().states.values()) == {"current"}
    assert f0("plan", "recipe.yaml").code == 0 and f0("validate", "recipe.yaml").code == 0
    (f0.workspace / "b.txt").unlink()
    assert f0.run().states == {"a": "current", "b": "restored", "c": "current"}
    f0.write("in", "2")
    for verb in ("run", "plan"):
        refused = f0(verb, "recipe.yaml")
        assert refused.code == 2 and "b.runs_on: no host has the label 'gpu'" in refused.stderr
    assert f0.read("a.txt").strip() == "1"
    assert f0.run("a").states == {"a": "ran"}


def test_what_has_appeared_and_is_current_needs_no_place(f0: F0) -> None:
    grow = (
        "steps:\n"
        "  - name: split\n"
        "    outputs: parts/\n"
        "    run: mkdir parts && touch parts/a\n"
        "  - name: each\n"
        "    foreach:\n"
        "      part:\n"
        "        glob: parts/${{{{ part }}}}\n"
        "        after: split\n"
        "{}"
        "    outputs: each/${{{{ part }}}}\n"
        "    run: touch ${{{{ outputs }}}}\n"
    )
    f0.recipe(grow.format(""))
    f0.run()
    f0.recipe(grow.format("    runs_on: gpu\n"))
    assert set(f0.run().states.values()) == {"current"}
    f0.recipe(
        grow.format("    runs_on: ${{ 'gpu' if part == 'a' else 'local' }}\n").replace(
            "touch parts/a", "touch parts/a parts/b"
        )
    )
    grown = f0.run()
    assert grown.states == {"split": "ran", "each[part=a]": "current", "each[part=b]": "ran"}
    f0.recipe(
        grow.format("    runs_on: ${{ 'gpu' if part == 'b' else 'local' }}\n")
        .replace("touch parts/a", "touch parts/b")
        .replace("each/", "new/")
    )
    failed = f0.run(code=1)
    assert failed.states == {"split": "ran", "each[part=b]": "failed"}
    assert "no host has the label 'gpu'" in failed.reasons["each[part=b]"]
