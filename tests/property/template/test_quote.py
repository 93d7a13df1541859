"""Quoting: what bash sees is what the value was."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.template.quote import quote
from f0make.template.render_text import Template
from f0make.template.run_text import Command
from f0make.template.template_values import NamedPaths, NotText, Raw, Row
from tests.support.examples import examples

words = st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=12)


def seen_by(shell: str, command: str) -> list[str]:
    script = f'for word in {command}; do printf "%s\\0" "$word"; done'
    run = subprocess.run([shell, "-c", script], capture_output=True, check=True)
    return run.stdout.decode("utf-8").split("\0")[:-1]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@examples(40)
@given(values=st.lists(words, min_size=1, max_size=5))
def test_a_shell_sees_the_words_as_they_were(shell: str, values: list[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    assert seen_by(shell, quote(values)) == values


def test_plain_names_need_no_quotes() -> None:
    assert quote("data/a-b_c.1,2:3@4%5+6=7") == "data/a-b_c.1,2:3@4%5+6=7"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", "''"),
        ("it's", "'it'\"'\"'s'"),
        (["a b", "c"], "'a b' c"),
        ([], ""),
        (3, "3"),
        (True, "True"),
        (Raw("$HOME x"), "$HOME x"),
        ([Raw("*"), "*"], "* '*'"),
        (Row({"id": "s 1", "reads": "9"}), "'s 1'"),
        (NamedPaths(["a b", "c"], {"x": "a b", "y": ["c"]}), "'a b' c"),
    ],
)
def test_each_value_has_its_form(value: object, quoted: str) -> None:
    assert quote(value) == quoted


def test_a_map_or_a_nul_is_refused() -> None:
    with pytest.raises(NotText, match="a map"):
        quote({"a": "1"})
    with pytest.raises(NotText, match="NUL"):
        quote("a\0b")


def test_raw_and_quote_filters_in_quoted_and_plain_text() -> None:
    scope = {"x": "a b", "xs": ["a b", "c"]}
    assert Command("${{ x }} ${{ x | raw }} ${{ x | quote }}").render(scope) == "'a b' a b 'a b'"
    assert Template("${{ x }} ${{ x | raw }} ${{ x | quote }}").render(scope) == "a b a b 'a b'"
    assert Template("${{ xs }}|${{ xs | quote }}").render(scope) == "a b c|'a b' c"
    assert Command("${{ xs | join(',') | raw }}").render(scope) == "a b,c"
    assert Command("${{ xs | join(',') }}").render(scope) == "'a b,c'"
