"""The automaton agrees with `re`, and the bound on `re`'s steps is one."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.regex.bounded import Bounded, Unbounded
from f0make.regex.captures import Captures
from f0make.regex.nfa import Nfa
from f0make.regex.tree import parse, work
from tests.support.examples import examples

_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "[ab]",
        "[^a]",
        ".",
        r"\w",
        r"\d",
        "^",
        "$",
        r"\Z",
        "(?=a)",
        "(?!b)",
        "(?<=a)",
        "(?<!b)",
        "(?i:A)",
        "a{2}",
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["*", "+", "?", "*?", "{1,3}", "{2,}"])
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})")
        | st.tuples(inner, signs).map(lambda one: f"(?:{one[0]}){one[1]}")
        | inner.map(lambda one: f"(?={one})")
        | inner.map(lambda one: f"(?!{one})")
    )


EXPRESSIONS = st.recursive(_ATOMS, _grown, max_leaves=6)
TEXTS = st.text("abA1 \n", max_size=7)


@examples(400)
@given(EXPRESSIONS, TEXTS)
def test_the_automaton_agrees_with_re(pattern: str, text: str) -> None:
    nfa = Nfa(parse(pattern), re.DOTALL)
    expected = re.compile(pattern, re.DOTALL).fullmatch(text) is not None
    assert nfa.fullmatch(text, time.monotonic() + 5) == expected


@examples(200)
@given(EXPRESSIONS, TEXTS)
def test_it_finds_every_end(pattern: str, text: str) -> None:
    found = Nfa(parse(pattern), re.DOTALL).ends(text, 0, time.monotonic() + 5)
    prefix = re.compile(f"(?:{pattern})", re.DOTALL)
    shortest = prefix.match(text)
    assert bool(found) == (shortest is not None)
    assert shortest is None or shortest.end() in found


@examples(200)
@given(EXPRESSIONS, st.integers(1, 40))
def test_what_is_said_to_be_quick_is_quick(pattern: str, length: int) -> None:
    bounded = Bounded(pattern)
    if bounded.quick(length):
        began = time.process_time()
        bounded.regex.fullmatch("a" * (length - 1) + "!")
        assert time.process_time() - began < 1


def test_the_bound_grows_with_what_is_nested() -> None:
    assert work(parse("[^/]+"), 200) < 1_000
    assert work(parse("(a+)+$"), 200) > 1e30
    assert work(parse("a*a*a*a*b"), 200) > 1e8
    assert work(parse("(?:ab)*c"), 200) < 1_000


@examples(200)
@given(EXPRESSIONS, EXPRESSIONS, TEXTS, TEXTS)
def test_a_path_made_of_texts_that_match_is_divided(one: str, other: str, left: str, right: str) -> None:
    wildcards = {"x": one, "y": other}
    captures = Captures(["d/", "_", ".txt"], ["x", "y"], wildcards)
    fits = bool(Bounded(one, re.DOTALL).fullmatch(left) and Bounded(other, re.DOTALL).fullmatch(right))
    values = captures.match(f"d/{left}_{right}.txt")
    if fits:
        assert values is not None
    if values is not None:
        assert f"d/{values['x']}_{values['y']}.txt" == f"d/{left}_{right}.txt"
        assert Bounded(one, re.DOTALL).fullmatch(values["x"])
        assert Bounded(other, re.DOTALL).fullmatch(values["y"])


def test_the_earlier_variable_is_as_long_as_possible() -> None:
    assert Captures(["", "_", ""], ["x", "y"], {}).match("a_b_c") == {"x": "a_b", "y": "c"}
    assert Captures(["", "_", ""], ["x", "y"], {"x": "^.+"}).match("a_b_c") == {"x": "a_b", "y": "c"}
    assert Captures(["", "-", ""], ["x", "x"], {"x": ".+$"}).match("a-a") == {"x": "a"}


def test_a_back_reference_is_followed_where_that_is_quick() -> None:
    assert Bounded(r"(.+)\1").fullmatch("abcabc")
    with pytest.raises(Unbounded, match="back-reference"):
        Bounded(r"(a*)*\1b").fullmatch("a" * 200)
