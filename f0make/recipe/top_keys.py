"""Every key of the top level of a recipe, once, as data; those of steps are in `keys`."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.fast_dataclass import dataclass
from f0make.model import Recipe
from f0make.recipe import value_kinds as kinds
from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.kinds import Fields, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class TopKey:
    """One key at the top level of a recipe."""

    kind: Kind
    doc: str
    section: str
    for_steps: bool = False
    """Whether it stands for the key of this name in `defaults`."""
    value: str = ""
    """What the reference calls its value; empty: as messages do."""


SHARED = {name: key for name, key in STEP_KEYS.items() if key.shared}
"""What `defaults` may hold."""

RECIPE_KEYS: dict[str, TopKey] = {
    "recipe": TopKey(kinds.HEADLINE, "for people", "names-and-descriptions", value="text"),
    "description": TopKey(kinds.TEXT, "for people", "names-and-descriptions"),
    "test_meta": TopKey(kinds.TEST_META, "carried into records", "names-and-descriptions", value="map"),
    "config": TopKey(
        kinds.TREES, "defaults that `--set` and `--config` override", "config", value="nested map"
    ),
    "env": TopKey(kinds.ENV, "variables of every step", "environment-and-shell", True, "map"),
    "shell": TopKey(
        kinds.SHELL,
        "runs every `run`; default `bash -euo pipefail`",
        "environment-and-shell",
        True,
        "command",
    ),
    "python": TopKey(
        kinds.PYTHON,
        "the interpreter of python steps; default: the project's",
        "the-interpreter",
        True,
        "path or command",
    ),
    "defaults": TopKey(
        Fields("`defaults`", {name: key.kind for name, key in SHARED.items()}),
        f"{', '.join(f'`{name}`' for name in SHARED)} of every step",
        "defaults",
        value="map",
    ),
    "targets": TopKey(kinds.TARGETS, "what a bare `f0make run` builds", "targets", value="one or a list"),
    "wildcards": TopKey(kinds.PATTERNS, "variable → regular expression", "pattern-steps", value="map"),
    "include": TopKey(kinds.INCLUDED, "recipe files that are merged in", "include", value="one or a list"),
    "budget": TopKey(kinds.BUDGET, "limits of a run: time, memory, energy, …", "budget", value="map"),
    "secrets": TopKey(
        kinds.SECRETS,
        "values that steps get as variables and that are stored nowhere",
        "secrets",
        value="list of names, or of maps of a name to a file",
    ),
}
"""The top-level keys but `steps`, which are read one by one."""

_APPLIED = ("recipe", "defaults", "include")
"""Keys that are used up when a recipe is loaded."""


def extra_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """What of the top level ``head`` no code of f0make's own asks for by name: what is for the recipe's `extra`."""
    return {
        name: value
        for name, value in head.items()
        if name not in Recipe.__slots__ and name not in _APPLIED and not RECIPE_KEYS[name].for_steps
    }
