"""The fast reader is strictyaml, only faster: same acceptance, same values, and true places."""

from __future__ import annotations

import random

import pytest
import strictyaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from f0make.recipe.document import _in_parts, read_document
from f0make.recipe.finding import Finding
from f0make.recipe.split_steps import split
from f0make.recipe.yaml_node import Entries, Items, Node, Text, pack, plain, unpack
from f0make.recipe.yaml_reader import MAX_DEPTH, forbidden, normalised, read
from tests.support.examples import examples

BASES = [
    "a: b\nc:\n  d: e\n  f:\n    - g\n    - h\n",
    "a: 'x y'\nb: \"z\\n\"\nc: p q\n  r s\n\n  t\n",
    "- a\n-\n  - b\n  - c: d\n    e: f\n",
    "# top\nrecipe: x\nsteps:\n  - name: a\n    run: |\n      x\n       y\n\n      z\n    inputs:\n      - p\n"
    "      - q: r\n\n  # more\n  - name: b\n    d: >\n      t\n      u\n\n        v\ntargets:\n  - a\n",
    "steps:\n- name: a\n  run: echo 'a\n    b'\n-   name: b\n    env:\n      A: 1\n- name: c\n  run: |+\n    x\n\nenv:\n  A: b\n",
    '---\nsteps: # all\n\n   - name: a\n     when: "x\n  y"\n   - name: b\n',
]
PIECES = [
    "a", "b: ", "- ", ": ", ":", "-", "\n", "\n  ", "\n    ", " ", "  ", "#", " #", "'", '"', "|\n", "|", ">\n", "|-\n",
    "|+\n", ">-\n", "|2\n", "? ", "! ", "!", "&", "*", "%", "@", "`", "{", "}", "[", "]", ",", "\t", "~", "null",
    "${{ x }}", "\\", "...", "---", "\n---\n", "\n...\n", "é", "😀", "<<", "0", "yes", "\r\n", "''", '""', "\n\n", "k:\n",
    "  k: v\n", "- x\n", "  - y\n", " \n", "steps:\n", "  - name: z\n", "# c\n", "\x85", "\u2028", "\ufeff", "\x07", "\0",
]  # fmt: skip

DIFFERENT_BY_CHOICE = ("the key before `:` is missing", "`<<` (a YAML merge) is not allowed")
"""What strictyaml takes and we refuse: an empty key is a mistake, and its `<<` merges away what was written.
Beside these, characters that the YAML versions disagree on (`forbidden`)."""


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    """A document after a few edits, most of them harmful."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    text = rng.choice(BASES)
    for _ in range(rng.randint(0, 4)):
        here, there, what = rng.randint(0, len(text)), rng.randint(0, len(text)), rng.random()
        if what < 0.6:
            text = text[:here] + rng.choice(PIECES) + text[here:]
        elif what < 0.85:
            text = text[:here] + text[here + rng.randint(1, 4) :]
        else:
            text = text[:here] + text[min(here, there) : max(here, there)] + text[here:]
    return text


def by_strictyaml(text: str) -> object:
    """The data, or None for a refusal or a crash."""
    try:
        data = strictyaml.load(text).data
    except Exception:
        return None
    return data if isinstance(data, (dict, list)) else None


def by_us(text: str) -> tuple[object, list[Finding]]:
    text = normalised(text)
    bad = forbidden(text)
    if bad:
        return None, [bad]
    findings: list[Finding] = []
    node = read(text, findings)
    return (plain(node) if isinstance(node, (Entries, Items)) and not findings else None), findings


def places(node: Node) -> object:
    """Everything about a node and all below it."""
    return (type(node), node.mark, pack(node))


@examples(400, suppress_health_check=[HealthCheck.too_slow])
@given(yaml_texts())
def test_same_acceptance_and_values_as_strictyaml(text: str) -> None:
    theirs, (ours, findings) = by_strictyaml(text), by_us(text)
    if ours is None and theirs is not None:
        by_choice = any(found.message.startswith(DIFFERENT_BY_CHOICE) for found in findings)
        assert by_choice or forbidden(normalised(text)), (text, findings)
    elif ours is not None and theirs is None:
        # only a crash inside strictyaml may be on the other side, never a verdict
        with pytest.raises(Exception) as caught:
            strictyaml.load(text)
        assert not isinstance(caught.value, strictyaml.YAMLError), text
    else:
        assert ours == theirs


@examples(400)
@given(yaml_texts())
def test_reading_in_parts_is_reading_the_whole(text: str) -> None:
    text = normalised(text)
    if forbidden(text):
        return
    parts = split(text)
    document = _in_parts(parts, None) if parts else None
    findings: list[Finding] = []
    whole = read(text, findings)
    if document is None:
        assert read_document(text, [], None).head is None or whole is not None
        return
    assert not findings and isinstance(whole, Entries) and isinstance(document.head, Entries)
    steps = whole.entries["steps"]
    assert isinstance(steps, Items)
    assert [places(s.node) for s in document.steps if s.node] == [places(item) for item in steps.items]
    assert list(document.head.entries) == list(whole.entries)
    for key, value in whole.entries.items():
        if key != "steps":
            assert places(document.head.entries[key]) == places(value)
            assert document.head.keys[key] == whole.keys[key]


@examples(200)
@given(yaml_texts())
def test_pure_python_parser_reads_the_same(text: str) -> None:
    """Where libyaml is not installed nothing changes but the time."""
    import yaml

    text = normalised(text)
    if not yaml.__with_libyaml__ or forbidden(text):
        return
    if "?" in text and not text.endswith("\n"):
        text += "\n"  # For the value that a `?` at the very end lacks libyaml names the next line, PyYAML this one.
    fast: list[Finding] = []
    slow: list[Finding] = []
    with pytest.MonkeyPatch.context() as patch:
        one = read(text, fast)
        patch.setattr(yaml, "__with_libyaml__", False)
        other = read(text, slow)
    assert bool(fast) == bool(slow), (text, fast, slow)
    if not fast:
        assert (one and places(one)) == (other and places(other))


def test_pack_is_undone_by_unpack() -> None:
    node = read(BASES[3], [])
    assert node is not None
    assert places(unpack(pack(node))) == places(node)


def test_places_are_true_after_what_confuses_strictyaml() -> None:
    """Folded text, blank lines and comments shift strictyaml's lines, not ours."""
    text = "a: >\n  x\n  y\n\n  z\n\n\n# note\nb:\n\n  c: d\n  e: |\n    1\n    2\nf: 'g\n  h'\n"
    node = read(text, [])
    assert isinstance(node, Entries)
    assert node.entries["a"].mark[:2] == (1, 4)
    inner = node.entries["b"]
    assert isinstance(inner, Entries)
    assert inner.entries["c"].mark == (11, 6, 11)
    assert inner.entries["e"].mark == (12, 6, 14)
    assert node.entries["f"].mark == (15, 4, 16)


