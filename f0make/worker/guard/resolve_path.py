"""Where a path leads for another process: what `/proc/self` and descriptors mean is the caller's, not f0make's."""

from __future__ import annotations

import os

_MOST_LINKS = 40


def real(path: str, process: int, follow: bool) -> str:
    """The absolute ``path`` without symlinks, as the thread ``process`` sees it; ``follow``: also at its end.

    Links of `/proc` that lead to no path (pipes, sockets, a root that is not everybody's) stay as they are.
    """
    at: list[str] = []
    follow = follow or path.endswith(("/", "/.", "/.."))
    left, links = path.split("/")[::-1], 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del at[-1:]
            continue
        if at == ["proc"] and name in ("self", "thread-self"):
            at.append(str(process))
            continue
        full = "/" + "/".join([*at, name])
        if links > _MOST_LINKS or (not follow and not any(part not in ("", ".") for part in left)):
            at.append(name)
            continue
        try:
            text = os.readlink(full)
        except OSError:
            at.append(name)
            continue
        links += 1
        if at[:1] == ["proc"] and (not text.startswith("/") or (name == "root" and not _is_root(full))):
            at.append(name)
            continue
        if text.startswith("/"):
            at = []
        left += text.split("/")[::-1]
    return "/" + "/".join(at)


def _is_root(path: str) -> bool:
    try:
        return os.path.samefile(path, "/")
    except OSError:
        return False
