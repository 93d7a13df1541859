"""What a bundle needs at another place, by digest."""

from __future__ import annotations

from collections.abc import Callable

from f0make.files.content_digest import blob_of
from f0make.worker.bundle import Bundle, Token


def digests(bundle: Bundle) -> dict[str, None]:
    """The digests of everything that ``bundle`` needs, in order."""
    found: dict[str, None] = {}

    def add(token: Token) -> None:
        if not token.endswith("/"):
            found[blob_of(token)] = None

    for path, token in bundle.contents.items():
        if not path.startswith("/"):
            add(token)
    for tree in bundle.trees.values():
        for entry in tree.values():
            add(entry)
    found.update(dict.fromkeys(bundle.modules.values()))
    return found


def lacking(bundle: Bundle, has: Callable[[str], bool]) -> list[str]:
    """What ``bundle`` needs and a store does not have."""
    return [digest for digest in digests(bundle) if not has(digest)]
