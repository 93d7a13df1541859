"""Which inputs are links or go through some, and what other names the files of steps have because of links.

An input that leads to what a step makes needs that step, whatever it is called. Where there are no links that costs no
more than finding out whether the inputs are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from f0make.files.existence_cache import Presence
from f0make.trail import Trail, follow, stays


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

        A name below a link above ``outputs`` comes with the name that the outputs have. A directory also has the names
        of what links in it lead to, where that is an output, or lies in or around one. Raises OSError.
        """
        made = set(outputs)
        within = {path.rpartition("/")[0] for path in made}
        around = {above for path in within for above in (path, *_above(path)) if above}
        others = self._other_names(within)
        found: dict[str, list[str]] = {}
        for path in inputs:
            names: list[str] = []
            if not self._is_plain(path.rpartition("/")[0]) or self._presence.link(path):
                trail = self._follow(path)
                names = trail.names()
                if trail.end is None and self._presence.there(path):
                    self.dangling[path] = trail
                elif trail.end is not None and made and os.path.isdir(os.path.join(self._root, trail.end)):
                    names += self._led_to(trail.end, made, around)
            elif made and path not in made and self._presence.directory(path):
                names += self._led_to(path, made, around)
            if others:
                names += _translated([path, *names], others)
            if names and names != [path]:
                found[path] = names
        return found

    def there(self, path: str) -> bool:
        """Whether the input ``path``, which went through `through`, leads to something."""
        return path not in self.dangling and self._presence.there(path)

    def _led_to(self, directory: str, made: set[str], around: set[str]) -> list[str]:
        """Where links in ``directory`` that leave it lead, as far as steps make that, what it lies in, or what lies in it.

        Links in directories of the workspace to which such links lead count, too.
        """
        root = os.path.join(os.path.realpath(self._root), "")
        left = [os.path.realpath(root + directory)]
        tops = set(left)
        found: dict[str, None] = {}
        while left:
            top = left.pop()
            for link in _links_in(top):
                try:
                    if stays(top, os.path.relpath(link, top), os.readlink(link)):
                        continue
                    trail = follow(self._root, link)
                except OSError:
                    continue  # reading the input says so
                # An output that is, or was replaced by, a link is passed.
                found.update((name, None) for name in trail.links[1:] if _is_made(name, made))
                name = trail.end or trail.target
                if name is None or any(f"{one}/".startswith(os.path.join(root, name, "")) for one in tops):
                    continue  # a link to a directory around it is its text
                if name in around or _is_made(name, made):
                    found[name] = None
                there = root + name
                if trail.end is not None and name[:1] != "/" and there not in tops and os.path.isdir(there):
                    tops.add(there)
                    left.append(there)
        return list(found)

    def _other_names(self, directories: Iterable[str]) -> dict[str, str]:
        """Real directory -> the name that outputs have which lie in one of ``directories``, where a link stands above."""
        found: dict[str, str] = {}
        for directory in directories:
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


def _is_made(name: str, made: set[str]) -> bool:
    return name in made or any(above in made for above in _above(name))


def _above(path: str) -> Iterator[str]:
    """The directories that ``path`` lies in, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _links_in(directory: str) -> Iterator[str]:
    """Every link below ``directory``; what cannot be listed has none."""
    left = [directory]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        yield entry.path
                    elif entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
        except OSError:
            continue


def _translated(names: Iterable[str], others: Mapping[str, str]) -> list[str]:
    """``names`` with the other names of the directories that they lie in."""
    out = []
    for name in names:
        above = name
        while above := above.rpartition("/")[0]:
            if above in others:
                out.append(others[above] + name[len(above) :])
    return out
