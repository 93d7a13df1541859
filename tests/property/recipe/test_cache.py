"""The cache of validated steps changes the time and nothing else."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from f0make.errors import RecipeError
from f0make.recipe.load_recipe import load_recipe
from f0make.recipe.step_cache import StepCache
from f0make.recipe.step_data import Packed
from tests.support.examples import examples


class Counting(StepCache):
    """Counts what had to be validated."""

    validated = 0

    def keep_step(self, name: bytes, packed: Packed) -> None:
        self.validated += 1
        super().keep_step(name, packed)


def big(steps: int) -> str:
    """A recipe of literal steps."""
    lines = ["recipe: big", "env:", "  A: b", "steps:"]
    for n in range(steps):
        lines += [
            f"  - name: step_{n}",
            f"    description: makes number {n}",
            "    inputs:",
            f"      - src/in_{n}.txt",
            "      - src/common.h",
            f"    outputs: out/o_{n}.txt",
            "    run: |",
            f"      sort src/in_{n}.txt > out/o_{n}.txt",
            "      echo done",
            "    resources:",
            "      cpu: 1",
            "      mem: 100MB",
        ]
    return "\n".join(lines) + "\n"


def cached_load(folder: Path) -> tuple[object, Counting]:
    cache = Counting(str(folder / "state" / "steps"))
    cache.load()
    recipe = load_recipe("recipe.yaml", str(folder), cache=cache)
    cache.save()
    return recipe, cache


def test_editing_one_of_many_steps_validates_one(tmp_path: Path) -> None:
    text = big(3000)
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    start = time.process_time()
    first, cache = cached_load(tmp_path)
    full = time.process_time() - start
    assert cache.validated == 3000
    same, cache = cached_load(tmp_path)
    assert cache.validated == 0 and same == first
    path.write_text(text.replace("makes number 777\n", "makes\n      number 777\n"), encoding="utf-8")
    edited, cache = cached_load(tmp_path)
    assert cache.validated == 1
    assert edited == load_recipe("recipe.yaml", str(tmp_path))
    start = time.process_time()
    yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert full < 4 * (time.process_time() - start)


BASE = """\
# a recipe
env:
  A: b
steps:
  - name: a
    run: |
      x

      y
    outputs:
      - o1
  # about b
  - name: b
    depends_on: a
    foreach:
      n:
        range: 1..3
  - name: c
    description: >
      folded

      text
    inputs: o1
    success:
      exit_codes: 3
targets:
  - b
"""
EDITS = [
    "\n", "    retries: 3\n", "    retires: 3\n", "  - name: d\n", "  - name: a\n", "# c\n", "'", '"', "  ", "    run: z\n",
    "defaults:\n  timeout: 5s\n", "config:\n  x: y\n", "    outputs: o1\n", "    timeout: ${{ n }}\n", "x", "-", "...\n",
]  # fmt: skip


@examples(150)
@given(st.integers(0, 2**32))
def test_loading_with_a_cache_is_loading_without(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    folder = tmp_path_factory.mktemp("cache")
    cache = StepCache(str(folder / "steps"))
    text = BASE
    for _ in range(4):
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")
        results = []
        for use in (None, cache):
            try:
                results.append(load_recipe("recipe.yaml", str(folder), cache=use))
            except RecipeError as error:
                results.append(str(error))  # type: ignore[arg-type]
        assert results[0] == results[1]
        cache.save()
        cache = StepCache(cache.path)
        cache.load()
        lines = text.splitlines(keepends=True)
        if rng.random() < 0.3:
            del lines[rng.randrange(len(lines))]
        else:
            lines.insert(rng.randint(0, len(lines)), rng.choice(EDITS))
        text = "".join(lines)


def test_damaged_cache_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(BASE, encoding="utf-8")
    whole, _ = cached_load(tmp_path)
    file = tmp_path / "state" / "steps"
    good = file.read_bytes()
    rng = random.Random(1)
    damaged = [b"", b"x", good[:-1], good[: len(good) // 2], good + b"x", b"\0" * len(good)]
    for _ in range(200):
        at = rng.randrange(len(good))
        damaged.append(good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :])
    for data in damaged:
        file.write_bytes(data)
        recipe, cache = cached_load(tmp_path)
        assert recipe == whole and cache.validated == 3
    assert cached_load(tmp_path)[1].validated == 0


def test_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(BASE, encoding="utf-8")
    (tmp_path / "state").write_text("a file where a directory should be", encoding="utf-8")
    recipe, _ = cached_load(tmp_path)
    assert recipe == load_recipe("recipe.yaml", str(tmp_path))
    assert (tmp_path / "state").read_text(encoding="utf-8") == "a file where a directory should be"


def test_cached_steps_are_not_shared_between_recipes(tmp_path: Path) -> None:
    """Changing what one load returned must not change what the next returns."""
    (tmp_path / "recipe.yaml").write_text(BASE, encoding="utf-8")
    cache = StepCache(str(tmp_path / "steps"))
    load_recipe("recipe.yaml", str(tmp_path), cache=cache)
    one = load_recipe("recipe.yaml", str(tmp_path), cache=cache)
    one.steps[0].env["X"] = "y"
    one.steps[1].depends_on.append("c")
    one.steps[2].marks.clear()
    one.steps[2].success.exit_codes.append(7)
    assert load_recipe("recipe.yaml", str(tmp_path), cache=cache) == load_recipe("recipe.yaml", str(tmp_path))
