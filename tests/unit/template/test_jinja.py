"""Expressions in Jinja2: what they can do, what they cannot, and that none runs away."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from f0make.template.jinja_expressions import BadExpression, Compiled
from f0make.template.template_values import Row
from f0make.template.value_access import EvaluationError, Missing


def evaluate(source: str, **scope: Any) -> Any:
    return Compiled(source)(scope)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n | int - 1", 4),
        ("n ~ '-' ~ xs", "5-a/b.txt c"),
        ("xs | length", 2),
        ("xs | map('basename') | join(' ')", "b.txt c"),
        ("xs | map('dirname') | list", ["a", "."]),
        ("xs[1:]", ["c"]),
        ("n.zfill(3)", "005"),
        ("xs[0].split('/')[1].removesuffix('.txt') | upper", "B"),
        ("'%05.1f' % 2", "002.0"),
        ("'{:>4}'.format(n)", "   5"),
        ("'yes' if n == '5' else 'no'", "yes"),
        ("nothing | default('x')", "x"),
        ("nothing is defined", False),
        ("m.nothing | default('x')", "x"),
        ("m.items", "mine"),
        ("m.get('zz', 'z')", "z"),
        ("{'a': {'b': 1}}.a.b", 1),
        ("range(3) | map('string') | list", ["0", "1", "2"]),
        ("xs | select('in', ['c']) | list", ["c"]),
        ("row", Row({"id": "A", "n": "2"})),
        ("row | upper", "A"),
        ("row.n | int * 2", 4),
        ("m | tojson", '{"items": "mine"}'),
        ("[3, 1] | sort | first", 1),
    ],
)
def test_expressions(source: str, value: object) -> None:
    scope = {"n": "5", "xs": ["a/b.txt", "c"], "m": {"items": "mine"}, "row": Row({"id": "A", "n": "2"})}
    assert evaluate(source, **scope) == value


def test_the_names_that_an_expression_uses_are_known() -> None:
    assert Compiled("a.b ~ c[d] ~ (range(2) | list) ~ 'e'").names == {"a", "c", "d"}


@pytest.mark.parametrize(
    "source",
    [
        "''.__class__.__mro__",
        "x.__class__",
        "x['__class__']",
        "''['__class__']",
        "x.format.__globals__",
        "'{0.__class__}'.format(x)",
        "'{0[__class__]}'.format(x)",
        "x | attr('__class__')",
        "[x] | map(attribute='__class__') | list",
        "range.__init__",
        "dict.__subclasses__()",
        "lipsum()",
        "cycler('a')",
        "self._TemplateReference__context",
        "x('a')",
        "x.encode('utf-8')",
        "xs.append(1)",
        "m.update(a=1)",
        "xs | random",
        "x.nothing()",
        "1 / 0",
        "x | nothing",
        "x is nothing",
        "x | sum",
        "1 +",
        "(1",
        "x y",
        "",
        "10.0 ** 400",
        "'a' * 'b'",
    ],
)
def test_what_is_not_allowed_ends_in_a_message(source: str) -> None:
    with pytest.raises((BadExpression, Missing)) as error:
        evaluate(source, x="a", xs=["a"], m={})
    assert error.value.message and "\0" not in error.value.message + error.value.hint


GREEDY = [
    "9**9**9",
    "9**9**9**9",
    "2**(2**40)",
    "(2**200) * (2**200)",
    "'a'*10**10",
    "10**10*'a'",
    "[0]*10**10",
    "[[[[0]*1000]*1000]*1000]*1000",
    "('a'*10**7) ~ ('a'*10**7)",
    "('a'*10**7) + ('a'*10**7)",
    "range(10**12)",
    "range(100000) | map('center', 10000) | list",
    "range(100000) | map('string') | map('replace', '1', 'x'*1000) | list",
    "range(100000) | select('in', range(100000) | list) | list",
    "range(100000) | batch(10**9, 'x') | list",
    "[1] | batch(10**9, 'x') | list",
    "[1] | slice(10**9) | list",
    "'a' | center(10**9)",
    "'a'.center(10**9)",
    "'a'.ljust(10**9)",
    "'1'.zfill(10**9)",
    "'\\t'.expandtabs(10**9)",
    "('\\t'*100000).expandtabs(10000)",
    "'a\\na' | indent(10**9)",
    "('a\\n'*100000) | indent(10000)",
    "'%1000000000d' % 1",
    "'%.1000000000f' % 1",
    "'%*d' % (10**9, 1)",
    "'%1000000000d' | format(1)",
    "'{:1000000000}'.format(1)",
    "'{:{}}'.format(1, 10**9)",
    "'{:{w}}'.format(1, w=10**9)",
    "'a'.replace('', 'x'*10**7)",
    "('a'*10**6) | replace('a', 'x'*10**6)",
    "('x'*10**6).join(['a']*10**6)",
    "(['a']*100000) | join('x'*10**6)",
    "5 | round(-10**9)",
    "5 | round(10**9)",
    "m | tojson(indent=10**9)",
    "([[1]]*10000) | sum(start=[])",
    "('9'*100000) | int",
    "(" * 500 + "1" + ")" * 500,
    "+".join(["1"] * 20000),
    "~".join(["x"] * 20000),
    "[" * 500 + "]" * 500,
    "not " * 5000 + "x",
    "x" + ".a" * 9000,
]


def test_greedy_expressions_end_soon_and_small() -> None:
    """All in one process of its own that has a gigabyte: one that blows up ends it."""
    code = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from f0make.template.value_access import Missing
from f0make.template.jinja_expressions import BadExpression, Compiled
for source in json.load(sys.stdin):
    started = time.process_time()
    try:
        Compiled(source)({"m": {"a": "b"}, "x": "a"})
        said = "no error"
    except (BadExpression, Missing) as error:
        said = error.message
    print(json.dumps([source, said, time.process_time() - started]), flush=True)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(GREEDY), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert [source for source, _, _ in outcomes] == GREEDY
    assert [source for source, said, _ in outcomes if not said or said == "no error"] == []
    assert [(source, seconds) for source, _, seconds in outcomes if seconds > 6] == []


def test_the_limits_hold_in_a_thread_too() -> None:
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            evaluate("range(100000) | map('center', 10000) | list")
        except BadExpression as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert len(outcome) == 1


def test_what_is_within_the_limits_is_done() -> None:
    paths = [f"out/some/longer/directory/sample_{n:06d}.counts.txt" for n in range(30_000)]
    assert len(evaluate("p | map('basename') | join(' ')", p=paths)) == 30_000 * 25 - 1
    assert len(evaluate("'ab' * 1000000")) == 2_000_000


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a[1:3]", "bc"),
        ("a[::-1]", "dcba"),
        ("l[1:]", ["y"]),
        ("'b' in a", True),
        ("'x' not in l", False),
        ("1 < 2 < 3", True),
        ("a == 'abcd' and l|length >= 2", True),
        ("'%s-%03d' % (a, 7)", "abcd-007"),
        ("l|join('-') ~ a.split('b')[0]", "x-ya"),
    ],
)
def test_what_is_charged_still_means_the_same(source: str, expected: object) -> None:
    assert Compiled(source)({"a": "abcd", "l": ["x", "y"]}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "1e400",
        "[1e400]",
        "'1e400'|float",
        "1e308 * 10",
        "'%s' % m.get",
        "m.get|string",
        "[m.get]|string",
        "m.get ~ ''",
        "m.get == 1",
        "'{}'.format(m.get)",
        "m[m.get]",
        "range|string",
        "'\\ud800'",
        "('%(k)s' * 9000000) % m",
        "1 in 2 in 3",
        "2[1:2]",
        "u[1:2]",
    ],
)
def test_what_is_no_value_or_no_number_is_an_error(source: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        Compiled(source)({"m": {"k": "v" * 100}})
    assert "object at" not in caught.value.message
