"""Instances of pattern steps that templates ask for by name: `steps.sort(n=['1', '2']).outputs`.

Which instances a pattern step has otherwise depends on everything that is asked for, the command line included; these do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from f0make.expand.instance_names import instance_name
from f0make.expand.step_state import INPUTS, OUTPUTS, StepState
from f0make.model import Instance
from f0make.regex.captures import Captures
from f0make.template.template_values import BROKEN, Broken
from f0make.template.value_access import Missing, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from f0make.expand.renderer import Renderer

Asks: TypeAlias = "dict[str, tuple[StepState, dict[str, Any]]]"
"""Name of an instance -> its pattern step, and its variables."""


class Asked:
    """What the templates of each stage of each step ask for; `begin` says whose templates are rendered from now on."""

    def __init__(self, renderer: Renderer, wildcards: Mapping[str, str]) -> None:
        self._renderer = renderer
        self._wildcards = wildcards
        self._by_asker: dict[tuple[str, str], Asks] = {}
        self.sink: Asks = {}
        """Takes down what is asked for."""
        self.asker = ""
        """The step whose templates are rendered."""
        self._rendering: set[str] = set()

    def begin(self, step: str, stage: str) -> None:
        """The templates of ``stage`` of ``step`` are rendered (again): what they asked for before no longer counts."""
        self.sink = self._by_asker[step, stage] = {}
        self.asker = step

    def all(self) -> Asks:
        """Everything that is asked for, in the order of asking."""
        found: Asks = {}
        for asks in self._by_asker.values():
            found.update(asks)
        return found

    def instances(self, state: StepState, wanted: Mapping[str, Sequence[str]], stage: str) -> list[Instance]:
        """The instances of the pattern step ``state`` whose variables have the ``wanted`` values.

        Every combination, in the order of the step's variables, the last one changing fastest. Their ``stage`` is
        rendered and no more. Raises Missing, Broken, and what templates raise.
        """
        found = []
        for variables in self._combinations(state, wanted):
            name = instance_name(state.name, variables)
            self.sink[name] = state, variables
            found.append(self._render(state, name, variables, stage))
        return found

    def _combinations(self, state: StepState, wanted: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        plan = state.plan
        names = [*plan.variables, *plan.wildcards]
        for name in wanted:
            if name not in names:
                raise Missing(f"step `{state.name}` has no variable `{name}`", suggestion(name, names))
        lacking = [name for name in names if name not in wanted]
        if lacking:
            raise unnamed(state.name, names, lacking)
        listed = {name: list(dict.fromkeys(texts)) for name, texts in wanted.items()}
        for name in plan.wildcards:
            captures = Captures(["", ""], [name], self._wildcards)
            for text in listed[name]:
                if not captures.matches(text):
                    raise Missing(f"{text!r} does not match the wildcard `{name}` of step `{state.name}`")
        bound = []
        for values in state.combinations or ():
            if all(str(value) in listed[name] for name, value in values.items()):
                bound.append(values)
        for name in plan.variables:
            there = {str(values[name]) for values in bound}
            strange = [text for text in listed[name] if text not in there]
            if strange:
                raise Missing(f"no instance of step `{state.name}` has {name}={strange[0]!r}")
        texts = [
            dict(zip(plan.wildcards, row, strict=True))
            for row in product(*(listed[n] for n in plan.wildcards))
        ]
        return [{**values, **row} for values in bound for row in texts]

    def _render(self, state: StepState, name: str, variables: dict[str, Any], stage: str) -> Instance:
        if name in self._rendering:
            raise Missing(f"`{name}` is used to make itself")
        instance = self._renderer.new(state.plan, name, variables)
        self._rendering.add(name)
        try:
            scope = self._renderer.scope(state.plan, instance)
            self._renderer.early(state, instance, scope)
            if stage == OUTPUTS:
                scope["inputs"] = BROKEN
                self._renderer.outputs(state, instance, scope)
            else:
                self._renderer.inputs(state, instance, scope)
        finally:
            self._rendering.discard(name)
        if {OUTPUTS if stage == OUTPUTS else INPUTS} & state.broken_parts.get(name, set()):
            raise Broken
        return instance


def unnamed(step: str, variables: Sequence[str], lacking: Sequence[str]) -> Missing:
    """Why `steps.STEP.outputs` of a pattern step means nothing without values for the ``lacking`` variables."""
    values = ", ".join(f"{name}=…" for name in variables)
    which = " and ".join(f"`{name}`" for name in lacking)
    return Missing(
        f"`{step}` is a pattern step: it has the instances that happen to be asked for, so which are meant must be said by "
        f"values for {which}",
        f"write `steps.{step}({values}).outputs`, each one value or a list",
    )
