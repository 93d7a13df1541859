"""`Context`: what may be kept, what is recorded, what may not be read."""

from __future__ import annotations

import enum
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.context import ALL_KEYS, Context, ContextError, Paths, StepView

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_value_comes_back(value: Any) -> None:
    ctx = Context()
    ctx.set("k", value)
    assert ctx.get("k") == value
    assert json.loads(json.dumps(ctx.writes[0]["value"], allow_nan=False)) == value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, object(), {1: 2}, {None: 1}, b"x", {1, 2}, [1, {"a": [math.nan]}], 1j],
)
def test_other_values_are_refused_by_name(value: Any) -> None:
    ctx = Context({"model.score": 1})
    with pytest.raises(TypeError, match=r"model\.score"):
        ctx.set("model.score", value)
    assert ctx.get("model.score") == 1 and ctx.writes == [] and ctx.history() == []


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="'k'"):
        Context().set("k", loop)


@pytest.mark.parametrize("key", ["", None, 3])
def test_keys_are_texts(key: Any) -> None:
    with pytest.raises(TypeError):
        Context().set(key, 1)


def test_values_are_plain_types_and_copies() -> None:
    class Colour(str, enum.Enum):
        RED = "red"

    class Size(enum.IntEnum):
        BIG = 3

    ctx = Context()
    given_list = [Colour.RED, Size.BIG, (1, 2)]
    ctx.set("k", given_list)
    given_list.append("later")
    assert ctx.get("k") == ["red", 3, [1, 2]]
    assert [type(v) for v in ctx.get("k")] == [str, int, list]
    ctx.get("k").append("mine")
    assert ctx.get("k") == ["red", 3, [1, 2]]


def test_reads_are_recorded_as_they_were_seen() -> None:
    ctx = Context({"a": [1], "b": 2})
    ctx.get("a").append(5)
    assert ctx.get("none", "default") == "default"
    assert ctx.get("none") is None
    assert (ctx.reads, ctx.missing_reads) == ({"a": [1]}, ["none"])


def test_what_a_step_wrote_itself_is_no_read() -> None:
    ctx = Context({"a": 1})
    ctx.set("a", 2)
    ctx.set("b", 3)
    assert (ctx.get("a"), ctx.get("b")) == (2, 3)
    assert (ctx.reads, ctx.missing_reads) == ({}, [])


def test_the_first_value_seen_counts() -> None:
    ctx = Context({"a": 1})
    ctx.get("a")
    ctx.set("a", 2)
    assert ctx.get("a") == 2 and ctx.reads == {"a": 1}


def test_history_and_writes() -> None:
    before = time.time()
    ctx = Context({"a": 1}, step=StepView("fit", instance="fit[n=1]"), history=[{"key": "a", "after": 1}])
    ctx.set("a", 2, who="me")
    ctx.set("a", 3)
    earlier, first, second = ctx.history()
    assert earlier == {"key": "a", "after": 1}
    assert before <= first.pop("when") <= second.pop("when") <= time.time()
    assert first == {"who": "me", "step": "fit[n=1]", "key": "a", "before": 1, "after": 2}
    assert second == {"who": "fit", "step": "fit[n=1]", "key": "a", "before": 2, "after": 3}
    assert [(w["key"], w["value"], w["who"]) for w in ctx.writes] == [("a", 2, "me"), ("a", 3, "fit")]


def test_keys() -> None:
    ctx = Context({"b": 1, "a": 2}, step=StepView("s"))
    ctx.set("c", 3)
    assert ctx.keys() == ["a", "b", "c"]
    assert ctx.reads == {ALL_KEYS: ["a", "b"]}
    alone = Context({"b": 1})
    assert alone.keys() == ["b"] and alone.reads == {}


def test_foreign_keys() -> None:
    ctx = Context({"mine": 1}, foreign={"theirs": "train"}, step=StepView("report"))
    with pytest.raises(ContextError, match=r"'theirs' is set by step 'train'.*depends_on of 'report'"):
        ctx.get("theirs", "default")
    assert ctx.keys() == ["mine"]
    ctx.set("theirs", 2)
    assert ctx.get("theirs") == 2
    with pytest.raises(ContextError, match="depends_on"):
        Context(foreign={"k": "s"}).get("k")


def test_paths_by_position_and_by_name() -> None:
    paths = Paths(["a", "b", "c"], {"one": "a", "rest": ["b", "c"]})
    assert paths == ["a", "b", "c"] and paths[1:] == ["b", "c"] and paths[-1] == "c"
    assert (paths["one"], paths.one, paths.rest) == ("a", "a", ["b", "c"])
    with pytest.raises(KeyError, match="other"):
        paths["other"]
    with pytest.raises(AttributeError, match="one, rest"):
        _ = paths.other
    assert ",".join(Paths(["x"])) == "x"


def test_step_by_default() -> None:
    step = Context().step
    assert (step.name, step.inputs, step.outputs, step.resources, step.attempt) == ("", [], [], {}, 1)
