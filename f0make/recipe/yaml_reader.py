"""StrictYAML text to nodes with true places, fast, and every broken rule reported where it stands.

libyaml splits the text into events where it is installed, PyYAML's own parser elsewhere. In what they do
with tabs, and with a comment right behind the `|` of a block, libyaml differs from strictyaml while
PyYAML's own parser does not: text that holds such goes to the latter.
"""

from __future__ import annotations

import re
from functools import cache

from f0make.lazy_re import later
from f0make.recipe.finding import Finding
from f0make.recipe.quick_yaml import import_yaml
from f0make.recipe.syntax_errors import syntax_finding
from f0make.recipe.yaml_node import Broken, Entries, Items, Node, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 64
"""Deepest nesting. strictyaml recurses and meets Python's recursion limit beyond about 150."""

_FORBIDDEN_ASCII = later(r"[^\t\n\x20-\x7e]")

_BLOCK_COMMENT = later(r"[|>][-+0-9]{0,2}#")
_LONE_BANG = later(r"(?:^|[ :?-])!(?:[ \n]|\Z)", re.M)
"""Where a tag of nothing but ``!`` may stand; libyaml's events do not show it before plain text."""

STYLE = {"[": "a list in brackets", "{": "a map in braces"}


def normalised(text: str) -> str:
    """``text`` without a byte order mark and with every line break as a newline, as YAML reads it."""
    if text.startswith("\ufeff"):
        text = text[1:]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def forbidden(text: str) -> Finding | None:
    """The first character of ``text`` that YAML does not allow, or None."""
    found = (_FORBIDDEN_ASCII if text.isascii() else _forbidden_unicode()).search(text)
    if not found:
        return None
    line = text.count("\n", 0, found.start()) + 1
    column = found.start() - (text.rfind("\n", 0, found.start()) + 1) + 1
    code = ord(found[0])
    escape = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    name = {0: "a NUL byte", 0xFEFF: "a byte order mark inside the text"}.get(
        code, f"the control character U+{code:04X}"
    )
    hint = "" if code == 0 else f'write it as "{escape}" in double quotes'
    return Finding(line, column, f"{name} is not allowed", hint, syntax=True)


@cache
def _forbidden_unicode() -> re.Pattern[str]:
    """What YAML allows nowhere, and what parsers disagree on: the line breaks NEL, LS and PS, byte order marks."""
    return re.compile(
        r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    )


def read(text: str, findings: list[Finding], offset: int = 0, depth: int = 0) -> Node | None:
    """The document in ``text`` (which must be `normalised`), or None where it is empty or cannot be read.

    Everything found wrong is appended to ``findings``; lines are counted from ``offset`` + 1, nesting from
    ``depth``, for a text that is part of another.
    """
    import_yaml()
    import yaml

    parser = _parser(text)
    try:
        return _Builder(parser, text, findings, offset, depth).document()
    except yaml.YAMLError as error:
        if not (findings and findings[-1].syntax):
            findings.append(syntax_finding(error, text, offset))
        return None


def needs_slow_parser(text: str) -> bool:
    """Whether ``text`` holds what libyaml understands otherwise than strictyaml (thirty times slower)."""
    return "\t" in text or ("#" in text and _BLOCK_COMMENT.search(text) is not None)


def _parser(text: str) -> Any:
    import yaml

    if yaml.__with_libyaml__ and not needs_slow_parser(text):
        return yaml.CLoader(text)
    return yaml.Loader(text)


