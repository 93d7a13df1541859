"""The documentation is true: every example in it is run as it stands.

Conventions of docs/recipes.md, which readers hardly see. The examples below one heading share a workspace, in order.

- A block whose first line is `# some/file.name` is that file (as is one after `<!-- file: some/file.name -->`).
- A ``console`` block holds commands (`$ …`) and what they print, on standard output and standard error together. The
  order of lines and numbers of seconds do not count; `…` stands for any text, alone on a line for any lines. Without
  printed lines anything may be printed. A command ends with 0, or as `# exit code N` at its end says.
- A comment `<!-- sh` … `-->` is a script that checks files, or changes some that were shown, unseen.
- A recipe that is in none of these commands is run after them.
- ``text`` blocks are not looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from f0make.recipe import schema, value_kinds
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf
from tests.support.docs_examples import Command, File, Section, headings, links, sections
from tests.support.f0 import F0, command
from tests.support.paths import PROJECT

RECIPES = (PROJECT / "docs" / "recipes.md").read_text(encoding="utf-8")
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{name}.md" for name in ("recipes", "cli", "design", "cache", "hosts", "strict", "scale")),
]


class Shell:
    """Runs the commands of the documentation in a workspace, `f0make` being the command under test."""

    def __init__(self, f0: F0) -> None:
        self.workspace = f0.workspace
        self.env = f0.environment({"LC_ALL": "C.UTF-8"})
        programs = f0.workspace.parent / "bin"
        programs.mkdir()
        (programs / "f0make").write_text(f'#!/bin/sh\nexec {" ".join(command())} "$@"\n')
        (programs / "f0make").chmod(0o755)
        self.env["PATH"] = f"{programs}{os.pathsep}{self.env['PATH']}"

    def __call__(self, text: str) -> tuple[int, str]:
        """Exit code and output."""
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self.workspace,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def write(self, file: File) -> None:
        """Put a file of the page into the workspace."""
        path = self.workspace / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")

    def check(self, command: Command) -> None:
        """Run a command of the page; it must do what the page says."""
        text = f"set -euo pipefail\n{command.text}" if command.hidden else command.text
        code, output = self(text)
        happened = f"line {command.line}: {command.text}\nended with {code} and printed\n{output}"
        if code != command.code:
            pytest.fail(happened, pytrace=False)
        if command.output and not printed(command.output, output.splitlines()):
            pytest.fail("\n".join([happened, "but the page says", *command.output]), pytrace=False)


def printed(expected: list[str], lines: list[str]) -> bool:
    """Whether ``lines`` are what the page says, in any order."""
    left = [plain(line) for line in lines if line.strip()]
    for wanted in filter(str.strip, expected):
        if wanted == "…":
            continue
        pattern = re.compile(".*".join(map(re.escape, plain(wanted).split("…"))))
        found = next((line for line in left if pattern.fullmatch(line)), None)
        if found is None:
            return False
        left.remove(found)
    return not left or "…" in expected


def plain(line: str) -> str:
    """A line without its seconds and the spaces at its end."""
    return re.sub(r"\d+\.\d+ s\b", "N s", line).rstrip()


@pytest.mark.parametrize("section", sections(RECIPES), ids=lambda section: section.title)
def test_recipes(section: Section, f0: F0) -> None:
    shell = Shell(f0)
    for item in section.items:
        if isinstance(item, File):
            shell.write(item)
        else:
            shell.check(item)
    for path in section.not_run():
        code, output = shell(f"f0make run {path}")
        assert code == 0, output


def test_readme(f0: F0) -> None:
    """Its recipe does what the comments beside its commands say."""
    shell = Shell(f0)
    for name in ("moby", "emma"):
        f0.write(f"texts/{name}.txt", f"a text about {name}\n")
    first = next(section for section in sections(README) if section.files)
    shell.write(first.files[0])
    assert [command.text.split("#")[0].strip() for command in first.commands] == [
        "f0make run wordcount.yaml",
        "f0make run wordcount.yaml",
        "touch texts/*; f0make run wordcount.yaml",
        "rm table.tsv; f0make run wordcount.yaml",
        "f0make why wordcount.yaml table.tsv",
    ]
    said = [shell(command.text)[1].splitlines()[-1] for command in first.commands]
    assert "3 ran" in said[0]
    assert "nothing to do" in said[1]
    assert "nothing to do" in said[2]
    assert "1 restored" in said[3] and "ran" not in said[3].replace("restored", "")
    assert "table" in said[4]


def keys_of(kind: Kind | None) -> Iterator[str]:
    """Every key that the schema knows below ``kind``, the values of free maps left out."""
    if isinstance(kind, Fields):
        for name, value in kind.fields.items():
            yield name
            yield from keys_of(value)
    elif isinstance(kind, Many):
        yield from keys_of(kind.item)
    elif isinstance(kind, Mapped):
        yield from keys_of(kind.value)
    elif isinstance(kind, OneOf):
        for part in (kind.items, kind.entries):
            yield from keys_of(part)


def used_keys(value: Any) -> Iterator[str]:
    """Every key of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from used_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from used_keys(inner)


def test_every_key_has_an_example() -> None:
    used = {
        key
        for section in sections(RECIPES)
        for file in section.files
        if file.path.endswith(".yaml")
        for key in used_keys(yaml.load(file.text, yaml.BaseLoader))
    }
    budget = set(keys_of(value_kinds.BUDGET)) | {"budget"}
    assert set(keys_of(schema.RECIPE)) - budget - used == set()


def test_every_key_is_in_the_tables_at_the_top() -> None:
    tables = RECIPES.partition("## A first recipe")[0]
    listed = set(re.findall(r"\[`(\w+)`\]\(#", tables))
    known = set(schema.HEAD.fields) | {"steps"} | set(schema.STEP.fields)
    assert known <= listed


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    for link in links(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("section", sections(RECIPES), ids=lambda section: section.title)
def test_what_readers_do_not_see_makes_no_file_that_an_example_needs(section: Section) -> None:
    """An example that is copied works: hidden commands look at what it left, or change a file that was shown."""
    shown = " ".join(item.text for item in section.items if not isinstance(item, Command) or not item.hidden)
    for hidden in section.commands:
        for made in re.findall(r"^(?:mkdir|echo|printf|touch)\b.*?([^\s>'\"]+)$", hidden.text, flags=re.M):
            assert not hidden.hidden or f"> {made}" in shown, made


def test_contributing_names_files_that_are_there() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:f0make|tests|bench|docs)/[\w./]*)`", text)
    assert len(named) > 20
    assert [path for path in named if not (PROJECT / path).exists()] == []
