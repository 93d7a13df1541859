"""What others wrote, as it is shown: names, logs and errors act on no terminal and no page; drawings by extension."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.f0 import F0, command

EVIL = "\x1b]52;c;QUFB\x07\u202eexe.\u2066[red]\x9b2J\u200b"
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]|\x1b(?!\\[[0-9;?]*[a-zA-Z])|\x1b\\]|\x1b\\[[23]J"
)
"""What no terminal may be sent. rich's own display moves the cursor and erases lines, nothing else."""

RECIPE = """
steps:
  - name: a
    description: "x \\e[2J \\u202e"
    foreach:
      f:
        glob: in/${{ f }}
    inputs: in/${{ f }}
    outputs: out/${{ f }}
    run: |
      printf '\\033]52;c;AAAA\\007\\033[2J\\342\\200\\256 evil\\r\\n'
      exit 3
"""


@pytest.fixture
def evil(f0: F0) -> F0:
    """A workspace with a file whose name would do something, and a recipe that fails for it."""
    f0.write("r.yaml", RECIPE)
    f0.write(f"in/{EVIL}", "")
    (f0.workspace / "in").joinpath(os.fsdecode(b"\x9b31m")).write_text("")
    return f0


def on_terminal(f0: F0, *words: str) -> str:
    """What a verb sends to a terminal, standard output and error together."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command(), *words],
        cwd=f0.workspace,
        env=f0.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not piece:
            break
        sent += piece
    os.close(ours)
    process.wait(60)
    return sent.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def test_nothing_acts_on_a_terminal(evil: F0) -> None:
    verbs = [
        ["run", "r.yaml", "-k"],
        ["status", "-v"],
        ["log", "a"],
        ["plan", "r.yaml"],
        ["list", "r.yaml"],
        ["why", "r.yaml", "a"],
    ]
    verbs += [
        ["graph", "r.yaml"],
        ["graph", "r.yaml", "--svg"],
        ["validate", f"{EVIL}.yaml"],
        ["run", "r.yaml", EVIL],
        [EVIL],
        ["report"],
    ]
    for words in verbs:
        sent = on_terminal(evil, *words)
        sent = sent.replace("\r\x1b[2K", "").replace("\r", "") if words[0] == "run" else sent
        found = ACTING.search(sent)
        assert found is None, (words, found, sent[max(0, (found.start() if found else 0) - 40) :][:100])
    assert "\\x1b]52;c;AAAA\\x07\\x1b[2J\\u202e evil" in on_terminal(evil, "log", "a")


def test_a_log_in_a_pipe_is_as_it_was_printed(evil: F0) -> None:
    assert evil("run", "r.yaml", "-k").code == 1
    assert "\x1b]52;c;AAAA\x07\x1b[2J\u202e evil" in evil("log", "a").stdout
    assert "\x1b" not in evil("status").stdout


def policies(page: str) -> dict[str, str]:
    """Directive -> sources of the page's policy."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None and found.start() < page.index("<style>")
    return dict(part.strip().split(" ", 1) for part in found[1].split(";"))


@pytest.mark.parametrize(
    "words", [["graph", "r.yaml", "-o", "page.html"], ["report", "r.yaml", "-o", "page.html"]]
)
def test_pages_may_run_and_load_nothing_but_their_own(evil: F0, words: list[str]) -> None:
    evil("run", "r.yaml", "-k")
    assert evil(*words).code == 0
    page = evil.read("page.html")
    policy = policies(page)
    assert policy["default-src"] == "'none'" and policy["base-uri"] == "'none'"
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert not re.search(r"<[^>]*\s(style|on\w+)=", page), (
        "inline styles and handlers do not count under the policy"
    )
    assert not ACTING.search(page)


def test_drawings_go_by_the_extension(evil: F0, tmp_path: Path) -> None:
    starts = {
        "x.svg": "<",
        "x.html": "<!DOCTYPE html>",
        "x.dot": "digraph",
        "x.gv": "digraph",
        "x.mmd": "flowchart",
        "x.json": "{",
        "x": "digraph",
    }
    for name, start in starts.items():
        assert evil("graph", "r.yaml", "-o", name).code == 0
        text = evil.read(name)
        assert text.startswith(start), name
        assert not ACTING.search(text), name
    assert "<svg" in evil.read("x.svg")
    assert {node["status"] for node in json.loads(evil.read("x.json"))["nodes"]} == {"run"}
    assert evil("graph", "r.yaml", "-o", "y.txt.svg", "--json").code == 0
    assert evil.read("y.txt.svg").startswith("{"), "what is asked for by name wins"


def test_what_cannot_be_drawn_is_said(evil: F0) -> None:
    result = evil("graph", "r.yaml", "-o", "x.docx")
    assert result.code == 2 and "'.docx' says no format" in result.stderr
    (evil.workspace / "empty").mkdir()
    result = evil("graph", "r.yaml", "-o", "x.png", env={"PATH": str(evil.workspace / "empty")})
    assert result.code == 2 and "graphviz" in result.stderr
