"""Drawings hold any name: dot text reads back as what went in, by a small lexer and by graphviz itself."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from html import unescape
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.graph.draw.as_json import as_json
from f0make.graph.draw.dot import dot
from f0make.graph.draw.html import html
from f0make.graph.draw.layout import place
from f0make.graph.draw.mermaid import mermaid
from f0make.graph.draw.parts import Node, printable
from f0make.graph.draw.svg import svg
from tests.support.examples import examples

NASTY = [
    'a"b',
    "back\\slash\\",
    "two\nlines",
    "a&amp;b <c> \\N \\n",
    "Zoë 日本 🎉",
    "caf\udce9",
    "tab\there",
    "bell\x07",
    "count[book=moby,lang=en]",
    "subgraph",
    "x#quot; $$y$$ %%{init}%%",
    "];}",
]

NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8) | st.sampled_from(NASTY),
    min_size=1,
    max_size=6,
    unique=True,
)


def numbered(names: list[str]) -> tuple[list[Node], list[tuple[str, str]]]:
    """A chain of ``names``."""
    nodes = [Node(str(n), name, ("run", "current", "")[n % 3], name) for n, name in enumerate(names)]
    return nodes, [(str(n), str(n + 1)) for n in range(len(names) - 1)]


def read_dot(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Node and edge ids of dot text, by the rules of dot's lexer: only a backslash before a quote escapes."""
    string = r'"((?:[^"\\]|\\"|\\\\|\\(?=[^"\\]))*)"'
    assert re.sub(string, "", text).count('"') == 0
    nodes, edges = [], []
    for line in text.split("\n")[3:-2]:
        edge = re.fullmatch(rf"  {string} -> {string};", line)
        if edge:
            edges.append((edge[1], edge[2]))
            continue
        node = re.fullmatch(rf"  {string}(?: \[.*\])?;", line)
        assert node, line
        nodes.append(node[1])
    return nodes, edges


def plain(text: str) -> str:
    """What a label with the escapes of dot shows."""
    return re.sub(r'\\([\\n"])', lambda m: {"n": "\n"}.get(m[1], m[1]), text)


@examples(300)
@given(NAMES)
def test_dot_text_reads_back(names: list[str]) -> None:
    nodes, edges = numbered(names)
    found, links = read_dot(dot(nodes, edges))
    if len({printable(name) for name in names}) == len(names):
        wanted = [printable(name).replace("\t", " ") for name in names]
        if len(set(wanted)) == len(wanted):
            assert [plain(name) for name in found] == wanted
            assert [(plain(a), plain(b)) for a, b in links] == list(itertools.pairwise(wanted))
    assert len(found) == len(set(found)) == len(names)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_graphviz_shows_every_name_as_it_is() -> None:
    nodes, edges = numbered(NASTY)
    done = subprocess.run(["dot", "-Tsvg"], input=dot(nodes, edges).encode(), capture_output=True, check=True)
    assert not done.stderr
    root = ElementTree.fromstring(done.stdout)
    space = "{http://www.w3.org/2000/svg}"
    shown = [
        "\n".join(text.text or "" for text in group.iter(f"{space}text"))
        for group in root.iter(f"{space}g")
        if group.get("class") == "node"
    ]
    assert sorted(shown) == sorted(printable(name).replace("\t", " ") for name in NASTY)


@examples(100)
@given(NAMES)
def test_svg_is_well_formed_and_shows_every_name(names: list[str]) -> None:
    nodes, edges = numbered(names)
    root = ElementTree.fromstring(svg(nodes, edges).encode())
    space = "{http://www.w3.org/2000/svg}"
    groups = [g for g in root.iter(f"{space}g") if (g.get("class") or "").startswith("node")]
    shown = ["\n".join(text.text or "" for text in group.iter(f"{space}text")) for group in groups]
    assert shown == [printable(name).replace("\t", " ") for name in names]


@examples(100)
@given(NAMES)
def test_mermaid_labels_read_back(names: list[str]) -> None:
    nodes, edges = numbered(names)
    lines = mermaid(nodes, edges).split("\n")
    labels = [re.fullmatch(r'  n\d+\["(.*)"\]', line)[1] for line in lines[1 : len(names) + 1]]  # type: ignore[index]
    assert not any(c in label.replace("<br/>", "") for label in labels for c in '"&<>`\\$%')
    shown = [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), label.replace("<br/>", "\n")) for label in labels]
    assert shown == [printable(name).replace("\t", " ") for name in names]


def test_html_is_one_page_that_loads_nothing() -> None:
    nodes, edges = numbered([*NASTY, "<script>alert(1)</script>"])
    page = html(nodes, edges, "title & <co>")
    assert "<script>alert" not in page
    assert "title &amp; &lt;co&gt;" in page
    assert not re.search(r"(src|href)=", page)
    assert [unescape(m) for m in re.findall(r"<tr><td>(.*?)</td>", page, re.S)] == [
        printable(node.label) for node in nodes
    ]


def test_json_keeps_names_exactly() -> None:
    nodes, edges = numbered(NASTY)
    found = json.loads(as_json(nodes, edges, {"0": {"step": "s"}}))
    assert [node["name"] for node in found["nodes"]] == NASTY
    assert found["nodes"][0]["step"] == "s"
    assert found["edges"][0] == {"from": NASTY[0], "to": NASTY[1]}


def test_labels_that_look_alike_stay_two_nodes() -> None:
    found, links = read_dot(dot([("1", "same", ""), ("2", "same", "")], [("1", "2")]))
    assert found == ["1", "2"]
    assert links == [("1", "2")]


def test_what_needs_comes_right_of_what_it_needs_and_nothing_overlaps() -> None:
    nodes = [Node(str(n), f"step {n}") for n in range(30)]
    edges = [(str(n), str(m)) for n in range(30) for m in (2 * n + 1, 2 * n + 2) if m < 30]
    boxes, width, height = place(nodes, edges)
    for first, then in edges:
        assert boxes[int(first)].x + boxes[int(first)].width < boxes[int(then)].x
    for n, a in enumerate(boxes):
        assert a.x >= 0 and a.x + a.width <= width and a.y + a.height <= height
        for b in boxes[:n]:
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x
            assert apart or a.y + a.height <= b.y or b.y + b.height <= a.y


def test_a_cycle_is_drawn_too() -> None:
    text = svg([("a", "a", ""), ("b", "b", "")], [("a", "b"), ("b", "a")])
    assert text.count("<rect") == 2
