"""Outputs that nobody may have, and outputs that two would have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.expand.declared_paths import PathError, Paths, clean
from tests.support.expand_world import World, names


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "/abs",
        "../up",
        "a/../../up",
        ".",
        "./",
        "a/..",
        ".f0make",
        ".f0make/x",
        "./.f0make/",
        "recipe.yaml",
        "",
    ],
)
def test_outputs_that_nobody_may_have(world: World, path: str) -> None:
    problems = world.bad(
        f"""
        config:
          p: "{path}"
        steps:
          - name: a
            outputs:
              - fine
              - ${{{{ config.p }}}}
            run: 'true'
        """
    )
    assert len(problems) == 1 and str(problems[0].where) == "recipe.yaml:7:9"


def test_a_directory_that_holds_the_recipe_is_no_output(world: World) -> None:
    (world.root / "sub").mkdir()
    (world.root / "sub" / "inc.yaml").write_text("steps:\n  - name: i\n    run: 'true'\n")
    problems = world.bad(
        """
        config:
          s: sub
        include: sub/inc.yaml
        steps:
          - name: a
            outputs: ${{ config.s }}/
            run: 'true'
        """
    )
    assert len(problems) == 1 and "sub/inc.yaml" in problems[0].message


def test_inputs_may_lie_outside_but_not_be_the_workspace(world: World) -> None:
    found = world.good(
        f"""
        steps:
          - name: a
            inputs:
              - ../x//y
              - /etc/./passwd
              - {world.root}/in/side
              - ../{world.root.name}/in/side2
            run: 'true'
        """
    )
    assert found.instances[0].inputs == ["../x/y", "/etc/passwd", "in/side", "in/side2"]
    for path in (".", "..", "/", ".f0make/records.log", str(world.root)):
        problems = world.bad(f"steps:\n  - name: a\n    inputs: {path}\n    run: 'true'\n")
        assert len(problems) == 1 and problems[0].where.line == 3, path  # type: ignore[union-attr]


def test_two_steps_with_one_output(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            outputs:
              - x
              - out/./f
            run: 'true'
          - name: b
            outputs: out//f
            run: 'true'
        """
    )
    assert [str(p) for p in problems] == [
        "recipe.yaml:8:14: b.outputs: 'out/f' is an output of a (recipe.yaml:5:9) and of b"
    ]


def test_instances_that_share_an_output_are_told_once(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            foreach:
              n:
                range: 1..1000
            outputs: same
            run: echo ${{ n }}
        """
    )
    assert len(problems) == 1 and "a[n=1]" in problems[0].message and "a[n=2]" in problems[0].message


@pytest.mark.parametrize(
    ("outer", "inner", "what"),
    [
        ("out/", "out/deep/f", "lies in the output directory 'out' of a"),
        ("out/", "out/sub/", "lies in the output directory 'out' of a"),
        ("out", "out/f", "lies below the output file 'out' of a"),
    ],
)
def test_an_output_inside_another_instances(world: World, outer: str, inner: str, what: str) -> None:
    for first, second in (("a", "b"), ("b", "a")):
        steps = {"a": outer, "b": inner}
        problems = world.bad(
            "steps:\n"
            + "".join(f"  - name: {n}\n    outputs: {steps[n]}\n    run: 'true'\n" for n in (first, second))
        )
        assert len(problems) == 1 and what in problems[0].message
        assert "recipe.yaml:" in problems[0].message and problems[0].key == "b.outputs"


def test_neighbours_are_no_conflict(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            outputs:
              - out/
              - out/own.txt
              - out2/x
            run: 'true'
          - name: b
            outputs:
              - out2/y
              - output
            run: 'true'
        """
    )
    assert names(found) == ["a", "b"]


def test_many_outputs_are_checked_quickly(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            foreach:
              n:
                range: 1..3000
            outputs: out/${{ n }}/deep/er/f
            run: echo ${{ n }}
        """
    )
    assert len(found.by_output) == 3000


@given(st.text(alphabet="ab./", min_size=1, max_size=10))
def test_clean_is_stable_and_says_the_same_path(path: str) -> None:
    normal = clean(path)
    assert clean(normal) == normal
    assert "//" not in normal and (normal == "/" or not normal.endswith("/"))
    assert normal.startswith("/") == path.startswith("/")


@given(st.text(alphabet="ab./~ ", min_size=1, max_size=12))
def test_an_output_is_inside_or_refused(path: str) -> None:
    rules = Paths("/w/s", ["r/recipe.yaml"])
    try:
        normal, directory = rules.output(path)
    except PathError:
        return
    assert not normal.startswith(("/", "../")) and normal not in (".", "..", ".f0make", "r", "r/recipe.yaml")
    assert not normal.startswith(".f0make/") and directory == path.endswith("/")
