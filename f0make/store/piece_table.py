"""A table by name that is read in pieces: a run that concerns one instance opens one piece of a hundred.

Unpacking the tables of 10,000 instances whole takes 10 ms, and reading their file 3 ms more.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from zlib import crc32

from f0make.files.sealed_files import MARSHAL_VERSION
from f0make.gc_pause import gc_pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


PIECE = 128
"""Names in a piece, about; unpacking so many takes 30 to 60 microseconds."""
_MANY = 4
"""When more than one piece in so many was opened, the rest is opened too: then it is a plain dict."""

Place = tuple[int, int, int]
"""Where a packed piece lies: offset, size and `sealed.mark`."""
Change: TypeAlias = "Callable[[Any], Any]"
"""Makes the new value of the old one; None stands for no value."""
Source = Callable[[Place], "bytes | None"]
"""Reads a piece; None when it is damaged."""


if TYPE_CHECKING:
    _Base = Mapping[str, Any]
else:
    _Base = Mapping


class Table(_Base):
    """Name -> built-in types, not None.

    Made empty, or over ``pieces`` with ``count`` names that ``source`` reads. When one is damaged, ``heal`` is
    called, which must fill this table with `become` or raise.
    """

    __slots__ = ("_count", "_heal", "_known", "_late", "_opened", "_pieces", "_source")

    def __init__(
        self,
        count: int = 0,
        pieces: Sequence[Place] = (),
        source: Source = lambda place: None,
        heal: Callable[[], None] = lambda: None,
    ) -> None:
        self._known: dict[str, Any] = {}
        self._pieces: list[Place | None] = list(pieces)
        """Where each lies, None once it is in ``_known``; empty when all are."""
        self._late: dict[int, list[tuple[str, Change]]] = {}
        """Piece -> what is to be done with it when it is opened, in this order."""
        self._count = count
        self._opened = 0
        self._source = source
        self._heal = heal

    @property
    def about(self) -> int:
        """How many names there are; those that changes will add or take away do not count yet."""
        return self._count if self._pieces else len(self._known)

    def change(self, name: str, change: Change) -> None:
        """Replace the value of ``name`` by what ``change`` makes of it (None: there is none), as soon as it is read."""
        if self._pieces:
            number = self._number(name)
            if self._pieces[number] is not None:
                self._late.setdefault(number, []).append((name, change))
                return
        self._apply(name, change)

    def put(self, name: str, value: Any) -> None:
        """Give ``name`` the value, without reading anything."""
        self.change(name, lambda old: value)

    def take(self, name: str) -> None:
        """Remove ``name``, without reading anything."""
        self.change(name, lambda old: None)

    def become(self, other: Table) -> None:
        """Hold what ``other`` holds."""
        self._known, self._pieces, self._late = other.whole(), [], {}

    def whole(self) -> dict[str, Any]:
        """All of it, not to be changed."""
        with gc_pause():
            for number in range(len(self._pieces)):
                if self._pieces:
                    self._open(number)
        self._pieces = []
        return self._known

    def packed(self) -> tuple[int, list[bytes]]:
        """How many names it holds, and its pieces, to be written."""
        for number in list(self._late):
            if self._pieces:
                self._open(number)
        if self._count > 2 * PIECE * len(self._pieces):
            self.whole()
        pieces = len(self._pieces) or max(1, len(self._known) // PIECE)
        parts: list[dict[str, Any]] = [{} for _ in range(pieces)]
        for name, value in self._known.items():
            parts[_hash(name) % pieces][name] = value
        data: list[bytes | None] = [marshal.dumps(part, MARSHAL_VERSION) for part in parts]
        for number, place in enumerate(self._pieces):
            if place is not None:
                data[number] = self._source(place)
        if None in data:
            self._heal()
            return self.packed()
        return self.about, [piece for piece in data if piece is not None]

    def _number(self, name: str) -> int:
        return _hash(name) % len(self._pieces)

    def _find(self, name: str) -> None:
        self._open(self._number(name))
        if self._pieces and self._opened * _MANY > len(self._pieces):
            self.whole()

    def _open(self, number: int) -> None:
        place = self._pieces[number]
        if place is None:
            return
        data = self._source(place)
        try:
            piece = marshal.loads(data) if data is not None else None
        except (ValueError, EOFError, TypeError):
            piece = None
        if piece is None:
            self._heal()
            return
        self._pieces[number] = None
        self._opened += 1
        self._known.update(piece)
        for name, change in self._late.pop(number, ()):
            self._apply(name, change)

    def _apply(self, name: str, change: Change) -> None:
        old = self._known.get(name)
        value = change(old)
        self._count += (value is not None) - (old is not None)
        if value is not None:
            self._known[name] = value
        elif old is not None:
            del self._known[name]

    # As a mapping.

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        if self._pieces:
            self._find(name)
        return self._known.get(name, default)

    def __getitem__(self, name: str) -> Any:
        if self._pieces:
            self._find(name)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        if self._pieces and isinstance(name, str):
            self._find(name)
        return name in self._known

    def __len__(self) -> int:
        return len(self.whole())

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def items(self) -> ItemsView[str, Any]:
        """All names and values."""
        return self.whole().items()

    def values(self) -> ValuesView[Any]:
        """All values."""
        return self.whole().values()


def _hash(name: str) -> int:
    """The same in every process, as `hash` is not."""
    return crc32(name.encode("utf-8", "surrogatepass"))
