"""Links that lead out of the workspace: which one, and whether a step may have brought it.

A person's own link to data elsewhere is the person's business, and what it leads to travels. A link that is a result
may have been made by a host, so as to be sent what it leads to: it travels as what it is, never as that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from f0make.cache.blobs import Blobs
from f0make.files.content_digest import blob_of, link_digest
from f0make.worker.bundle import Bundle, Outcome

_MOST_LINKS = 40
"""As many as the kernel follows."""


def way_out(root: str, path: str) -> str | None:
    """The link on the way to ``path`` by which it leaves the workspace ``root``, None where it stays inside.

    Paths are relative to ``root``, links among what is above it count as the place where it lies. What goes out by
    ``..`` has left by the link in whose text that stands; a path that does not exist is looked at as far as it does.
    """
    top = os.path.realpath(root)
    at: list[str] = []
    left = path.split("/")[::-1]
    last, links = "", 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if not at:
                return last
            at.pop()
            continue
        full = "/".join([top, *at, name])
        try:
            text = os.readlink(full)
        except OSError:
            at.append(name)
            continue
        last, links = "/".join([*at, name]), links + 1
        if links > _MOST_LINKS:
            return last
        if text.startswith("/"):
            inside = _below(text, top)
            if inside is None:
                return last
            at, text = [], inside
        left += text.split("/")[::-1]
    return None


def brought(root: str, link: str, made: Callable[[str], str | None]) -> bool:
    """Whether ``link`` is a result, or lies in one: ``made`` gives the token of what f0make left at a path."""
    own = made(link)
    if own is not None and own.startswith("@"):
        try:
            return blob_of(own) == link_digest(os.readlink(os.path.join(root, link)))
        except OSError:
            return True
    above = link
    while above := os.path.dirname(above):
        if made(above) is not None:
            return True
    return False


def outside(bundle: Bundle, outcome: Outcome, stores: Sequence[Blobs]) -> str | None:
    """A link among the results in ``outcome`` that would lead out of the workspace of ``bundle``, as a message.

    The links' texts are in one of ``stores``. Raises BlobError.
    """
    for path, token in outcome.outputs.items():
        tree = outcome.trees.get(path)
        entries = {path: token} if tree is None else {f"{path}/{rel}": entry for rel, entry in tree.items()}
        for link, entry in entries.items():
            if entry.startswith("@"):
                digest = blob_of(entry)
                store = next((one for one in stores if one.has(digest)), stores[0])
                text = os.fsdecode(store.read(digest))
                if leaves(bundle.workspace, link, text):
                    return f"its output {link!r} is a link that leads out of the workspace, to {text!r}"
    return None


def leaves(root: str, link: str, text: str) -> bool:
    """Whether a link with ``text`` at ``link`` would lead out of ``root``, by its text or by what lies there now."""
    top = os.path.realpath(root)
    if text.startswith("/"):
        return _below(text, top) is None
    depth = link.count("/")
    for name in text.split("/"):
        depth += -1 if name == ".." else name not in ("", ".")
        if depth < 0:
            return True
    above = os.path.dirname(link)
    return way_out(root, f"{above}/{text}" if above else text) is not None


def _below(path: str, top: str) -> str | None:
    """``path`` relative to ``top``, None where it lies elsewhere."""
    path = os.path.normpath(path)
    if path == top:
        return ""
    return path[len(top) + 1 :] if path.startswith(top.rstrip("/") + "/") else None
