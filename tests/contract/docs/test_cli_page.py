"""docs/cli.md is true: its session gives what it shows, and it names every verb and option."""

from __future__ import annotations

import re
import subprocess

from f0make.command_table import VERBS
from tests.support.f0 import F0, TIMEOUT, command
from tests.support.paths import PROJECT

PAGE = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")

VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "DATE"),
    (re.compile(r" +\d+(\.\d+)? s\b"), " TIME"),
    (re.compile(r'"(\w*seconds|peak_mem|read|written)": [\d.e-]+'), r'"\1": N'),
    (re.compile(r"[\d.e-]+ k?(J|Wh), [\d.e-]+ m?g CO2e"), "ENERGY"),
    (re.compile(r"up to \d+ MB"), "up to N MB"),
)


def session() -> list[tuple[str, list[str]]]:
    """Every command of the page with the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```\n(.*?)^```$", PAGE, re.M | re.S):
        lines = block.splitlines()
        if not lines[0].startswith("$ "):
            continue
        for line in lines:
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def steady(line: str) -> str:
    """``line`` without what differs from run to run."""
    for pattern, word in VARYING:
        line = pattern.sub(word, line)
    return line


def test_the_session_of_the_page_gives_what_it_shows(f0: F0) -> None:
    steps = session()
    assert len(steps) > 15
    for text, shown in steps:
        done = subprocess.run(
            ["sh", "-c", text.replace("f0make ", " ".join(command()) + " ", 1)],
            cwd=f0.workspace,
            env=f0.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=TIMEOUT,
            check=False,
        )
        # stdout and stderr share a pipe here: what they say is compared, not which comes first
        found = [steady(line) for line in done.stdout.splitlines()]
        assert sorted(found) == sorted(map(steady, shown)), text


def test_every_verb_and_option_is_on_the_page() -> None:
    for verb in VERBS.values():
        assert f"f0make {verb.name}" in PAGE, verb.name
        for option in verb.options:
            for flag in option.flags:
                assert re.search(rf"`[^`]*{re.escape(flag)}\b", PAGE), (verb.name, flag)


def test_the_page_promises_no_verb_that_is_missing() -> None:
    named = set(re.findall(r"(?:`|\$ )f0make ([a-z]+)", PAGE))
    assert named <= {verb.split()[0] for verb in VERBS}
