"""What the key of an instance covers and what it does not, one change at a time."""

from __future__ import annotations

import os

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0

BASE = """\
description: what the key covers
config:
  word: hello
  unused: nothing
env:
  GLOBAL: g1
steps:
  - name: first
    inputs:
      - in.txt
    outputs:
      - first.txt
    run: |
      echo first >> "$TRACE"
      echo ${{ config.word }} $OWN $GLOBAL > first.txt
      cat in.txt >> first.txt
    env:
      OWN: o1
  - name: second
    inputs: first.txt
    outputs: second.txt
    run: |
      echo second >> "$TRACE"
      wc -l < first.txt > second.txt
"""


@pytest.fixture
def two(f0: F0) -> Traced:
    """A workspace in which two steps have run."""
    traced = Traced(f0.workspace)
    traced.recipe(BASE)
    traced.write("in.txt", "input\n")
    traced.run()
    assert traced.executed() == ["first", "second"]
    return traced


NO_CHANGE = {
    "comment": ("steps:\n", "# a comment\nsteps:\n"),
    "recipe description": ("what the key covers", "something else"),
    "step description": ("  - name: second\n", "  - name: second\n    description: Count lines\n"),
    "unused config": ("unused: nothing", "unused: something"),
    "new config": ("  unused: nothing\n", "  unused: nothing\n  more:\n    nested: 1\n"),
    "resources": ("  - name: second\n", "  - name: second\n    resources:\n      cpu: 1\n      mem: 10MB\n"),
    "priority": ("  - name: second\n", "  - name: second\n    priority: 7\n"),
    "idx": ("  - name: second\n", "  - name: second\n    idx: 7\n"),
    "retries": ("  - name: second\n", "  - name: second\n    retries: 3\n    retry_delay: 1\n"),
    "timeout": ("  - name: second\n", "  - name: second\n    timeout: 100\n"),
    "depends_on": ("  - name: second\n", "  - name: second\n    depends_on: \n      - first\n"),
    "type": ("  - name: second\n", "  - name: second\n    type: shell\n"),
    "name": ("- name: first", "- name: renamed"),
    "order of steps": (
        BASE[BASE.index("  - name: first") :],
        ""
        + "".join(
            "  - name: " + part
            for part in reversed(BASE[BASE.index("  - name: first") :].split("  - name: ")[1:])
        ),
    ),
    "another step": ("steps:\n", "steps:\n  - name: phony\n    inputs: in.txt\n"),
    "test_meta": ("steps:\n", "test_meta:\n  test_id: T-1\n  tester: bob\n  description: x\nsteps:\n"),
    "targets": ("steps:\n", "targets:\n  - second\nsteps:\n"),
    "defaults": ("steps:\n", "defaults:\n  retries: 2\n  timeout: 60\nsteps:\n"),
    "list form": ("    inputs:\n      - in.txt\n", "    inputs: in.txt\n"),
    "named input": ("    inputs:\n      - in.txt\n", "    inputs:\n      text: in.txt\n"),
    "shell as it is by default": ("steps:\n", "shell: bash -euo pipefail\nsteps:\n"),
}


def test_what_changes_nothing(two: Traced) -> None:
    for what, (old, new) in NO_CHANGE.items():
        two.recipe(BASE)
        two.edit("recipe.yaml", old, new)
        result = two.run()
        assert set(result.states.values()) == {"current"} and two.executed() == [], what


CHANGES = {
    "used config": ("word: hello", "word: bye", ["first", "second"]),
    "command": ("wc -l < first.txt >", "wc -c < first.txt >", ["second"]),
    "declared environment": ("OWN: o1", "OWN: o2", ["first", "second"]),
    "environment of the recipe": ("GLOBAL: g1", "GLOBAL: g2", ["first", "second"]),
    "new environment variable": ("      OWN: o1\n", "      OWN: o1\n      MORE: m\n", ["first"]),
    "shell": ("  - name: second\n", "  - name: second\n    shell: bash -eu\n", ["second"]),
    "fingerprint": (
        "  - name: second\n",
        "  - name: second\n    fingerprint:\n      - echo v1\n",
        ["second"],
    ),
    "additional input": (
        "    inputs: first.txt\n",
        "    inputs:\n      - first.txt\n      - in.txt\n",
        ["second"],
    ),
}


def test_what_runs_an_instance_again(two: Traced) -> None:
    for what, (old, new, expected) in CHANGES.items():
        two.recipe(BASE)
        two.run()
        assert two.executed() == [], what
        two.edit("recipe.yaml", old, new)
        ran = {name: "ran" if name in expected else "current" for name in ("first", "second")}
        assert two.run().states == ran and two.executed() == expected, what


