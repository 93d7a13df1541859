"""Our own validator: a node against a kind, with every problem at its true place."""

from __future__ import annotations

from f0make.errors import Problem, Where
from f0make.model import TEMPLATE_OPEN, Mark
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.scalars import shown
from f0make.recipe.yaml_node import Broken, Entries, Items, Node, Text
from f0make.suggest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Checker:
    """Collects the problems of one file, or of one step in it."""

    __slots__ = ("file", "marks", "prefix", "problems")

    def __init__(self, file: str, problems: list[Problem], prefix: str = "") -> None:
        self.file = file
        self.problems = problems
        self.prefix = prefix
        """What key paths begin with in messages: ``steps[2]``."""
        self.marks: dict[str, Mark] = {}
        """Key path -> place of its value, of every node seen."""

    def problem(self, place: Node | Mark | tuple[int, int], key: str, message: str, hint: str = "") -> None:
        """Note that ``key`` (inside the prefix) is wrong."""
        line, column = (place.line, place.column) if isinstance(place, Node) else place[:2]
        where = Where(self.file, line, column) if self.file or line else None
        if self.prefix and key:
            key = f"{self.prefix}{key}" if key.startswith("[") else f"{self.prefix}.{key}"
        self.problems.append(Problem(message, where, key or self.prefix, hint))

    def blamed(self, key: str) -> bool:
        """Whether something is wrong below ``key`` already."""
        begin = f"{self.prefix}.{key}." if self.prefix else f"{key}."
        return any(problem.key.startswith(begin) for problem in self.problems)

    def at(self, key: str, message: str, hint: str = "") -> None:
        """Note that ``key`` is wrong, at its mark or that of the nearest node around it."""
        inner = key
        while inner and inner not in self.marks:
            cut = max(inner.rfind("."), inner.rfind("["))
            inner = inner[:cut] if cut > 0 else ""
        self.problem(self.marks.get(inner, (0, 0, 0)), key, message, hint)

    def conform(self, node: Node, kind: Kind, key: str = "") -> Any:
        """The value of ``node`` as ``kind`` has it: text or what it converts to, lists, maps of the keys given.

        What does not conform is reported and left out of maps; in a list, None keeps its place.
        """
        self.marks[key] = (node.line, node.column, node.last)
        if type(kind) is Scalar:
            return self._scalar(node, kind, key)
        if type(kind) is OneOf:
            return self._one_of(node, kind, key)
        if type(kind) is Many:
            return self._many(node, kind, key)
        if type(kind) is Mapped:
            return self._mapped(node, kind, key)
        if type(kind) is Fields:
            return self._fields(node, kind, key)
        return self._tree(node, key)

    def _scalar(self, node: Node, kind: Scalar, key: str) -> Any:
        if type(node) is not Text:
            self._unexpected(node, kind.expected, key)
            return None
        text = node.text
        if TEMPLATE_OPEN in text:
            if not kind.template:
                self.problem(node, key, "a template cannot stand here", f"write out {kind.expected}")
                return None
            return text
        if not text and not kind.empty and (node.plain or kind.convert):
            self.problem(node, key, f"expected {kind.expected}, found nothing")
            return None
        if kind.convert is None:
            return text
        try:
            return kind.convert(text)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            self.problem(node, key, message, hint)
            return None

    def _one_of(self, node: Node, kind: OneOf, key: str) -> Any:
        found: Kind | None = None
        if type(node) is Text:
            if kind.text is None or (node.plain and not node.text):
                self._unexpected(node, kind.expected, key)
                return None
            found = kind.text
        elif type(node) is Items:
            found = kind.items
        elif type(node) is Entries:
            found = kind.entries
        if found is None:
            self._unexpected(node, kind.expected, key)
            return None
        return self.conform(node, found, key)

    def _many(self, node: Node, kind: Many, key: str) -> list[Any] | None:
        if type(node) is not Items:
            self._unexpected(node, "a list", key)
            return None
        return [self.conform(item, kind.item, f"{key}[{n}]") for n, item in enumerate(node.items)]

    def _mapped(self, node: Node, kind: Mapped, key: str) -> dict[str, Any] | None:
        if type(node) is not Entries:
            self._unexpected(node, "a map", key)
            return None
        values = {}
        for name, item in node.entries.items():
            path = f"{key}.{name}" if key else name
            if kind.key is not None:
                try:
                    kind.key(name)
                except ValueError as error:
                    self.problem(node.keys.get(name, (0, 0)), path, str(error))
                    continue
            value = self.conform(item, kind.named.get(name, kind.value), path)
            if value is not None:
                values[name] = value
        return values

    def _fields(self, node: Node, kind: Fields, key: str) -> dict[str, Any] | None:
        if type(node) is not Entries:
            self._unexpected(node, "a map", key)
            return None
        values = {}
        fields = kind.fields
        unknown = []
        for name, item in node.entries.items():
            known = fields.get(name)
            if known is None:
                unknown.append(name)
                continue
            value = self.conform(item, known, f"{key}.{name}" if key else name)
            if value is not None:
                values[name] = value
        meant = {self._unknown(node, kind, name, key) for name in unknown}
        for name in kind.required:
            if name not in node.entries and name not in meant:
                self.problem(node, key, f"the key `{name}` is missing")
        return values

    def _unknown(self, node: Entries, kind: Fields, name: str, key: str) -> str | None:
        """Report an unknown key; the known key that was probably meant."""
        path = f"{key}.{name}" if key else name
        meant = kind.aliases.get(name.lower())
        if meant is None and name not in kind.elsewhere:
            meant = nearest(name, kind.fields)
        hint = (
            f"did you mean {meant!r}?"
            if meant
            else kind.elsewhere.get(name, f"known: {', '.join(kind.fields)}")
        )
        self.problem(node.keys.get(name, (0, 0)), path, f"{kind.name} has no key {name!r}", hint)
        return meant

    def _tree(self, node: Node, key: str) -> Any:
        self.marks[key] = (node.line, node.column, node.last)
        if type(node) is Text:
            return node.text
        if type(node) is Items:
            return [self._tree(item, f"{key}[{n}]") for n, item in enumerate(node.items)]
        if type(node) is Entries:
            return {
                name: self._tree(item, f"{key}.{name}" if key else name)
                for name, item in node.entries.items()
            }
        return None

    def _unexpected(self, node: Node, expected: str, key: str) -> None:
        if type(node) is Broken:
            return
        found = shown(node.text) if type(node) is Text else node.what
        self.problem(node, key, f"expected {expected}, found {found}")
