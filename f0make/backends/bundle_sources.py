"""What a bundle takes along to another place, and where each content is to be had here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from f0make.files.content_digest import EMPTY_DIR, blob_of
from f0make.worker.bundle import Bundle, Token

if TYPE_CHECKING:
    from f0make.files.content_cache import Contents

Source = str | bytes
"""An absolute path, or the content itself (the text of a symlink)."""


class InputGone(Exception):
    """An input is no longer what it was when its instance was decided; the text is its path."""


def fill(
    bundle: Bundle, inputs: Mapping[str, Token], contents: Contents, sources: Mapping[str, bytes]
) -> None:
    """Note in ``bundle`` what must lie in its private directory: ``inputs`` (path -> token) and python ``sources``.

    Raises FileError.
    """
    bundle.contents = dict(inputs)
    for path, token in inputs.items():
        if token.endswith("/"):
            bundle.trees[path] = contents.tree(path)
    for path, data in sources.items():
        digest = _digest(data)
        # What lies elsewhere is there already, or comes with f0make.
        if (contents.token(path) or "")[:64] == digest:
            bundle.modules[path] = digest


def stays(bundle: Bundle, made: Callable[[str], str | None], contents: Contents) -> str:
    """Why an input of ``bundle`` may not be sent to a host, empty when all may.

    ``made`` gives the token of what f0make left at a path. A link that is a result, or lies in one, may have been made
    by a host, so as to be sent what it leads to. ``contents`` knows which links the inputs' contents rest on, also those
    that lead out of an input directory.
    """
    from f0make.backends import escaping_links

    root, top = bundle.workspace, os.path.realpath(bundle.workspace)
    plain: dict[str, bool] = {}
    """Directory -> no link stands on the way to it."""
    inside = [name for path in bundle.contents for name in contents.via(path)]
    for path in [*bundle.contents, *bundle.modules, *inside]:
        above = os.path.dirname(path)
        if above not in plain:
            plain[above] = os.path.realpath(os.path.join(root, above)) == os.path.join(top, above).rstrip("/")
        if path.startswith("/") or (plain[above] and not os.path.islink(os.path.join(root, path))):
            continue
        link = escaping_links.way_out(root, path)
        if link is not None and escaping_links.brought(root, link, made):
            return (
                f"its input {path!r} leaves the workspace by the link {link!r}, which a step made: "
                "what that leads to does not travel"
            )
    return ""


def sources(bundle: Bundle) -> dict[str, Source]:
    """Digest -> where the content lies, for everything that ``bundle`` needs. Raises InputGone."""
    found: dict[str, Source] = {}
    for path, token in bundle.contents.items():
        if path.startswith("/"):
            continue  # It lies outside of the workspace and does not travel.
        full = os.path.join(bundle.workspace, path)
        if not token.endswith("/"):
            found.setdefault(blob_of(token), full)
            continue
        for relative, entry in bundle.trees[path].items():
            inside = os.path.join(full, relative)
            if entry.startswith("@"):
                found[blob_of(entry)] = _link(inside, f"{path}/{relative}")
            elif entry != EMPTY_DIR:
                found.setdefault(blob_of(entry), inside)
    for path, digest in bundle.modules.items():
        found.setdefault(digest, os.path.join(bundle.workspace, path))
    return found


@lru_cache(1024)
def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def _link(full: str, path: str) -> bytes:
    try:
        return os.fsencode(os.readlink(full))
    except OSError:
        raise InputGone(path) from None
