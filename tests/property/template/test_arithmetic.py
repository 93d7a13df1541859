"""Arithmetic without Jinja2 gives Jinja2's results and errors, and what it cannot give it leaves to Jinja2."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from f0make.template.arithmetic import compile_arithmetic
from f0make.template.jinja_expressions import BadExpression, Compiled
from f0make.template.template_values import BROKEN, Broken, NamedPaths, Raw, Row
from f0make.template.value_access import EvaluationError
from tests.support.examples import examples


def one_of(spelled: str) -> st.SearchStrategy[str]:
    """One of the texts between the semicolons."""
    return st.sampled_from(spelled.split(";"))


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then one of the ``rare``."""
    return st.integers(0, 9).flatmap(lambda n: usual if n else rare)


small = st.integers(-20, 20)
large = st.integers(-(10**20), 10**20)
odd_texts = one_of(
    "; 7 ;+7;-0;007;1_000;1.9;-1.9;1e3;1e400;nan;inf;0x10;٣;five;%d;½;7\n;\0"
) | st.sampled_from(["9" * 18, "9" * 19, "-" + "9" * 18, "9" * 999, "9" * 1001])
texts = mostly(st.one_of(small, small, large).map(str), odd_texts)
numbers = mostly(small, st.one_of(large, st.sampled_from([10**18, 10**18 - 1, -(10**18), 2**200])))
others = st.sampled_from(
    [
        2.0,
        2.5,
        float("inf"),
        float("nan"),
        True,
        None,
        Raw("5"),
        ["1", "2"],
        NamedPaths(["3"], {"a": "4"}),
        Row({"id": "6", "n": "7"}),
        {},
        BROKEN,
    ]
)
values = mostly(st.one_of(texts, numbers), others)
scopes = st.fixed_dictionaries(
    {"n": values, "m": numbers, "sample": st.builds(lambda n: Row({"id": "A", "n": n}), texts)},
    optional={"config": st.fixed_dictionaries({"a": values, "items": values, "not": values, "a-b": values})},
)

spaces = one_of(";; ; ;\n;  ")
paths = one_of("n;sample;sample.n;config.a;config['a-b'];config. not;config.items")
as_number = st.builds("{}{}|{}int".format, paths, spaces, spaces)
operands = st.one_of(as_number, as_number, st.just("m"), mostly(one_of("0;1;2;7;10;999999999"), paths))
signs = one_of("+;-;*;//;%")


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.builds("{}{}{}{}{}".format, inner, spaces, signs, spaces, inner)
    return st.one_of(pair, pair, st.builds("({}{}{})".format, spaces, inner, spaces))


def _whole(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}{}{}".format, spaces, part, spaces)


arithmetic = _whole(st.recursive(operands, _grown, max_leaves=4))
rarities = one_of(
    'nn;sample.id;sample.count;n.zz;n[0];n[-1];m[ 7 ];config["a"];config[0];_n;result;int;loop;self;super;range;dict;'
    "caller;context;True;none;not;is;and;é;n.0;n[01];n['a\r'];n['\\x61'];n.é;n[m];1000000000;0x1F;0b1;1_0;07;00;1.5;1e3;"
    "1 .5;'7';-1;+ 1;1n;1é;[1];(n;n);;()"
)
rare_filters = one_of(";;| int();| int(5);|int (5);| string;| float;|int|int;| integer;| int.x;[0];.n")
rare_signs = one_of("+;-;*;/;**;~;--;-+;%%;<;|;and;")
oddities = _whole(
    st.builds(
        "{}{}{}{}{}".format, rarities | operands, rare_filters, rare_signs, rarities | operands, rare_filters
    )
)


def outcome(evaluate: Any, scope: dict[str, Any]) -> Any:
    """What an expression comes to, with its type, or the error in all its words."""
    try:
        value = evaluate(scope)
    except EvaluationError as error:
        return type(error), error.message, error.hint
    except Broken:
        return Broken
    return type(value), str(value) if value != value else value