class _Builder:
    """Builds nodes from one parser's events; see `read`."""

    def __init__(self, parser: Any, text: str, findings: list[Finding], offset: int, depth: int) -> None:
        self._next = parser.get_event
        self._findings = findings
        self._offset = offset
        self._deepest = MAX_DEPTH - depth
        self._text = text
        self._lines = text.split("\n") if _LONE_BANG.search(text) else None

    def document(self) -> Node | None:
        from yaml.events import DocumentEndEvent, DocumentStartEvent, StreamEndEvent

        root: Node | None = None
        self._next()  # the start of the stream
        event = self._next()
        if type(event) is DocumentStartEvent:
            root = self._tree()
            while type(event) is not DocumentEndEvent:
                event = self._next()
            event = self._next()
        if type(event) is not StreamEndEvent:
            self._report(event.start_mark, "a recipe is one YAML document, and here a second one begins")
            self._findings[-1] = _as_syntax(self._findings[-1])
        return root

    def _report(self, mark: Any, message: str, hint: str = "") -> None:
        self._findings.append(Finding(mark.line + 1 + self._offset, mark.column + 1, message, hint))

    def _tree(self) -> Node:
        """The next node with all below it; a loop with a stack, so that depth costs no recursion."""
        from yaml.events import (
            AliasEvent,
            MappingStartEvent,
            ScalarEvent,
            SequenceStartEvent,
        )

        next_event, offset, lines = self._next, self._offset, self._lines
        stack: list[Items | Entries] = []
        keys: list[Text | Broken | None] = []
        top: Items | Entries | None = None
        key: Text | Broken | None = None
        node: Node
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                start, end, style = event.start_mark, event.end_mark, event.style
                line = start.line + 1 + offset
                if style == "|" or style == ">":
                    last = end.line + offset + (1 if end.column else 0)
                    node = Text(event.value, line, start.column + 1, max(last, line), False)
                else:
                    quoted = style == '"' or style == "'"
                    node = Text(event.value, line, start.column + 1, end.line + 1 + offset, not quoted)
                if (
                    event.anchor is not None
                    or event.tag is not None
                    or (lines is not None and lines[start.line][start.column : start.column + 1] == "!")
                ):
                    node = self._marked(event, node)
            elif kind is SequenceStartEvent or kind is MappingStartEvent:
                node = self._container(event, kind is SequenceStartEvent, len(stack) + (top is not None))
                if type(node) is Items or type(node) is Entries:
                    if type(top) is Entries and key is None:
                        self._report(
                            event.start_mark, "a key must be text", "a list or a map cannot be a key"
                        )
                    if top is not None:
                        stack.append(top)
                        keys.append(key)
                    top, key = node, None
                    continue
            elif kind is AliasEvent:
                self._report(
                    event.start_mark, f"`*{event.anchor}` would be a YAML alias, which is not allowed", _QUOTE
                )
                node = _broken(event, offset)
            else:  # the end of a list or map
                assert top is not None
                if type(top) is Entries:
                    self._aligned(top)
                node = top
                top = stack.pop() if stack else None
                key = keys.pop() if keys else None

            # hand the finished node to the list or map it belongs to
            if top is None:
                return node
            if type(top) is Items:
                top.items.append(node)
                top.last = node.last
            elif type(top) is Entries:
                if key is not None:
                    self._entry(top, key, node)
                    key = None
                else:
                    key = node if type(node) is Text else Broken(*node.mark)

    def _container(self, event: Any, is_list: bool, depth: int) -> Node:
        """The empty list or map that ``event`` begins inside ``depth`` others; Broken, read past, where it may not stand."""
        start = event.start_mark
        if event.anchor is not None or event.tag is not None:
            self._marked(event, None)
        if event.flow_style:
            return self._flow(event)
        if depth >= self._deepest:
            self._report(start, f"nested more than {MAX_DEPTH} levels deep")
            return self._skip_reported(start)
        line, column = start.line + 1 + self._offset, start.column + 1
        return Items([], line, column, line) if is_list else Entries({}, line, column, line)

    def _entry(self, top: Entries, key: Text | Broken, node: Node) -> None:
        top.last = max(key.last, node.last)
        if isinstance(key, Broken):
            return
        name = key.text
        if name in top.entries:
            line, _ = top.keys[name]
            self._findings.append(
                Finding(key.line, key.column, f"the key {name!r} stands here twice", f"first at line {line}")
            )
        elif name == "<<" and key.plain:
            self._findings.append(
                Finding(key.line, key.column, "`<<` (a YAML merge) is not allowed", "repeat the keys")
            )
        else:
            top.entries[name] = node
            top.keys[name] = (key.line, key.column)

    def _aligned(self, top: Entries) -> None:
        """StrictYAML: the maps in one map are all indented alike."""
        column = 0
        for node in top.entries.values():
            if type(node) is Entries:
                if not column:
                    column = node.column
                elif node.column != column:
                    self._findings.append(
                        Finding(
                            node.line,
                            node.column,
                            f"indented by {node.column - 1} spaces, "
                            f"but the map before it, at the same level, by {column - 1}",
                            "indent them alike",
                        )
                    )

    def _marked(self, event: Any, node: Node | None) -> Node:
        if event.anchor is not None:
            self._report(
                event.start_mark, f"`&{event.anchor}` would be a YAML anchor, which is not allowed", _QUOTE
            )
        else:
            self._report(
                event.start_mark,
                "a tag (`!…`) is not allowed: types come from the recipe's schema",
                "remove it, or put the text in quotes",
            )
        return _broken(event, self._offset)

    def _flow(self, event: Any) -> Node:
        mark = event.start_mark
        line = self._text.split("\n", mark.line + 1)[mark.line]
        opener = line[mark.column : mark.column + 1]
        hint = "write one item a line, or put the text in quotes"
        if line[mark.column :].startswith("{{"):
            hint = "a template is written ${{ … }}"
        self._report(mark, f"{STYLE.get(opener, 'flow style')} is not allowed", hint)
        return self._skip_reported(mark)

    def _skip_reported(self, mark: Any) -> Node:
        """Read past a list or map of which the last finding tells.

        Where the parser gives up in it (an unclosed bracket, nesting beyond PyYAML's own limit), that finding
        stands alone: what comes after says nothing more about the text.
        """
        import yaml

        known = len(self._findings)
        try:
            return self._skip(mark)
        except yaml.YAMLError:
            self._findings[known - 1] = _as_syntax(self._findings[known - 1])
            raise

    def _skip(self, mark: Any) -> Node:
        """Read past the list or map that has just begun."""
        from yaml.events import CollectionEndEvent, CollectionStartEvent

        depth = 1
        while depth:
            event = self._next()
            if isinstance(event, CollectionStartEvent):
                depth += 1
            elif isinstance(event, CollectionEndEvent):
                depth -= 1
        last = event.end_mark.line + 1 + self._offset
        return Broken(mark.line + 1 + self._offset, mark.column + 1, last)


_QUOTE = "put the text in quotes"


def _broken(event: Any, offset: int) -> Broken:
    start, end = event.start_mark, event.end_mark
    return Broken(start.line + 1 + offset, start.column + 1, end.line + 1 + offset)


def _as_syntax(finding: Finding) -> Finding:
    return Finding(finding.line, finding.column, finding.message, finding.hint, True)
