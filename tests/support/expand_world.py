"""A workspace for tests of expansion: files, a recipe, who made what."""

from __future__ import annotations

import textwrap
from pathlib import Path

from f0make.errors import Problem
from f0make.expand.disk_facts import DiskFacts
from f0make.expand.expansion import Expansion, expand
from f0make.model import Instance
from f0make.recipe.load_recipe import load_recipe


class World:
    """Files in a directory; ``made`` says which of them f0make made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: dict[str, str] = {}
        self.facts = DiskFacts(str(root))

    def file(self, path: str, text: str = "x\n", made_by: str | None = None) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        if made_by is not None:
            self.made[path] = made_by

    def files(self, *paths: str) -> None:
        for path in paths:
            self.file(path)

    def expand(self, recipe: str, *targets: str, finished: tuple[str, ...] = ()) -> Expansion:
        """Expand ``recipe`` (YAML, dedented)."""
        (self.root / "recipe.yaml").write_text(textwrap.dedent(recipe).lstrip("\n"), encoding="utf-8")
        return self.expand_file(*targets, finished=finished)

    def expand_file(self, *targets: str, finished: tuple[str, ...] = ()) -> Expansion:
        """Expand the recipe that was written before."""
        loaded = load_recipe("recipe.yaml", str(self.root))
        self.facts = DiskFacts(str(self.root), self.made.get)
        return expand(loaded, self.facts, targets=targets, finished=frozenset(finished))

    def good(self, recipe: str, *targets: str, finished: tuple[str, ...] = ()) -> Expansion:
        """Like `expand`, without problems."""
        found = self.expand(recipe, *targets, finished=finished)
        assert found.problems == [], "\n".join(map(str, found.problems))
        return found

    def bad(self, recipe: str, *targets: str) -> list[Problem]:
        """The problems of ``recipe``, at least one."""
        found = self.expand(recipe, *targets).problems
        assert found
        return found


def names(found: Expansion) -> list[str]:
    return [instance.name for instance in found.instances]


def one(found: Expansion, name: str) -> Instance:
    return next(instance for instance in found.instances if instance.name == name)


def outputs(instance: Instance) -> list[str]:
    return [output.path for output in instance.outputs]
