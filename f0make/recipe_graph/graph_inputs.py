"""What a graph was made from beyond the files that its instances name: another look gives the same while all of that is so."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.files.signature import clock_ns, is_racy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.expand.watched_facts import WatchedFacts
    from f0make.files.content_cache import Contents
    from f0make.files.signature import Signature
    from f0make.files.stat_cache import Row
    from f0make.trail import Trail


class GraphInputs:
    """Files, directories and links that a graph rests on, for its snapshot.

    Made before the recipe, which is at ``recipe_path``, is read.
    """

    def __init__(self, contents: Contents, recipe_path: str) -> None:
        self._contents = contents
        self._since = clock_ns()
        self._before = {recipe_path: contents.signature(recipe_path)}
        self.files: set[str] = set()
        """Recipes, tables, modules, and what is not there and would change the graph if it were."""
        self.missing_dependencies: set[str] = set()
        """Those of them that were not there when the graph was made."""
        self.directories: dict[str, Row] = {}
        """Directories that globs listed: path -> row as in `Contents.rows`."""
        self.links: dict[str, Row] = {}
        """Links that globs and inputs passed, in the same form."""
        self.ends: set[str] = set()
        """Where links that globs found lead."""
        self.dangling: dict[str, Trail] = {}
        """Links to nothing that globs found."""

    def note_listings(self, facts: WatchedFacts, directories: Iterable[str], clock: int) -> None:
        """Take the signatures of all that listings went through, in the place of an earlier expansion's.

        ``clock``: the time in ns at which the first of them was made.
        """
        self.directories, self.links = {}, {}
        self.ends, self.dangling = facts.ends, facts.dangling
        for path in directories:
            seen = self._contents.signature(path)
            self.directories[path] = (seen, None, seen is not None and is_racy(seen, clock))
        self.note_links(facts.links, clock)

    def note_links(self, links: Iterable[str], clock: int) -> None:
        """The same for ``links`` that were passed since ``clock``."""
        for path in links:
            seen, token = self._contents.signature(path), self._contents.own(path)
            self.links.setdefault(path, (seen, token, seen is not None and is_racy(seen, clock)))

    def changed(self, path: str, seen: Signature) -> bool:
        """Whether the file ``path``, whose signature is ``seen`` now, may have changed since it was read.

        The clock runs behind: the stamp of a file written a moment before may be later. Of a recipe, which people and
        programs write and run at once, more is known.
        """
        return seen[2] > self._since and seen != self._before.get(path)

    def note_missing(self, path: str) -> None:
        """Note that the graph would be another one if ``path`` were there."""
        self.files.add(path)
        self.missing_dependencies.add(path)
