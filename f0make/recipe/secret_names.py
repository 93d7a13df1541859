"""The names in `secrets:`, of a recipe and of its steps. Pure; where their values come from is `f0make.secrets`."""

from __future__ import annotations

from f0make.errors import Problem
from f0make.model import Step
from f0make.recipe.step_data import as_list
from f0make.suggest import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def secrets_of(head: Mapping[str, Any]) -> dict[str, str]:
    """Name -> file ("" for the environment) of the conformed top-level map ``head``."""
    found: dict[str, str] = {}
    for item in as_list(head.get("secrets", [])):
        found.update(item if isinstance(item, dict) else {item: ""} if item else {})
    return found


def undeclared(step: Step, secrets: Mapping[str, str]) -> list[Problem]:
    """A problem for each secret that ``step`` lists and the recipe does not."""
    return [
        Problem(
            f"the recipe has no secret {name!r}",
            step.where(f"secrets[{n}]"),
            f"{step.name}.secrets",
            did_you_mean(name, secrets) or "list it under `secrets` at the top of the recipe",
        )
        for n, name in enumerate(step.secrets)
        if name and name not in secrets
    ]
