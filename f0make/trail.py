"""What a path went through: every link on the way, where it ends, or the first name that is not there.

Whatever looks at the workspace by a path (an input, a glob's listing, a link inside an input directory) rests on all of
that, so it is found in one place, component by component as the kernel does it. Imports built-in modules only.
"""

from __future__ import annotations

import errno
import os

MOST_LINKS = 40
"""Links followed at most, as Linux does (path_resolution(7))."""
_NO_LINK = frozenset({errno.EINVAL})
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})


class Trail:
    """What one path went through. Names are relative to the root where they lie inside it, absolute elsewhere."""

    __slots__ = ("end", "links", "missing", "target", "text")

    def __init__(
        self, links: list[str], end: str | None, missing: str | None, text: str, target: str | None = None
    ) -> None:
        self.links = links
        """Every link passed, in order, each by the name of its real directory."""
        self.end = end
        """Where the path ends, which is no link; None when it leads nowhere."""
        self.missing = missing
        """The first name that is not there; None also for links that go round in a circle."""
        self.target = target
        """Where the path would end if what is missing were there, and directories all of it."""
        self.text = text
        """The text of the last link passed, empty when there was none."""

    def names(self) -> list[str]:
        """Everything that the path rests on."""
        return [*self.links, *(name for name in (self.end, self.missing, self.target) if name is not None)]


def follow(root: str, path: str) -> Trail:
    """The trail of ``path``, relative to the directory ``root`` or absolute.

    Raises OSError where a directory on the way cannot be searched, ValueError for a path with a NUL.
    """
    top = os.path.realpath(root)
    here = "" if path[:1] == "/" else top.rstrip("/")
    left = path.split("/")[::-1]
    links: list[str] = []
    text = ""
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = here.rpartition("/")[0]
            continue
        full = f"{here}/{name}"
        try:
            found = os.readlink(full)
        except OSError as error:
            if error.errno in _NO_LINK:
                here = full
                continue
            if error.errno not in NOT_THERE:
                raise
            whole = os.path.normpath("/".join([full, *reversed(left)]))
            return Trail(links, None, name_of(full, top), text, name_of(whole, top))
        text = found
        links.append(name_of(full, top))
        if len(links) > MOST_LINKS:
            return Trail(links, None, None, text)
        if text[:1] == "/":
            here = ""
        left += text.split("/")[::-1]
    return Trail(links, name_of(here or "/", top), None, text)


def name_of(full: str, top: str) -> str:
    """The absolute real path ``full`` as what lies in ``top`` is named: relative inside of it."""
    if full == top:
        return "."
    inside = top.rstrip("/") + "/"
    return full[len(inside) :] if full.startswith(inside) else full


def stays(root: str, link: str, text: str) -> bool:
    """Whether a link with ``text`` at ``link`` (relative to the directory ``root``) leads to a name inside of ``root``.

    Whether anything is there does not matter. An absolute text counts as leading out, whatever it leads to: it would
    lead somewhere else where the directory lies elsewhere.
    """
    if text[:1] == "/":
        return False
    at = link.split("/")[:-1]
    left = text.split("/")[::-1]
    hops = 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if not at:
                return False
            at.pop()
            continue
        at.append(name)
        if not left:
            break
        try:
            passed = os.readlink("/".join([root, *at]))
        except (OSError, ValueError):
            continue
        hops += 1
        if passed[:1] == "/" or hops > MOST_LINKS:
            return False
        at.pop()
        left += passed.split("/")[::-1]
    return True


def kinds(entry: os.DirEntry[str]) -> tuple[bool, bool, bool]:
    """Whether ``entry`` is a directory, a file (a link by what it leads to), and a link.

    A link to nothing, or in a circle, is only a link. Raises OSError where what it leads to cannot be looked at.
    """
    link = entry.is_symlink()
    try:
        return entry.is_dir(), entry.is_file(), link
    except OSError as error:
        if not link or error.errno not in NOT_THERE:
            raise
        return False, False, True
