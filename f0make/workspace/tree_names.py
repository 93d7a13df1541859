"""Whether the names in a directory's tree make sense. Pure, and asked before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.files.content_digest import EMPTY_DIR


class WrongTree(Exception):
    """No directory can look like this; the text says why."""


def check(tree: Mapping[str, str]) -> None:
    """Raise WrongTree when an entry of ``tree`` (relative path -> token) leads out of it, or lies below what is no directory."""
    seen: dict[str, None] = {"": None}
    for path in tree:
        name = path.rpartition("/")[2]
        if path[:1] == "/" or name in ("", ".", "..") or "\0" in name:
            raise WrongTree(f"it has an entry {path!r}")
        above = path.rpartition("/")[0]
        while above not in seen:
            name = above.rpartition("/")[2]
            if name in ("", ".", "..") or "\0" in name:
                raise WrongTree(f"it has an entry {path!r}")
            if tree.get(above, EMPTY_DIR) != EMPTY_DIR:
                raise WrongTree(f"its entry {path!r} lies below one that is no directory")
            seen[above] = None
            above = above.rpartition("/")[0]
