"""An option that the table of options gains works with that one entry, and its name in a verb."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.f0 import F0

ENTRY = """\
import sys

if any(word.endswith("f0make") for word in sys.orig_argv):  # not in the interpreters of steps
    from f0make import command_table as table

    toy = table.Option("toy", "--toy", table.TEXT, "How many bricks.", "N", request={request}, value="count", default=7)
    table.OPTIONS["toy"] = toy
    for name in ("run", "list"):
        verb = table.VERBS[name]
        table.VERBS[name] = table.Verb(
            name, verb.help, verb.positionals, " ".join([*(option.field for option in verb.options), "toy"])
        )

    import f0make.options
    import f0make.cli.verbs.list as shown

    main = shown.main

    def told(name, options, extras):
        print("toy", options.value("toy"), options.extra.get("toy"))
        return main(name, options, extras)

    shown.main = told
"""

RECIPE = "steps:\n  - name: copy\n    inputs: a.txt\n    outputs: b.txt\n    run: cp a.txt b.txt\n"


def with_option(f0: F0, place: Path, request: str) -> Mapping[str, str]:
    """The environment of an f0make whose table has one option more, which is ``request`` to snapshots."""
    site = place / f"one-option-more-{request.split('.')[-1]}"
    site.mkdir()
    (site / "sitecustomize.py").write_text(ENTRY.replace("{request}", request))
    return {"PYTHONPATH": os.pathsep.join([str(site), f0.environment()["PYTHONPATH"]])}


@pytest.fixture
def toy(f0: F0, tmp_path: Path) -> Mapping[str, str]:
    f0.recipe(RECIPE)
    f0.write("a.txt", "a\n")
    return with_option(f0, tmp_path, "table.ANSWER")


def test_it_is_read_checked_shown_and_has_its_default(f0: F0, toy: Mapping[str, str]) -> None:
    assert "--toy N" in f0("run", "--help", env=toy).stdout
    assert f0("list", "recipe.yaml", "--toy", "3", env=toy).stdout.startswith("toy 3 3\n")
    assert f0("list", "--toy=3", "recipe.yaml", "--debug", env=toy).stdout.startswith("toy 3 3\n")
    assert f0("list", "recipe.yaml", env=toy).stdout.startswith("toy 7 None\n")
    for words in (["recipe.yaml", "--toy", "many"], ["--toy=many", "recipe.yaml"]):
        result = f0("run", *words, env=toy)
        assert result.code == 2
        assert "--toy many: expected a whole number, at least 0" in result.stderr, result.stderr
    assert "did you mean --toy?" in f0("run", "recipe.yaml", "--tooy", "3", env=toy).stderr.lower()
    assert f0("run", "recipe.yaml", "--toy", "3").code == 2


def snapshots(f0: F0) -> int:
    return len([path for path in (f0.workspace / ".f0make" / "snapshots").iterdir() if not path.suffix])


def test_the_answer_to_another_value_is_another_answer(f0: F0, toy: Mapping[str, str]) -> None:
    for value, kept in (("3", 1), ("3", 1), ("4", 2), ("3", 2)):
        f0.run("--toy", value, env=toy)
        assert snapshots(f0) == kept, value


def test_one_that_is_harmless_where_nothing_is_to_do_shares_the_answer(
    f0: F0, toy: Mapping[str, str], tmp_path: Path
) -> None:
    env = with_option(f0, tmp_path, "table.HARMLESS")
    for value in ("3", "4"):
        f0.run("--toy", value, env=env)
        assert snapshots(f0) == 1


def test_with_one_that_wants_the_full_way_no_snapshot_answers(
    f0: F0, toy: Mapping[str, str], tmp_path: Path
) -> None:
    apart = with_option(f0, tmp_path, "table.APART")
    f0.run("--toy", "3", env=apart)
    assert not (f0.workspace / ".f0make" / "snapshots").exists() or snapshots(f0) == 0
    full = with_option(f0, tmp_path, "table.FULL")
    f0.run("--toy", "3", env=full)
    assert snapshots(f0) == 1
