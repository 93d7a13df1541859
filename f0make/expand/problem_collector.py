"""Gathering problems: one for each place, however many instances run into it."""

from __future__ import annotations

from f0make.errors import Problem, Where
from f0make.model import Recipe, Step
from f0make.regex.bounded import SIMPLER, Unbounded
from f0make.template.expression_place import where
from f0make.template.render_text import TemplateError


class Problems:
    """What is wrong, in the order found."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._found: dict[tuple[Where | None, str], Problem] = {}
        self._more: dict[tuple[Where | None, str], int] = {}

    def add(self, problem: Problem) -> None:
        """One problem; the same message at the same place counts once."""
        self._found.setdefault((problem.where, problem.message), problem)

    def at(self, step: Step, key: str, message: str, hint: str = "") -> None:
        """A problem of the whole step: ``key`` of it is wrong."""
        self.add(Problem(message, step.where(key), full_key(step, key), hint))

    def instance(self, step: Step, place: Where, key: str, message: str, hint: str = "") -> None:
        """A problem of one instance; of those at one place only the first is told, the others are counted."""
        slot = (place, f"\0{key}")
        if slot in self._found:
            self._more[slot] = self._more.get(slot, 0) + (self._found[slot].message != message)
        else:
            self._found[slot] = Problem(message, place, full_key(step, key), hint)

    def unbounded(self, step: Step, key: str, error: Unbounded) -> None:
        """An expression that takes too long to match: where it stands under `wildcards`, else ``key`` of the step."""
        places = self.recipe.wildcards_where
        named = [
            name for name, text in self.recipe.wildcards.items() if text == error.pattern and name in places
        ]
        if not named:
            self.text(step, key, error.message, SIMPLER)
            return
        found = f"wildcards.{named[0]}"
        slot = places[named[0]], f"\0{found}"
        if slot in self._found:
            self._more[slot] = self._more.get(slot, 0) + (self._found[slot].message != error.message)
        else:
            self._found[slot] = Problem(error.message, slot[0], found, SIMPLER)

    def template(self, step: Step, error: TemplateError) -> str:
        """A template that could not be compiled or rendered; says it in one line."""
        template = error.template
        place = where(self.recipe, step, template.key, template.text, error.offset)
        self.instance(step, place, template.key, error.message, error.hint)
        for other in error.others:
            self.template(step, other)
        return str(Problem(error.message, place, full_key(step, template.key), error.hint))

    def text(self, step: Step, key: str, message: str, hint: str = "") -> None:
        """A value of one instance that is wrong, at the key that it comes from."""
        self.instance(step, step.where(key), key, message, hint)

    def absorb(self, other: Problems) -> None:
        """Take over what ``other`` holds."""
        for slot, problem in other._found.items():
            if slot in self._found:
                self._more[slot] = self._more.get(slot, 0) + (self._found[slot].message != problem.message)
            else:
                self._found[slot] = problem
        for slot, count in other._more.items():
            self._more[slot] = self._more.get(slot, 0) + count

    def __bool__(self) -> bool:
        return bool(self._found)

    def all(self) -> list[Problem]:
        """Every problem, with how many more instances share its place."""
        out = []
        for slot, problem in self._found.items():
            more = self._more.get(slot, 0)
            hint = problem.hint
            if more:
                also = f"and {more:,} more like this" if more > 1 else "and one more like this"
                hint = f"{hint}; {also}" if hint else also
            out.append(Problem(problem.message, problem.where, problem.key, hint))
        return list(dict.fromkeys(out))


def full_key(step: Step, key: str) -> str:
    """``key`` with the step's name before it, as every problem of a step shows it."""
    return f"{step.name}.{key}" if key else step.name
