"""Scanning: literal text and expressions, and that nothing is lost between them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from f0make.template.jinja_expressions import BadExpression, Compiled
from f0make.template.scan_text import Expression, ScanError, scan


def expressions(text: str) -> list[str]:
    return [part.source for part in scan(text) if isinstance(part, Expression)]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("plain", []),
        ("${{ a }}", [" a "]),
        ("x${{a}}y${{ b.c }}z", ["a", " b.c "]),
        ("${{ '}}' }}", [" '}}' "]),
        ('${{ "}}" ~ x }}', [' "}}" ~ x ']),
        ("${{ {'a': {'b': 1}} }}", [" {'a': {'b': 1}} "]),
        ("${{ {'a':{'b':1}}.a.b }}", [" {'a':{'b':1}}.a.b "]),
        (r"${{ 'it\'s }}' }}", [r" 'it\'s }}' "]),
        ("${{ '${{' }}", [" '${{' "]),
        ("awk '{print $1}' ${HOME} $(date) {{ no }} {% no %} {# no #}", []),
        ("$${{ a }}", [" a "]),
        ("${{ f( }} tail", [" f( "]),
        ("${{ 'b }} tail", [" 'b "]),
    ],
)
def test_expressions_are_found(text: str, sources: list[str]) -> None:
    assert expressions(text) == sources


@pytest.mark.parametrize(
    ("text", "offset"), [("${{", 0), ("ab ${{ x }", 3), ("${{ a }} ${{ b", 9), ("${{ '}}'", 0)]
)
def test_an_expression_that_is_never_closed_is_an_error_at_its_beginning(text: str, offset: int) -> None:
    with pytest.raises(ScanError) as error:
        scan(text)
    assert error.value.offset == offset


@example(["${{", "${{ x }}", "${{ x }}"])
@given(st.lists(st.one_of(st.text(alphabet="ab${ }\n'\""), st.sampled_from(["${{ x }}", "${{ '}}' }}"]))))
def test_parts_put_together_again_are_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        parts = scan(text)
    except ScanError as error:
        assert text.startswith("${{", error.offset)
        return
    again = "".join(part if isinstance(part, str) else "${{" + part.source + "}}" for part in parts)
    assert again == text
    position = 0
    for part in parts:
        if isinstance(part, Expression):
            assert part.offset == position
        elif "${{" in part:  # the rest of a text after an expression that is none
            assert part is parts[-1]
            with pytest.raises(BadExpression):
                Compiled(parts[-2].source if isinstance(parts[-2], Expression) else "1")
        position += len(part) if isinstance(part, str) else len(part.source) + 5
