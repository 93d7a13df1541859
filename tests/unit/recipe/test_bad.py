"""Every kind of bad recipe: all problems, at their true places, in words that say what to do."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from f0make.errors import RecipeError
from f0make.recipe.load_recipe import load_recipe
from f0make.recipe.step_cache import StepCache
from tests.support.paths import CORPUS


def expected() -> dict[str, list[str]]:
    """Recipe -> its problems, as lines."""
    rows: dict[str, list[str]] = defaultdict(list)
    for line in (CORPUS / "expected.tsv").read_text(encoding="utf-8").splitlines():
        recipe, rest = line.split("\t", 1)
        rows[recipe].append(rest)
    return rows


EXPECTED = expected()


def problems_of(recipe: str, cache: StepCache | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, str(CORPUS), cache=cache)
    return [
        f"{p.where}\t{p.key}\t{p.message}" + (f" ({p.hint})" if p.hint else "") for p in caught.value.problems
    ]


@pytest.mark.parametrize("recipe", sorted(EXPECTED))
def test_bad_recipe(recipe: str) -> None:
    assert problems_of(recipe) == EXPECTED[recipe]


def test_bad_recipes_are_as_bad_with_a_cache(tmp_path: Path) -> None:
    """What other recipes left in the cache hides no problem."""
    cache = StepCache(str(tmp_path / "steps"))
    for _ in range(2):
        for recipe, rows in EXPECTED.items():
            assert problems_of(recipe, cache) == rows
        cache.save()
        cache = StepCache(str(tmp_path / "steps"))
        cache.load()


def test_corpus_is_complete() -> None:
    assert {path.name for path in CORPUS.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 150
