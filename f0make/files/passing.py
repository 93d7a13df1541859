"""Which inputs are links or go through some, and what other names the files of steps have because of links.

An input that leads to what a step makes needs that step, whatever it is called. Where there are no links that costs no
more than finding out whether the inputs are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from f0make.files.presence import Presence
from f0make.trail import Trail, follow


class Passing:
    """The links on the way to the inputs and outputs of instances, in the workspace ``root``, as they are now."""

    def __init__(self, root: str, presence: Presence) -> None:
        self._root = root
        self._presence = presence
        self._plain: dict[str, bool] = {}
        """Directory -> nothing on the way to it is a link."""
        self.links: set[str] = set()
        """Every link found."""
        self.dangling: dict[str, Trail] = {}
        """Inputs that are there as links and lead nowhere."""

    def through(self, inputs: Iterable[str], outputs: Iterable[str]) -> dict[str, list[str]]:
        """Input -> all names under which it is reached, where those are others than its own.

        A name below a link above ``outputs`` comes with the name that the outputs have. Raises OSError.
        """
        others = self._other_names(outputs)
        found: dict[str, list[str]] = {}
        for path in inputs:
            names: list[str] = []
            if not self._is_plain(path.rpartition("/")[0]) or self._presence.link(path):
                trail = self._follow(path)
                names = trail.names()
                if trail.end is None and self._presence.there(path):
                    self.dangling[path] = trail
            if others:
                names += _translated([path, *names], others)
            if names and names != [path]:
                found[path] = names
        return found

    def there(self, path: str) -> bool:
        """Whether the input ``path``, which went through `through`, leads to something."""
        return path not in self.dangling and self._presence.there(path)

    def _other_names(self, outputs: Iterable[str]) -> dict[str, str]:
        """Real directory -> the name that outputs in it have, where a link stands above these."""
        found: dict[str, str] = {}
        for directory in {path.rpartition("/")[0] for path in outputs}:
            while directory and not self._is_plain(directory):
                end = self._follow(directory).end
                if end is not None:
                    found.setdefault(end, directory)
                directory = directory.rpartition("/")[0]
        return found

    def _is_plain(self, directory: str) -> bool:
        plain = self._plain.get(directory)
        if plain is None:
            plain = not directory or not self._follow(directory).links
            self._plain[directory] = plain
        return plain

    def _follow(self, path: str) -> Trail:
        trail = follow(self._root, path or "/")
        self.links.update(trail.links)
        return trail


def _translated(names: Iterable[str], others: Mapping[str, str]) -> list[str]:
    """``names`` with the other names of the directories that they lie in."""
    out = []
    for name in names:
        above = name
        while above := above.rpartition("/")[0]:
            if above in others:
                out.append(others[above] + name[len(above) :])
    return out
