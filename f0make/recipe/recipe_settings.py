"""What a recipe file says for all its steps, and how the words of several files combine.

A file's `env`, `shell` and `defaults` hold for the whole merged recipe. Where two files differ, a step
follows its own file, then the files that include it, then what they include (later over earlier).
"""

from __future__ import annotations

from collections.abc import Iterable

from f0make.fast_dataclass import dataclass, field
from f0make.model import Mark, Step
from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.step_data import as_list
from f0make.recipe.top_keys import RECIPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """A value and where it was said; ``marks`` are the places of the nodes in it, by key path of a step."""

    value: Any
    file: str
    marks: dict[str, Mark]


@dataclass(slots=True)
class Settings:
    """Values that steps inherit, by key path of a step: ``retries``, ``env.PATH``, ``resources.cpu``."""

    top: dict[str, Said] = field(default_factory=dict)
    """What stands at the top level, which yields to `defaults`."""
    defaults: dict[str, Said] = field(default_factory=dict)

    def over(self, other: Settings) -> Settings:
        """These settings, and ``other``'s where these say nothing."""
        return Settings({**other.top, **self.top}, {**other.defaults, **self.defaults})

    def apply(self, steps: Iterable[Step]) -> None:
        """Give ``steps`` what they do not say themselves."""
        inherited = [
            (path, *path.partition(".")[::2], said) for path, said in {**self.top, **self.defaults}.items()
        ]
        for step in steps:
            for path, key, name, said in inherited:
                if name:
                    own = step.value(key)
                    if own is None:
                        step.give(key, own := {})
                    if name in own:
                        continue
                    own[name] = said.value
                elif path in step.marks:
                    continue
                else:
                    value = said.value
                    step.give(key, list(value) if isinstance(value, list) else value)
                if said.file == step.file:
                    step.marks.update(said.marks)


def settings_of(head: dict[str, Any], file: str, marks: dict[str, Mark]) -> Settings:
    """What the conformed top-level map ``head`` of ``file`` says for its steps."""
    settings = Settings()
    for name, value in head.items():
        key = RECIPE_KEYS.get(name)
        if key is not None and key.for_steps:
            settings.top.update(_said(name, value, file, marks, ""))
    for name, value in head.get("defaults", {}).items():
        settings.defaults.update(_said(name, value, file, marks, "defaults."))
    return settings


def _said(key: str, value: Any, file: str, marks: dict[str, Mark], above: str) -> dict[str, Said]:
    """What ``value``, which stands below ``above``, says of the key ``key`` of steps, by key path of a step."""
    known = STEP_KEYS[key]
    if known.by_name:
        return {
            f"{key}.{name}": Said(amount, file, {f"{key}.{name}": marks[f"{above}{key}.{name}"]})
            for name, amount in value.items()
        }
    inner = above + key
    places = {
        path[len(above) :]: mark
        for path, mark in marks.items()
        if path == inner or path.startswith(inner + "[")
    }
    return {key: Said(as_list(value) if known.listed else value, file, places)}
