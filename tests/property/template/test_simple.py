"""Plain substitution gives what Jinja2 gives, without importing it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.template.jinja_expressions import BadExpression, Compiled
from f0make.template.plain_substitution import compile_simple
from f0make.template.template_values import NamedPaths, Row
from f0make.template.value_access import Missing

SCOPE: dict[str, Any] = {
    "book": "moby",
    "sample": Row({"id": "A", "items": "9", "count": "3"}),
    "config": {"a": {"b": "1", "items": ["x", "y"]}, "keys": "k", "a-b": "dash"},
    "inputs": NamedPaths(["t.csv", "u.csv"], {"table": "t.csv", "rest": ["u.csv"]}),
    "outputs": ["o1", "o2"],
    "resources": {"cpu": 2, "mem": 1000},
    "attempt": 1,
}

names = st.sampled_from([*SCOPE, "missing", "bok"])
steps = st.sampled_from(
    [
        ".a",
        ".b",
        ".id",
        ".items",
        ".table",
        ".rest",
        ".cpu",
        ".count",
        "[0]",
        "[-1]",
        "[7]",
        "['a']",
        '["a-b"]',
        ".zz",
    ]
)
spaces = st.sampled_from(["", " ", "  "])


@given(names, st.lists(steps, max_size=3), st.sampled_from(["", "|raw", " | quote"]), spaces)
def test_plain_substitution_equals_jinja(root: str, path: list[str], filter: str, space: str) -> None:
    source = space + root + "".join(path) + filter + space
    simple = compile_simple(source)
    assert simple is not None

    def outcome(evaluate: Any) -> Any:
        try:
            return evaluate(SCOPE)
        except (Missing, BadExpression):
            return "fails"
        except ValueError:
            return "fails"

    ours = outcome(simple)
    theirs = outcome(Compiled(source))
    if ours == "fails" and type(theirs).__name__ == "_Method":
        return  # `book.count`: a method that is not called comes to nothing either, when it is written out
    assert ours == theirs


@pytest.mark.parametrize(
    "source",
    ["a + 1", "not a", "true", "None", "a | upper", "a.b()", "1", "'x'", "a if b", "a | raw | quote", "a.0"],
)
def test_everything_else_is_left_to_jinja(source: str) -> None:
    assert compile_simple(source) is None


def test_what_is_missing_is_named_with_what_was_meant() -> None:
    with pytest.raises(Missing) as error:
        compile_simple("bok")(SCOPE)  # type: ignore[misc]
    assert "`bok` is not defined" in error.value.message and "`book`" in error.value.hint
    with pytest.raises(Missing) as error:
        compile_simple("sample.idd")(SCOPE)  # type: ignore[misc]
    assert "sample.idd" in error.value.message and "`id`" in error.value.hint
    with pytest.raises(Missing, match="beyond the end"):
        compile_simple("outputs[2]")(SCOPE)  # type: ignore[misc]
    with pytest.raises(Missing, match="this is text"):
        compile_simple("book.x")(SCOPE)  # type: ignore[misc]


def test_plain_templates_do_not_import_jinja() -> None:
    code = (
        "import sys\nfrom f0make.template.render_text import Template\n"
        "assert Template('${{ a.b }} ${{ x[0] | raw }}').render({'a': {'b': '1'}, 'x': ['2']}) == '1 2'\n"
        "assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
