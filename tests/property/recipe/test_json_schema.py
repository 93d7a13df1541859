"""No text that f0make converts is refused by the pattern that editors go by."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from f0make.recipe.json_schema import json_schema
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.schema import RECIPE


def patterned(kind: Kind) -> list[Scalar]:
    """Every kind of text in ``kind`` that has a pattern."""
    if isinstance(kind, Scalar):
        return [kind] if kind.pattern else []
    if isinstance(kind, Many):
        return patterned(kind.item)
    if isinstance(kind, Mapped):
        inner: list[Kind] = [kind.value, *kind.named.values()]
    elif isinstance(kind, Fields):
        inner = list(kind.fields.values())
    elif isinstance(kind, OneOf):
        inner = [one for one in (kind.text, kind.items, kind.entries) if one]
    else:
        inner = []
    return [found for one in inner for found in patterned(one)]


KINDS = list({id(kind): kind for kind in patterned(RECIPE)}.values())

TEXTS = st.one_of(
    st.text(alphabet="yesnotruefalYESNOfF10", max_size=5),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "+", "-"]),
            st.from_regex(r"[0-9]{0,3}(_[0-9]+)?(\.[0-9]{0,2})?([eE][-+]?[0-9])?", fullmatch=True),
            st.sampled_from(["", " "]),
            st.sampled_from(
                ["", "%", "ms", "s", "m", "h", "d", "B", "kb", "GiB", "Pb", "J", "kWh", "wh", "mg", "T"]
            ),
        ),
    ),
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,5}", fullmatch=True),
    st.sampled_from(["FRA", "DEU"]),
)


@given(TEXTS)
def test_what_converts_matches(text: str) -> None:
    for kind in KINDS:
        assert kind.convert is not None
        try:
            kind.convert(text)
        except ValueError:
            continue
        assert re.search(json_schema(kind)["pattern"], text), kind.expected


def test_each_pattern_refuses_something() -> None:
    assert len(KINDS) > 20
    for kind in KINDS:
        assert not re.search(json_schema(kind)["pattern"], "no such thing?"), kind.expected
