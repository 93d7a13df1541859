"""The budget of a run: what the options say, else the recipe; checked before anything runs. Pure but for sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f0make.errors import Problem, UsageError, Where
from f0make.recipe import scalars

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
    """Energy is to be measured, whether it is limited or not."""

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


def convert(key: str, text: str) -> Any:
    """The value of ``text`` for ``key``.

    Raises:
        ValueError: a wrong unit, and a sum of 0, which could never fit a step.
    """
    value = CONVERT[key](text)
    if key in ("energy", "carbon") and value <= 0:
        raise ValueError(f"expected more than 0 (nothing could ever run), found {scalars.shown(text)}")
    return value


def budget_of(options: RunOptions, recipe: Recipe | None = None) -> Budget:
    """The budget that ``options`` and ``recipe`` come to; an option wins over the recipe.

    Raises:
        UsageError: a wrong unit, a sum that nothing fits, or an unknown country; the message names the
            option or the place in the recipe.
    """
    values: dict[str, Any] = {}
    said = recipe.budget if recipe is not None else {}
    for key in CONVERT:
        given = getattr(options, "country" if key == "country" else f"max_{key}")
        text, where = (given, f"{option_of(key)} {given}") if given is not None else (said.get(key), "")
        if text is None:
            continue
        if not where and recipe is not None:
            where = f"{place(recipe, key)}: budget.{key}"
        try:
            values[key] = convert(key, text)
            if key == "country":
                from f0make.governor.carbon import check_country

                check_country(text)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None
    return Budget(**values, measure=options.energy or bool(said.keys() & {"energy", "carbon"}))


def place(recipe: Recipe, key: str) -> Where:
    """Where ``key`` of the recipe's `budget` stands."""
    text = recipe.sources.get(recipe.path)
    if text is None:
        return Where(recipe.path)
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, _ = line.strip().partition(":")
        if not colon or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            inside = name.strip("'\" ") == "budget"
        elif inside and name.strip("'\" ") == key:
            return Where(recipe.path, number, len(line) - len(line.lstrip()) + 1)
    return Where(recipe.path)


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
                    f"asks for {name}={asked:g}, more than the budget's limit {limit:g}",
                    instance.step.where(f"resources.{name}"),
                    f"{instance.step.name}.resources.{name}",
                    f"lower it or raise {option}",
                )
            ] = None
    return list(problems)


def hopeless(budget: Budget, instance: str, name: str, taken: float) -> str:
    """The message that the sum ``name`` can never fit ``instance``, the cheapest of what is to be done."""
    unit = {"time": "s", "energy": "kWh", "carbon": "g"}[name]
    limit = getattr(budget, name)
    return (
        f"the {name} budget of {limit:.4g} {unit} can never fit a step that is to run: {instance} is predicted to "
        f"need {taken:.4g} {unit} (raise {option_of(name)})"
    )
