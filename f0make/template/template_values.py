"""What expressions come to beside plain text, and how each value reads as text."""

from __future__ import annotations

from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotText(ValueError):
    """A value that has no form as text, such as a map."""


MISPLACED_HINT = 'hand it over as a variable of `env:` ("$NAME"), or write `| raw` to insert it as it is'


class Misplaced(Exception):
    """A value that no quoting makes right where it stands: why, and what to do."""

    def __init__(self, message: str, hint: str = MISPLACED_HINT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Broken(Exception):
    """A value that could not be made for a reason that has already been reported: nothing more is said."""


class BrokenValue:
    """Stands in a scope for such a value; any use of it raises `Broken`."""

    def template_get(self, name: str) -> Any:
        """Always raises `Broken`."""
        raise Broken

    def __str__(self) -> str:
        raise Broken

    def __iter__(self) -> Any:
        raise Broken

    def __len__(self) -> int:
        raise Broken


BROKEN = BrokenValue()


class Raw(str):
    """Text that is inserted as it is, even where values are quoted."""

    __slots__ = ()


class Quoted(str):
    """What `| quote` comes to: words of a POSIX shell. ``value`` is what they stand for."""

    __slots__ = ("value",)

    value: Any


class Json(str):
    """What `| tojson` comes to: a literal of Python, JavaScript and R."""

    __slots__ = ()


class PathText(str):
    """A path as a command gets it: what is made of it by `basename` is a path too, and never begins with `-`."""

    __slots__ = ()


def path_for_command(path: str) -> str:
    """``path`` so that no command takes it, or its last name, for an option: `./-x` for `-x`."""
    if path.startswith("-"):
        return PathText(f"./{path}")
    return PathText(path) if "/-" in path else path


def parts_of(text: Any, found: Any) -> Any:
    """``found``, a part or parts of ``text``: of a path as commands get it, none begins with `-` either."""
    if not isinstance(text, PathText):
        return found
    if isinstance(found, (list, tuple)):
        return [parts_of(text, part) for part in found]
    return path_for_command(found) if isinstance(found, str) else found


class Row(dict[str, str]):
    """A row of a table: a map of its columns that reads as its ``name``, by default its first column."""

    __slots__ = ("name",)

    name: str

    def __str__(self) -> str:
        try:
            return self.name
        except AttributeError:
            return next(iter(self.values()), "")


class PathList(list[str]):
    """Paths, shared by all who ask for them; ``weight`` (work to walk it) is worked out once."""

    __slots__ = ("_weight",)

    _weight: int

    @property
    def weight(self) -> int:
        """Items and characters, in the units of `limits`."""
        try:
            return self._weight
        except AttributeError:
            self._weight = sum(map(len, self)) + 8 * len(self)
            return self._weight


class OnePath(PathList):
    """What a declaration of a single path comes to: a list of one that reads as a text where text is wanted."""

    __slots__ = ()


class NamedPaths(PathList):
    """Paths declared as a map: all of them in order, and each name's own as an attribute."""

    __slots__ = ("named",)

    def __init__(self, paths: Iterable[str], named: dict[str, str | list[str]]) -> None:
        super().__init__(paths)
        self.named = named


def to_text(value: Any) -> str:
    """``value`` as text: lists item by item with a space between, a table row as its first column.

    Raises NotText for maps and for anything that is no value (`steps.NAME` without `.outputs`), Broken for
    what is already known to be broken.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, range)):
        return " ".join(map(to_text, value))
    if value is None or isinstance(value, (int, float, Row, BrokenValue)):
        return str(value)
    if isinstance(value, dict):
        names = ", ".join(map(str, list(value)[:5]))
        raise NotText(f"this is a map, not text (its keys: {names})" if names else "this is an empty map")
    raise NotText(getattr(value, "template_no_text", "this is not a value that can be written as text"))


def to_texts(value: Any) -> list[str]:
    """``value`` as a list of texts: a list item by item (nested lists flattened), anything else as one."""
    if isinstance(value, (list, tuple, set, range)):
        return [text for item in value for text in to_texts(item)]
    return [to_text(value)]
