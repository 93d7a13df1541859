"""Many short texts by number, packed in pieces, of which only those are read that somebody asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from f0make.files import sealed_files

PIECE = 512
"""Texts in a piece."""
Place = tuple[int, int, int]
"""Where a piece lies: offset, size and `sealed.mark`."""


def pack(texts: Sequence[str], offset: int) -> tuple[list[Place], list[bytes]]:
    """(places, pieces) of ``texts``, which hold no NUL; the first piece will lie at ``offset``."""
    places, pieces = [], []
    for first in range(0, len(texts), PIECE):
        piece = "\0".join(texts[first : first + PIECE]).encode("utf-8", "surrogatepass")
        places.append((offset, len(piece), sealed_files.mark(piece)))
        pieces.append(piece)
        offset += len(piece)
    return places, pieces


class Texts:
    """What `pack` made; ``read(offset, size)`` gives the bytes."""

    def __init__(self, places: Sequence[Place], read: Callable[[int, int], bytes]) -> None:
        self._places = places
        self._read = read
        self._pieces: dict[int, list[str]] = {}

    def __getitem__(self, at: int) -> str:
        return self._piece(at // PIECE)[at % PIECE]

    def __setitem__(self, at: int, text: str) -> None:
        self._piece(at // PIECE)[at % PIECE] = text

    def whole(self) -> list[str]:
        """All of them. Raises OSError."""
        return [text for number in range(len(self._places)) for text in self._piece(number)]

    def _piece(self, number: int) -> list[str]:
        found = self._pieces.get(number)
        if found is None:
            offset, size, mark = self._places[number]
            data = self._read(offset, size)
            if sealed_files.mark(data) != mark:
                raise OSError("a snapshot is damaged")
            found = self._pieces[number] = str(data, "utf-8", "surrogatepass").split("\0")
        return found
