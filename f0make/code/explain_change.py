"""Which lines of a module's code really changed: comments and layout left out, old and new text side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from f0make.code.canonical import tree_digest


@dataclass(frozen=True, slots=True)
class CodeChange:
    """One difference; lines count from 1, 0 where there is nothing on that side."""

    old_line: int
    old: str
    new_line: int
    new: str


def code_changes(old: bytes, new: bytes) -> list[CodeChange]:
    """The differences in code between two versions of a module, in the order of the new text.

    Goes down the two syntax trees to the smallest parts that differ. Text that python cannot read is compared
    line by line.
    """
    import ast

    try:
        trees = ast.parse(old), ast.parse(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _by_lines(old, new)
    return _Comparison(_text(old), _text(new)).bodies(trees[0].body, trees[1].body)


class _Comparison:
    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new

    def bodies(self, old: list[Any], new: list[Any]) -> list[CodeChange]:
        """Differences between two lists of nodes (statements, arguments, …)."""
        import difflib

        left, right = [_digest(node) for node in old], [_digest(node) for node in new]
        changes: list[CodeChange] = []
        for tag, i, j, k, m in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            paired = min(j - i, m - k)
            for offset in range(max(j - i, m - k)):
                before = old[i + offset] if offset < j - i else None
                after = new[k + offset] if offset < m - k else None
                if offset < paired:
                    changes += self.nodes(before, after)
                else:
                    changes.append(self.change(before, after))
        return changes

    def nodes(self, old: Any, new: Any) -> list[CodeChange]:
        """Differences between two nodes that stand in the same place."""
        if type(old) is not type(new) or not hasattr(old, "body") or not isinstance(old.body, list):
            return [self.change(old, new)]
        heads = [
            (getattr(old, name, None), getattr(new, name, None))
            for name in old._fields
            if name not in ("body", "orelse", "finalbody", "handlers")
        ]
        if any(_digest(before) != _digest(after) for before, after in heads):
            heading = [CodeChange(old.lineno, _heading(old, self.old), new.lineno, _heading(new, self.new))]
        else:
            heading = []
        inner = [
            change
            for name in ("body", "handlers", "orelse", "finalbody")
            for change in self.bodies(getattr(old, name, []), getattr(new, name, []))
        ]
        return heading + inner or [self.change(old, new)]

    def change(self, old: Any, new: Any) -> CodeChange:
        """One node against another, either of them None."""
        return CodeChange(*_shown(old, self.old), *_shown(new, self.new))


def _shown(node: Any, source: str) -> tuple[int, str]:
    """(line, text) of a node, the text as it stands in the source."""
    import ast

    if node is None:
        return 0, ""
    line = int(getattr(node, "lineno", 0))
    text = ast.get_source_segment(source, node) or type(node).__name__
    return line, text


def _digest(value: Any) -> str:
    """Something that is equal for equal code."""
    import ast

    if isinstance(value, ast.AST):
        return tree_digest(value)
    if isinstance(value, list):
        return "[" + ",".join(_digest(item) for item in value) + "]"
    return repr(value)


def _heading(node: Any, source: str) -> str:
    """A def, class, if … without its body, on one line."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    last = max(first, node.body[0].lineno - 1)
    return " ".join(line.strip() for line in source.splitlines()[first - 1 : last])


def _text(source: bytes) -> str:
    """The text as python reads it: its declared encoding, UTF-8 without one."""
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return io.TextIOWrapper(io.BytesIO(source), encoding, errors="replace", newline=None).read()


def _by_lines(old: bytes, new: bytes) -> list[CodeChange]:
    import difflib

    left = old.decode("utf-8", "replace").splitlines()
    right = new.decode("utf-8", "replace").splitlines()
    changes = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            before, after = "\n".join(left[i:j]), "\n".join(right[k:m])
            changes.append(CodeChange(i + 1 if before else 0, before, k + 1 if after else 0, after))
    return changes
