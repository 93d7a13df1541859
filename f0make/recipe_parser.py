"""The recipe parser of the Python interface; the command line loads recipes through the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from f0make.model import PathDecl, Recipe, Step
from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.load_recipe import load_mapping, load_recipe
from f0make.recipe.yaml_node import plain
from f0make.recipe.yaml_reader import read


class LoadedRecipe(dict[str, Any]):
    """A recipe file's text as maps, lists and text; ``recipe`` is what it means, includes merged."""

    recipe: Recipe

    def __init__(self, data: Mapping[str, Any], recipe: Recipe) -> None:
        super().__init__(data)
        self.recipe = recipe
        self._as_loaded = deepcopy(dict(data))

    @property
    def changed(self) -> bool:
        """Whether the maps were changed since they were loaded."""
        return self != self._as_loaded


class RecipeParser:
    """Loads and validates recipes. Paths are relative to ``workspace`` (default: the current directory)."""

    def __init__(self, workspace: str = ".") -> None:
        self.workspace = workspace

    def load(self, file_path: str) -> LoadedRecipe:
        """The recipe in ``file_path``, validated.

        Raises:
            RecipeError: every problem found, each with file, line and column.
        """
        recipe = load_recipe(str(file_path), self.workspace)
        root = read(recipe.sources[recipe.path], [])
        return LoadedRecipe(plain(root) if root is not None else {}, recipe)

    def validate(self, recipe: Mapping[str, Any] | Recipe) -> Recipe:
        """The validated form of ``recipe``: what `load` returned, or any mapping of the same shape.

        Raises:
            RecipeError: every problem found; those of a plain mapping have a key but no place.
        """
        if isinstance(recipe, Recipe):
            return recipe
        if isinstance(recipe, LoadedRecipe) and not recipe.changed:
            return recipe.recipe
        return load_mapping(recipe, self.workspace)

    def parse_steps(self, recipe: Mapping[str, Any] | Recipe) -> list[dict[str, Any]]:
        """The steps of ``recipe`` as mappings, validated values under the recipe language's keys.

        They come in the order of the text, those with a lower `idx` first (none counts as 0), as a run
        starts steps that do not wait for each other.

        Raises:
            RecipeError: as `validate`.
        """
        steps = self.validate(recipe).steps
        return [as_mapping(step) for step in sorted(steps, key=lambda step: step.idx or 0)]


def as_mapping(step: Step) -> dict[str, Any]:
    """``step`` as a plain mapping: durations in seconds, sizes in bytes, paths as text; unset keys left out."""
    mapping: dict[str, Any] = {"name": step.name, "type": step.type}
    for key in STEP_KEYS:
        if key in _OF_THEIR_OWN:
            continue
        value = step.value(key)
        if value is not None and value != "" and value != [] and value != {}:
            mapping[key] = value
    for key, declared in (("inputs", step.inputs), ("outputs", step.outputs)):
        if declared:
            mapping[key] = _paths(declared)
    if step.foreach:
        mapping["foreach"] = {", ".join(entry.variables): list(entry.values) for entry in step.foreach}
    if "success" in step.marks:
        mapping["success"] = {
            "ctx_has_keys": step.success.ctx_has_keys,
            "not_empty": step.success.not_empty,
            "exit_codes": step.success.exit_codes,
        }
    return deepcopy(mapping)


_OF_THEIR_OWN = frozenset({"name", "type", "inputs", "outputs", "foreach", "success"})


def _paths(declared: list[PathDecl]) -> list[str] | dict[str, str | list[str]]:
    if declared[0].group is None:
        return [path.text for path in declared]
    named: dict[str, str | list[str]] = {}
    for path in declared:
        group = path.group or ""
        if path.single:
            named[group] = path.text
        else:
            listed = named.setdefault(group, [])
            if isinstance(listed, list):
                listed.append(path.text)
    return named
