"""Whether many paths are there, asked within a moment: a directory that is asked for often is listed once."""

from __future__ import annotations

import os
import stat

_WORTH_A_LISTING = 64
"""Questions about one directory, from which its list of names is fetched (about half a microsecond for each name,
where a stat takes two)."""


class Presence:
    """Answers for the paths below the directory ``root``, as things are while it lives."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._asked: dict[str, int] = {}
        self._names: dict[str, dict[str, int]] = {}
        """Directory -> the names in it, and whether each is a link or a directory (a `stat` file type, else 0)."""

    def there(self, path: str) -> bool:
        """Whether something lies at ``path`` (relative to the root, or absolute), be it a broken link."""
        directory, _, name = path.rpartition("/")
        names = self._list_of(path, directory)
        if names is not None and name in names:
            return True
        # Also what is not in the list: some file systems know a file by other names than they list.
        return self._mode(path) != 0

    def link(self, path: str) -> bool:
        """Whether a link lies at ``path``. A name that a list lacks is taken for none."""
        directory, _, name = path.rpartition("/")
        names = self._list_of(path, directory)
        if names is not None:
            return names.get(name) == stat.S_IFLNK
        return stat.S_ISLNK(self._mode(path))

    def directory(self, path: str) -> bool:
        """Whether a directory, and no link to one, lies at ``path``. A name that a list lacks is taken for none."""
        directory, _, name = path.rpartition("/")
        names = self._list_of(path, directory)
        if names is not None:
            return names.get(name) == stat.S_IFDIR
        return stat.S_ISDIR(self._mode(path))

    def _list_of(self, path: str, directory: str) -> dict[str, int] | None:
        """The list of ``directory`` where it has been, or is now, worth making."""
        names = self._names.get(directory)
        if names is None:
            asked = self._asked[directory] = self._asked.get(directory, 0) + 1
            if asked >= _WORTH_A_LISTING:
                names = self._names[directory] = self._listed(path, directory)
        return names

    def _mode(self, path: str) -> int:
        try:
            return os.lstat(path if path[:1] == "/" else f"{self._root}/{path}").st_mode
        except (OSError, ValueError):
            return 0

    def _listed(self, path: str, directory: str) -> dict[str, int]:
        try:
            with os.scandir(f"{directory}/" if path[:1] == "/" else f"{self._root}/{directory}") as entries:
                return {
                    entry.name: stat.S_IFLNK
                    if entry.is_symlink()
                    else stat.S_IFDIR * entry.is_dir(follow_symlinks=False)
                    for entry in entries
                }
        except (OSError, ValueError):
            return {}
