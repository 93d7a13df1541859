"""What a recipe file says for all its steps, and how the words of several files combine.

A file's `env`, `shell` and `defaults` hold for the whole merged recipe. Where two files differ, a step
follows its own file, then the files that include it, then what they include (later over earlier).
"""

from __future__ import annotations

from collections.abc import Iterable

from f0make.lean import dataclass, field
from f0make.model import Mark, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BY_NAME = ("env", "resources")


@dataclass(frozen=True, slots=True)
class Said:
    """A value and where it was said; ``marks`` are the places of the nodes in it, by key path of a step."""

    value: Any
    file: str
    marks: dict[str, Mark]


@dataclass(slots=True)
class Settings:
    """Values that steps inherit, by key path of a step: ``retries``, ``env.PATH``, ``resources.cpu``."""

    env: dict[str, Said] = field(default_factory=dict)
    """Top-level `env`, which yields to `defaults.env`."""
    defaults: dict[str, Said] = field(default_factory=dict)

    def over(self, other: Settings) -> Settings:
        """These settings, and ``other``'s where these say nothing."""
        return Settings({**other.env, **self.env}, {**other.defaults, **self.defaults})

    def apply(self, steps: Iterable[Step]) -> None:
        """Give ``steps`` what they do not say themselves."""
        inherited = [
            (path, *path.partition(".")[::2], said) for path, said in {**self.env, **self.defaults}.items()
        ]
        for step in steps:
            for path, key, name, said in inherited:
                if name:
                    own = getattr(step, key)
                    if name in own:
                        continue
                    own[name] = said.value
                elif path in step.marks:
                    continue
                else:
                    value = said.value
                    setattr(step, key, list(value) if isinstance(value, list) else value)
                if said.file == step.file:
                    step.marks.update(said.marks)


def settings_of(head: dict[str, Any], file: str, marks: dict[str, Mark]) -> Settings:
    """What the conformed top-level map ``head`` of ``file`` says for its steps."""
    settings = Settings()
    for name, value in head.get("env", {}).items():
        settings.env[f"env.{name}"] = Said(value, file, {f"env.{name}": marks[f"env.{name}"]})
    if "shell" in head:
        settings.defaults["shell"] = Said(head["shell"], file, {"shell": marks["shell"]})
    if "python" in head:
        settings.defaults["python"] = Said(head["python"], file, {"python": marks["python"]})
    for key, value in head.get("defaults", {}).items():
        if key in _BY_NAME:
            for name, amount in value.items():
                place = marks[f"defaults.{key}.{name}"]
                settings.defaults[f"{key}.{name}"] = Said(amount, file, {f"{key}.{name}": place})
        else:
            if key == "runs_on" and isinstance(value, str):
                value = [value]
            inner = f"defaults.{key}"
            places = {
                path[len("defaults.") :]: mark
                for path, mark in marks.items()
                if path == inner or path.startswith(inner + "[")
            }
            settings.defaults[key] = Said(value, file, places)
    return settings
