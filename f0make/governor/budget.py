"""The budget of a run: what the options say, else the recipe; checked before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from f0make.errors import Problem, UsageError
from f0make.fast_dataclass import dataclass
from f0make.recipe import scalars
from f0make.size_text import size_text

if TYPE_CHECKING:
    from f0make.model import Instance, Recipe
    from f0make.options import RunOptions


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may take; None: no limit."""

    cpu: float | None = None
    """Percent of the cores that f0make may use."""
    mem: int | None = None
    """Bytes, of f0make and all that it started."""
    load: float | None = None
    """Load average of the machine, as `make -l`."""
    time: float | None = None
    """Seconds of this run."""
    energy: float | None = None
    """Kilowatt hours of this run."""
    carbon: float | None = None
    """Grams of CO2 equivalent of this run."""
    country: str | None = None
    """ISO 3166 code of three letters."""
    measure: bool = False
    """Energy is to be measured for its own sake (`--energy`)."""

    @property
    def metered(self) -> bool:
        """Whether energy has to be measured."""
        return self.measure or self.energy is not None or self.carbon is not None

    @property
    def momentary(self) -> bool:
        """Whether anything is limited at every moment."""
        return self.cpu is not None or self.mem is not None or self.load is not None

    @property
    def sums(self) -> bool:
        """Whether anything is limited over the whole run."""
        return self.time is not None or self.energy is not None or self.carbon is not None

    def __bool__(self) -> bool:
        return self.metered or self.momentary or self.sums


CONVERT: dict[str, Callable[[str], Any]] = {
    "cpu": scalars.to_percent,
    "mem": scalars.to_memory_limit,
    "load": scalars.to_positive,
    "time": scalars.to_timeout,
    "energy": scalars.to_energy,
    "carbon": scalars.to_carbon,
    "country": scalars.to_country,
}
"""Key of `budget:` (and, after `--max-`, option) -> converter of its text; each raises ValueError."""


def option_of(key: str) -> str:
    """The option that overrides ``key``: `--max-cpu`, `--country`."""
    return "--country" if key == "country" else f"--max-{key}"


def budget_of(options: RunOptions, recipe: Recipe | None = None) -> Budget:
    """The budget that ``options`` and ``recipe`` come to; an option wins over the recipe.

    Raises:
        UsageError: an option with a wrong unit, a sum of 0, or an unknown country. What the recipe says was
            checked when it was read.
    """
    values: dict[str, Any] = {}
    said = recipe.budget if recipe is not None else {}
    for key, convert in CONVERT.items():
        given = getattr(options, "country" if key == "country" else f"max_{key}")
        if given is None and key not in said:
            continue
        try:
            values[key] = convert(said[key] if given is None else given)
        except ValueError as error:
            raise UsageError(f"{option_of(key)} {given}: {error}") from None
    return Budget(**values, measure=options.energy)


def beyond(budget: Budget, instances: Iterable[Instance], cores: int) -> list[Problem]:
    """A problem for each declared resource that is above its limit: such an instance could never start.

    ``cores``: how many f0make may use.
    """
    limits: Mapping[str, tuple[float | None, str]] = {
        "cpu": (cores * budget.cpu / 100 if budget.cpu is not None else None, "--max-cpu"),
        "mem": (budget.mem, "--max-mem"),
    }
    problems: dict[Problem, None] = {}
    for instance in instances:
        for name, (limit, option) in limits.items():
            asked = instance.resources.get(name)
            if limit is None or asked is None or asked <= limit + 1e-9:
                continue
            problems[
                Problem(
                    f"asks for {name}={_amount(name, asked)}, more than the budget's limit {_amount(name, limit)}",
                    instance.step.where(f"resources.{name}"),
                    f"{instance.step.name}.resources.{name}",
                    f"lower it, or raise {option} or `budget`",
                )
            ] = None
    return list(problems)


def _amount(name: str, value: float) -> str:
    return size_text(value) if name == "mem" else f"{value:g}"


def hopeless(budget: Budget, instance: str, name: str, taken: float) -> str:
    """The message that the sum ``name`` can never fit ``instance``, the cheapest of what is to be done."""
    unit = {"time": "s", "energy": "kWh", "carbon": "g"}[name]
    limit = getattr(budget, name)
    return (
        f"the {name} budget of {limit:.4g} {unit} can never fit a step that is to run: {instance} is predicted to "
        f"need {taken:.4g} {unit} (raise {option_of(name)})"
    )