def compare(source: str, scopes: list[dict[str, Any]]) -> None:
    """What the quick way takes must be what Jinja2 takes, with the same names, results and errors."""
    quick = compile_arithmetic(source)
    if quick is not None:
        slow = Compiled(source)
        assert quick.names == slow.names
        for scope in scopes:
            assert outcome(quick, scope) == outcome(slow, scope)


@examples(800)
@given(arithmetic, st.lists(scopes, min_size=1, max_size=4))
@example("n | int - 1", [{"n": "1"}, {"n": "x"}, {"n": "1" * 2000}, {}])
@example("n | int // m | int % 7", [{"n": "-5", "m": "2"}, {"n": "-5", "m": "0"}, {"n": "-5", "m": "-3"}])
@example("n - 1 - m * 2 // 3 % 5", [{"n": 7, "m": -4}, {"n": "7", "m": 1}])
@example("n + m", [{"n": "a", "m": "b"}, {"n": 1, "m": "b"}, {"n": [], "m": []}])
@example("n * m", [{"n": "ab", "m": 3}, {"n": 2**200, "m": 2**200}, {"n": "ab", "m": 10**10}])
@example("(n * m) * (n * m)", [{"n": 10**18 - 1, "m": 1 - 10**18}])
@example("n % 2", [{"n": "%d"}, {"n": "%s"}])
def test_arithmetic_equals_jinja(source: str, scopes: list[dict[str, Any]]) -> None:
    compare(source, scopes)


@examples(800)
@given(oddities, st.lists(scopes, min_size=1, max_size=2))
def test_whatever_else_is_taken_equals_jinja_too(source: str, scopes: list[dict[str, Any]]) -> None:
    compare(source, scopes)


QUICK = (
    "n | int - 1; n|int+1 ;n|int;(n | int - 1) // 10;config.a|int * n|int - 2;n - (m - (n - 1));2 * n;n % 7;attempt * 2;"
    "row['a b'] | int - 1;n[0] | int;n\n| int\n- 1"
)
LEFT = (
    "1 + 2;n / 2;n ** 2;-n;n - -1;n ~ 1;n | int(1);n | int | string;n | float - 1;n + 'a';range + 1;self - 1;not - 1;"
    "n + true;n +;(n;n);();n m;n 1;n | int (1);n + 1.0;n + 01;n + 1_000;n + 1000000000;n.0;n + é;a + a + a + a + a;"
    "(((((n)))));"
)


@pytest.mark.parametrize("source", QUICK.split(";"))
def test_what_counts_takes_the_quick_way(source: str) -> None:
    assert compile_arithmetic(source) is not None


@pytest.mark.parametrize("source", [*LEFT.split(";"), "n | int - 1" + " " * 300])
def test_everything_else_is_left_to_jinja(source: str) -> None:
    assert compile_arithmetic(source) is None


@pytest.mark.parametrize("source", ["n * n * n * n", "(n * n) * (n * n)", "n * (n * (n * n))", "(n + n) * n"])
def test_growth_ends_where_it_does_in_jinja(source: str) -> None:
    numbers = [sign * (10**digits - 1) for digits in range(1, 80) for sign in (1, -1)]
    compare(source, [{"n": n} for n in numbers])
    compare(source.replace("n", "n|int"), [{"n": str(n)} for n in numbers])


def test_what_is_no_plain_number_is_what_jinja_makes_of_it() -> None:
    quick = compile_arithmetic("n | int - 1")
    assert quick is not None
    assert [quick({"n": n}) for n in ("5", "4.7", "five", " 6 ", "9" * 30)] == [4, 3, -1, 5, 10**30 - 2]
    with pytest.raises(BadExpression, match="a number of 2,000 characters"):
        quick({"n": "9" * 2000})


def test_counting_does_not_import_jinja() -> None:
    code = (
        "import sys\nfrom f0make.template.render_text import Template\n"
        "text = Template('${{ n | int - 1 }}.${{ (a.b | int + 1) % 3 }}').render({'n': '0', 'a': {'b': '7'}})\n"
        "assert text == '-1.2'\n"
        "assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
