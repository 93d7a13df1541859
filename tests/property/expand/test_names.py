"""Names of instances can be read back, whatever the values hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.expand.instance_names import instance_name, parse_instance_name
from f0make.template.template_values import Row

values = st.dictionaries(st.sampled_from(["a", "b", "c_1"]), st.text(max_size=8), max_size=3)
hard = st.dictionaries(st.sampled_from(["a", "b"]), st.text(alphabet="\\,]=[\n\r\tx0an\x01\x7f ", max_size=6))


@given(values | hard)
def test_names_are_read_back(variables: dict[str, str]) -> None:
    name = instance_name("step", variables)
    assert parse_instance_name(name) == ("step", variables)
    assert "\n" not in name and "\r" not in name


@given(values | hard, values | hard)
def test_different_variables_have_different_names(one: dict[str, str], other: dict[str, str]) -> None:
    same = list(one.items()) == list(other.items())
    assert (instance_name("s", one) == instance_name("s", other)) == same


def test_the_common_forms() -> None:
    assert instance_name("count", {}) == "count"
    assert instance_name("count", {"book": "moby", "lang": "en"}) == "count[book=moby,lang=en]"
    assert instance_name("map", {"sample": Row({"id": "A", "n": "1"})}) == "map[sample=A]"
    assert instance_name("m", {"x": "a b/c=d"}) == "m[x=a b/c=d]"


@pytest.mark.parametrize(
    "name", ["s[", "s[a]", "s[a=1", "s[a=1,]", "s[a=1]x", "s[a=1,a=2]", "s[a=\\q]", "s[]"]
)
def test_what_is_no_name(name: str) -> None:
    assert parse_instance_name(name) is None