def test_an_additional_output_is_another_result(two: Traced) -> None:
    two.edit(
        "recipe.yaml", "    outputs: second.txt\n", "    outputs:\n      - second.txt\n      - more.txt\n"
    )
    result = two.run(code=1)  # The step does not make it.
    assert result.states["second"] == "failed" and "more.txt" in result.reasons["second"]


def test_only_declared_variables_join_the_key(two: Traced) -> None:
    result = two.run(env={"UNDECLARED": "1", "LANG": "C", "OWN": "inherited"})
    assert set(result.states.values()) == {"current"}


def test_an_instance_without_outputs_has_its_name_in_the_key(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe('steps:\n  - name: check\n    run: echo check >> "$TRACE"\n')
    assert traced.run().states == {"check": "ran"}
    assert traced.run().states == {"check": "current"}
    traced.edit("recipe.yaml", "name: check", "name: verify")
    assert traced.run().states == {"verify": "ran"}
    assert traced.executed() == ["check", "check"]


def test_where_the_recipe_lies_is_not_in_the_key(two: Traced) -> None:
    two.write("elsewhere/other.yaml", BASE)
    assert set(two.run(recipe="elsewhere/other.yaml").states.values()) == {"current"}
    assert set(two.run(recipe=str(two.workspace / "recipe.yaml")).states.values()) == {"current"}
    outside = Traced(two.workspace.parent)
    result = outside("run", "-C", "workspace", "recipe.yaml", "--json")
    assert set(result.states.values()) == {"current"} and two.executed() == []


INPUTS = """\
steps:
  - name: read
    inputs: data/*.csv
    outputs: all.txt
    run: |
      echo read >> "$TRACE"
      for f in data/*.csv; do echo $f; cat "$f"; done > all.txt
"""


def test_inputs_count_with_their_paths_and_content(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(INPUTS)
    traced.write("data/a.csv", "a\n")
    traced.write("data/b.csv", "b\n")
    traced.run()
    traced.executed()
    (traced.workspace / "data/b.csv").rename(traced.workspace / "data/c.csv")
    assert traced.run().states == {"read": "ran"}
    traced.write("data/d.csv", "")
    assert traced.run().states == {"read": "ran"}
    traced.write("data/ignored.txt", "no input\n")
    assert traced.run().states == {"read": "current"}
    traced.remove("data/d.csv")
    assert traced.run().states == {"read": "restored"}
    assert traced.read("all.txt") == "data/a.csv\na\ndata/c.csv\nb\n"
    (traced.workspace / "data/a.csv").chmod(0o755)
    assert traced.run().states == {"read": "ran"}
    (traced.workspace / "data/a.csv").chmod(0o644)
    assert traced.run().states == {"read": "current"}  # The result was the same: no file had to be written.
    (traced.workspace / "data/a.csv").chmod(0o600)  # Only the executable bit counts.
    assert traced.run().states == {"read": "current"}


TREE = """\
steps:
  - name: read
    inputs: tree/
    outputs: all.txt
    run: |
      echo read >> "$TRACE"
      (cd tree && find . | LC_ALL=C sort | xargs ls -ld | awk '{print $1, $9, $10, $11}') > all.txt
"""


def test_a_directory_counts_as_a_tree(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(TREE)
    tree = traced.workspace / "tree"
    traced.write("tree/a", "a\n")
    traced.write("tree/sub/b", "b\n")
    traced.run()
    assert traced.run().states == {"read": "current"}

    def edits() -> list[str]:
        seen = []
        for edit in (
            lambda: traced.write("tree/sub/new", ""),
            lambda: (tree / "a").rename(tree / "c"),
            lambda: (tree / "c").chmod(0o755),
            lambda: (tree / "empty").mkdir(),
            lambda: (tree / "link").symlink_to("c"),
            lambda: ((tree / "link").unlink(), (tree / "link").symlink_to("sub/b")),
            lambda: traced.write("tree/sub/b", "c\n"),
            lambda: ((tree / "link").unlink(), traced.write("tree/link", "b\n")),
        ):
            edit()
            seen.append(traced.run().states["read"])
        return seen

    assert edits() == ["ran"] * 8
    (tree / "a").touch()
    (tree / "a").unlink()
    os.utime(tree / "sub", (0, 0))
    assert traced.run().states == {"read": "current"}


def test_a_symlink_given_as_an_input(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(
        'steps:\n  - name: r\n    inputs: link\n    outputs: o\n    run: cat link > o; echo r >> "$TRACE"\n'
    )
    traced.write("a", "same\n")
    traced.write("b", "same\n")
    link = traced.workspace / "link"
    link.symlink_to("a")
    traced.run()
    traced.write("a", "other\n")
    assert traced.run().states == {"r": "ran"} and traced.read("o") == "other\n"
    traced.write("a", "same\n")
    assert traced.run().states == {"r": "restored"}
    link.unlink()
    link.symlink_to("b")
    assert traced.run().states == {"r": "current"}
    link.unlink()
    link.symlink_to("a")
    assert set(traced.run().states.values()) <= {"current", "restored"} and traced.executed() == ["r"] * 2


MODULE = """\
import helpers.maths
from helpers import texts


def main(number: int, ctx=None):
    # a comment
    open("out.txt", "w").write(texts.render(helpers.maths.double(number)))
"""
PYTHON = """\
steps:
  - name: py
    module: work
    function: main
    args:
      number: 3
    outputs: out.txt
"""


@pytest.fixture
def python(f0: F0) -> Traced:
    """A python step whose code lies in several modules."""
    traced = Traced(f0.workspace)
    traced.recipe(PYTHON)
    traced.write("work.py", MODULE)
    traced.write("helpers/__init__.py", "")
    traced.write("helpers/maths.py", "from .deep import factor\n\n\ndef double(n):\n    return n * factor\n")
    traced.write("helpers/deep.py", "factor = 2\n")
    traced.write("helpers/texts.py", "def render(n):\n    return f'{n}\\n'\n")
    traced.write("unrelated.py", "x = 1\n")
    assert traced.run().states == {"py": "ran"} and traced.read("out.txt") == "6\n"
    return traced


def test_comments_and_formatting_of_python_code_do_not_count(python: Traced) -> None:
    python.edit("work.py", "# a comment", "# another comment\n    # and one more")
    python.edit("helpers/maths.py", "return n * factor", "return (\n        n  *  factor\n    )  # twice")
    python.edit("unrelated.py", "x = 1", "x = 2")
    assert python.run().states == {"py": "current"}


def test_python_code_counts_transitively(python: Traced) -> None:
    python.edit("helpers/deep.py", "factor = 2", "factor = 5")
    assert python.run().states == {"py": "ran"} and python.read("out.txt") == "15\n"
    python.edit("helpers/texts.py", "{n}", "<{n}>")
    assert python.run().states == {"py": "ran"} and python.read("out.txt") == "<15>\n"
    python.edit("recipe.yaml", "number: 3", "number: 4")
    assert python.run().states == {"py": "ran"} and python.read("out.txt") == "<20>\n"
    python.edit("recipe.yaml", "number: 4", "number: 3")
    python.edit("helpers/deep.py", "factor = 5", "factor = 2")
    python.edit("helpers/texts.py", "<{n}>", "{n}")
    assert python.run().states == {"py": "restored"} and python.read("out.txt") == "6\n"


def test_why_names_each_part_that_differs(two: Traced) -> None:
    two.edit("recipe.yaml", "OWN: o1", "OWN: o2")
    two.edit("recipe.yaml", "word: hello", "word: bye")
    two.write("in.txt", "changed\n")
    result = two("why", "recipe.yaml", "first.txt", "--json")
    assert result.code == 0
    (event,) = result.events
    assert event["step"] == "first" and event["status"] == "run"
    changes = {c["part"]: (c["old"], c["new"]) for c in event["changes"]}
    own = next(v for k, v in changes.items() if "OWN" in k)
    assert own == ("o1", "o2")
    command = next(v for k, v in changes.items() if k.startswith("command"))
    assert "hello" in command[0] and "bye" in command[1]
    old, new = next(v for k, v in changes.items() if "in.txt" in k)
    assert old != new
    text = two("why", "recipe.yaml", "first").stdout
    assert "OWN" in text and "o1" in text and "o2" in text and "in.txt" in text
    assert "first.txt" in two("why", "recipe.yaml", "second").stdout


def test_why_for_code_arguments_and_fingerprints(python: Traced) -> None:
    python.edit("recipe.yaml", "number: 3", "number: 4")
    python.edit("helpers/deep.py", "factor = 2", "factor = 7")
    (event,) = python("why", "recipe.yaml", "py", "--json").events
    said = str(event["changes"])
    assert "number" in said and "factor = 7" in said and "helpers/deep.py" in said
    python.write("version", "1\n")
    python.edit("recipe.yaml", "    args:", "    fingerprint:\n      - cat version\n    args:")
    python.run()
    assert python.run().states == {"py": "current"}
    python.write("version", "2\n")
    assert python.run().states == {"py": "ran"}
    python.write("version", "1\n")
    assert python.run().states == {"py": "current"}  # The same output: nothing had to be written.
