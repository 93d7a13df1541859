"""Which way answers a request, and the reason that is told: decided from options, recipe, results and log alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from f0make.command_table import APART, OPTIONS, options_of
from f0make.incremental import eligibility
from f0make.incremental.eligibility import NeedsFullRun, Reason
from f0make.model import Foreach, Recipe, Step
from f0make.options import RunOptions

REASONS = [value for value in vars(eligibility).values() if isinstance(value, Reason)]
ALWAYS_WHOLE = {
    "force": eligibility.FORCED,
    "rehash": eligibility.REHASH,
    "energy": eligibility.ENERGY,
    "host": eligibility.HOSTS,
    "hosts": eligibility.HOSTS,
    **dict.fromkeys(options_of(request=APART), eligibility.SELECTED),
    **dict.fromkeys(options_of(value="budget"), eligibility.BUDGET),
}
"""Options that no run over a part can honour."""


def recipe(**of_step: Any) -> Recipe:
    step = Step(name="a", file="r.yaml", marks={}, type="shell", **of_step)
    return Recipe("r.yaml", "r.yaml", "", [step])


def given(option: str) -> RunOptions:
    found = RunOptions()
    value: Any = True if OPTIONS[option].kind == "flag" else ["x"] if OPTIONS[option].kind == "many" else "1"
    setattr(found, option, {"gpu": 1} if option == "resource" else value)
    return found


def test_a_plain_request_is_eligible_for_everything() -> None:
    assert eligibility.against_partial(RunOptions()) is None
    assert eligibility.against_recipe_snapshot(recipe(), sealed=True) is None
    assert eligibility.against_recipe_graph(recipe(), uses_context=False, damaged_log=False) is None
    assert eligibility.against_log([], open_begins=False, known=True) is None


@pytest.mark.parametrize("option", sorted({f.name for f in fields(RunOptions)} & OPTIONS.keys()))  # type: ignore[arg-type]
def test_only_these_options_need_everything_decided(option: str) -> None:
    assert eligibility.against_partial(given(option)) is ALWAYS_WHOLE.get(option)


def test_what_one_run_forces_says_nothing_against_its_snapshot() -> None:
    for option in ("force", "rehash"):
        assert eligibility.against_snapshot(given(option)) is None
        assert eligibility.against_graph(given(option)) is None
    for option in options_of(request=APART):
        assert eligibility.against_snapshot(given(option)) is eligibility.SELECTED


def test_recipes_and_logs_that_nothing_can_begin_from() -> None:
    assert eligibility.against_recipe_snapshot(recipe(), sealed=False) is eligibility.NO_SEAL
    assert eligibility.against_recipe_snapshot(recipe(secrets=["KEY"]), sealed=True) is eligibility.SECRETS
    waits = recipe(foreach=[Foreach(("f",), "glob", ["*.txt"], after="b")])
    assert eligibility.against_recipe_graph(waits, False, False) is eligibility.GROWS
    assert eligibility.against_recipe_graph(recipe(), True, False) is eligibility.CONTEXT
    assert eligibility.against_recipe_graph(recipe(), False, True) is eligibility.DAMAGED_LOG
    assert eligibility.against_log(["line 3"], False, True) is eligibility.DAMAGED_LOG
    assert eligibility.against_log([], True, True) is eligibility.KILLED_RUN
    assert eligibility.against_log([], False, False) is eligibility.OTHER_LOG


def test_a_way_is_told_with_its_reason_in_one_line() -> None:
    assert eligibility.no_op() == "no-op path: every file is as the last run left it"
    assert eligibility.partial(["in/7", "in/8", "out/9"], False).endswith("(in/7 and 2 more)")
    assert eligibility.partial(["in/7"], True).endswith("(in/7)")
    assert "`always`" in eligibility.partial([], True)
    why = NeedsFullRun(eligibility.GRAPH_INPUT, "r.yaml")
    assert eligibility.full(why) == "full way: the whole graph rests on a path that has changed (r.yaml)"
    for reason in REASONS:
        assert "\n" not in reason


def test_no_two_reasons_read_alike() -> None:
    assert len(set(REASONS)) == len(REASONS) > 20
