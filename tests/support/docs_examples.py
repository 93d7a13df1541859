"""Reads the examples out of a Markdown page; see the conventions in test_docs.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HEADING = re.compile(r"(#+) (.+)")
_FILE_NAME = re.compile(r"# ([\w./-]+\.\w+)$")
_FILE_COMMENT = re.compile(r"<!-- file: (.+?) -->")
_EXIT_CODE = re.compile(r"# exit code (\d+)$")


@dataclass(slots=True)
class File:
    """A file that the page shows."""

    path: str
    text: str
    line: int


@dataclass(slots=True)
class Command:
    """A command that the page shows with what it prints (``hidden``: one that readers do not see)."""

    text: str
    line: int
    output: list[str] = field(default_factory=list)
    code: int = 0
    hidden: bool = False


@dataclass(slots=True)
class Section:
    """What stands below one heading."""

    title: str
    items: list[File | Command] = field(default_factory=list)

    @property
    def files(self) -> list[File]:
        """The files, in order."""
        return [item for item in self.items if isinstance(item, File)]

    @property
    def commands(self) -> list[Command]:
        """The commands, in order."""
        return [item for item in self.items if isinstance(item, Command)]

    def not_run(self) -> list[str]:
        """Recipes that no command of the section and no other file of it mentions."""
        return [
            file.path
            for file in self.files
            if file.path.endswith(".yaml")
            and not any(file.path in command.text for command in self.commands)
            and not any(file.path in other.text for other in self.files if other is not file)
        ]


def sections(markdown: str) -> list[Section]:
    """The sections of a page that hold examples. Raises ValueError for an example in an unknown form."""
    found = [Section("")]
    lines = markdown.split("\n")
    name = ""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if heading := _HEADING.fullmatch(line):
            found.append(Section(heading[2]))
        elif comment := _FILE_COMMENT.fullmatch(line):
            name = comment[1]
        elif line == "<!-- sh":
            end = lines.index("-->", at)
            found[-1].items.append(Command("\n".join(lines[at:end]), at, hidden=True))
            at = end + 1
        elif line.startswith("```"):
            end = lines.index("```", at)
            found[-1].items += _block(line[3:], lines[at:end], at + 1, name)
            name = ""
            at = end + 1
    return [section for section in found if section.items]


def _block(language: str, lines: list[str], first: int, name: str) -> list[File | Command]:
    if language == "console":
        return list(_commands(lines, first))
    if language == "text":
        return []
    shown = _FILE_NAME.fullmatch(lines[0])
    if not name and not shown:
        raise ValueError(f"line {first}: an example needs `# its/file.name` as its first line")
    return [File(name or (shown[1] if shown else ""), "\n".join([*lines, ""]), first)]


def _commands(lines: list[str], first: int) -> list[Command]:
    found: list[Command] = []
    for number, line in enumerate(lines, first):
        if line.startswith("$ "):
            code = _EXIT_CODE.search(line)
            found.append(Command(line[2:], number, code=int(code[1]) if code else 0))
        else:
            found[-1].output.append(line)
    return found


def headings(markdown: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(markdown: str) -> list[str]:
    """The targets of all links of a page."""
    return re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    )
