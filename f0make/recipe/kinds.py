"""The shapes that a schema is made of: data only, read by our own validator and by strictyaml's.

Two kinds are equal when they are the same object, so that they can be keys.
"""

from __future__ import annotations

from collections.abc import Callable

from f0make.fast_dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """Text, converted by ``convert`` (raises ValueError); text with a template stays as it is."""

    expected: str
    """What to say was expected where there is a list, a map or nothing."""
    convert: Callable[[str], Any] | None = None
    template: bool = True
    """Whether `${{ … }}` may stand here."""
    empty: bool = False
    """Whether nothing at all may stand here; ``""`` in quotes may wherever ``convert`` lets it."""
    pattern: str = ""
    """For editors: a regular expression (ECMA 262) that all texts match which ``convert`` accepts."""
    words: tuple[str, ...] = ()
    """For editors: all texts that ``convert`` accepts."""


@dataclass(frozen=True, slots=True, eq=False)
class Many:
    """A list with at least one item."""

    item: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """A map of any keys, at least one; ``key`` raises ValueError for a key that cannot be."""

    value: Kind
    key: Callable[[str], None] | None = None
    named: dict[str, Scalar] = field(default_factory=dict)
    """Keys whose values are of another kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """A map of known keys."""

    name: str
    """What the map is, for messages: "a step"."""
    fields: dict[str, Kind]
    required: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    """Words of other tools -> the key that does the same here, for hints."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Keys that belong elsewhere -> where, for hints."""


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """What is meant depends on whether there is text, a list or a map."""

    expected: str
    text: Scalar | None = None
    items: Many | None = None
    entries: Mapped | Fields | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Text, lists and maps nested at will."""


Kind: TypeAlias = "Scalar | Many | Mapped | Fields | OneOf | Tree"


def one_or_many(item: Scalar) -> OneOf:
    """One text, or a list of them."""
    return OneOf(f"{item.expected}, or a list of them", text=item, items=Many(item))