def test_columns_count_characters() -> None:
    findings: list[Finding] = []
    read("é😀: [x]\n", findings)
    assert (findings[0].line, findings[0].column) == (1, 5)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 20_000])
def test_deep_nesting_is_one_finding(depth: int) -> None:
    text = "".join(" " * level + "a:\n" for level in range(depth)) if depth < 1000 else "- " * depth + "x"
    findings: list[Finding] = []
    read(text, findings)
    assert [f.message for f in findings] == [f"nested more than {MAX_DEPTH} levels deep"]


def test_deepest_allowed_nesting_is_read_by_strictyaml_too() -> None:
    text = "".join(" " * level + "a:\n" for level in range(MAX_DEPTH - 1)) + " " * MAX_DEPTH + "a: b\n"
    ours, findings = by_us(text)
    assert not findings and ours == by_strictyaml(text)


def test_every_broken_rule_is_found_not_only_the_first() -> None:
    text = "a: [1, {x: y}]\nb: &anchor c\nd: !tag e\nf: g\nf: h\ni: *anchor\n<<: j\nk: {}\n"
    findings: list[Finding] = []
    read(text, findings)
    assert [(f.line, f.column) for f in findings] == [(1, 4), (2, 4), (3, 4), (5, 1), (6, 4), (7, 1), (8, 4)]


def test_second_document_is_refused() -> None:
    findings: list[Finding] = []
    read("a: b\n---\nc: d\n", findings)
    assert [(f.line, f.syntax) for f in findings] == [(2, True)]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 'x\nb: c\n", 1, 4),
        ('a: b\nc: "d\n', 2, 4),
        ("a:\n\tb: c\n", 2, 1),
        ("a: b: c\n", 1, 5),
        ("a: @b\n", 1, 4),
    ],
)
def test_syntax_errors_are_placed_where_they_begin(text: str, line: int, column: int) -> None:
    findings: list[Finding] = []
    assert read(text, findings) is None
    assert [(f.line, f.column) for f in findings] == [(line, column)]


def test_unquoted_template_braces_get_the_hint_that_helps() -> None:
    findings: list[Finding] = []
    read("run: {{ x }}\n", findings)
    assert findings[0].hint == "a template is written ${{ … }}"


def test_split_knows_where_steps_end() -> None:
    text = "steps:\n  # first\n  - name: a\n    run: |\n      - no item\n  - name: b\ntargets:\n  - a\n"
    parts = split(text)
    assert parts is not None
    assert [(c.offset, c.text.split("\n")[0]) for c in parts.chunks] == [
        (2, "  - name: a"),
        (5, "  - name: b"),
    ]
    assert parts.outer.count("\n") == text.count("\n")
    assert parts.outer.endswith("targets:\n  - a\n")


def test_text_that_only_looks_like_steps_is_read_as_a_whole() -> None:
    """A quoted text over several lines may hold anything; then the cut must not be believed."""
    text = 'description: "\nsteps:\n  - name: no\n"\nsteps:\n  - name: yes\n'
    document = read_document(text, [], None)
    assert document.whole_text == text
    assert [s.node and plain(s.node) for s in document.steps] == [{"name": "yes"}]


def test_quoted_empty_text_is_told_from_nothing() -> None:
    node = read("a:\nb: ''\n", [])
    assert isinstance(node, Entries)
    first, second = node.entries["a"], node.entries["b"]
    assert isinstance(first, Text) and isinstance(second, Text)
    assert first.plain and not second.plain
