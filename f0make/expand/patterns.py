"""Pattern steps: instances for the files that others' inputs or the targets ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from f0make.allowance import INSTANCE, PATH
from f0make.expand.instance_names import instance_name, parse_instance_name
from f0make.expand.missing_need import IsPending, NeedsStage
from f0make.expand.pattern_rules import Rule, rules_of
from f0make.expand.problem_collector import full_key
from f0make.expand.requested_instances import Asks
from f0make.expand.stages import Stages
from f0make.expand.step_state import OUTPUTS, StepState
from f0make.fast_dataclass import dataclass
from f0make.model import Instance
from f0make.regex.bounded import Unbounded
from f0make.template.render_text import TemplateError
from f0make.template.template_values import BROKEN, Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 50
"""Pattern steps in one chain from a file to one that exists."""
MAX_ATTEMPTS = 2_000
"""Candidates that are looked at for one file, so that patterns that breed patterns come to an end."""

PATTERN = "pattern"
"""The account of the candidates: each resolver makes its own."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file comes from: ``kind`` is ``source``, ``made``, ``pattern``, ``pending`` or ``nothing``."""

    kind: str
    instance: Instance | None = None
    after: str | None = None


NOTHING = Found("nothing")


class Resolver:
    """Finds the pattern instances that one state of the graph asks for."""

    def __init__(self, stages: Stages, awaited: Callable[[str], str | None]) -> None:
        """``awaited``: the step that must finish before the one that may make a path has instances."""
        self.stages = stages
        self.awaited = awaited
        stages.allowance.release(PATTERN)
        self.waiting: dict[str, str] = {}
        """Files that cannot be judged yet -> the step that must finish first."""
        self.rules = [rule for state in stages.states.values() for rule in rules_of(stages, state)]
        self.chosen: dict[str, Instance] = {}
        """Pattern instances that are wanted, by name."""
        self._known: dict[str, Found] = {}
        self._candidates: dict[str, Instance | None] = {}
        self._asks: dict[str, Asks] = {}
        """Candidate -> the pattern instances that its own templates ask for."""
        self._held_back: dict[str, str] = {}
        """Candidate -> the step without instances yet that its inputs name."""
        self._attempts = 0
        """Candidates that may still be looked at for the file in question."""
        self._exhausted = 0
        """Files for which that was not enough; each makes it less for the next."""

    def want(self, paths: Iterable[str]) -> None:
        """Choose the pattern instances that ``paths`` need, and those that these need."""
        left = [p for p in dict.fromkeys(paths) if self._concrete(p) is None]
        while left:
            path = left.pop()
            self._attempts = max(50, MAX_ATTEMPTS // (1 + self._exhausted))
            found = self.resolve(path, ())
            self._exhausted += self._attempts < 0
            if found.instance is not None and found.instance.name not in self.chosen:
                left += self._choose(found.instance)

    def _choose(self, instance: Instance) -> list[str]:
        """``instance`` is wanted; what it needs."""
        self.chosen[instance.name] = instance
        left = list(instance.inputs)
        for name, (state, variables) in self._asks.get(instance.name, {}).items():
            if name not in self.chosen:
                asked = self._candidate(state, variables)
                left += self._choose(asked) if asked is not None else []
        return left

    def want_asked(self, asks: Asks) -> None:
        """Choose the pattern instances that templates name, whether or not what they need is there."""
        for name, (state, variables) in asks.items():
            instance = self._candidate(state, variables)
            if instance is not None:
                self.want(self._choose(instance))
            elif name in self._held_back:
                other = self._held_back[name]
                self.stages.withhold(state, self.stages.states[other].after or other)
            elif state.broken_parts.get(name) == {"glob"}:
                text = f"{name} is asked for, and no file matches its input"
                state.problems[OUTPUTS].at(state.plan.step, "inputs", text)

    def want_instance(self, name: str) -> bool:
        """Choose the pattern instance called ``name``; False where that is no such name."""
        parsed = parse_instance_name(name)
        if parsed is None:
            return False
        step, values = parsed
        for rule in self.rules:
            names = [*rule.variables, *rule.state.plan.wildcards]
            if rule.state.name != step or list(values) != names:
                continue
            if all(str(value) == values[key] for key, value in rule.variables.items()):
                wildcards = {key: values[key] for key in rule.state.plan.wildcards}
                instance = self._candidate(rule.state, {**rule.variables, **wildcards})
                if instance is not None and self._matches_itself(rule, instance):
                    self.want(self._choose(instance))
                    return True
        return False

    def _matches_itself(self, rule: Rule, instance: Instance) -> bool:
        return any(self._divided(rule, output.path) is not None for output in instance.outputs)

    def _concrete(self, path: str) -> str | None:
        """The step without wildcards that makes ``path``."""
        owner = self.stages.made.owner(path)
        return None if owner is None or self.stages.states[owner].plan.pattern else owner

    def resolve(self, path: str, chain: tuple[str, ...]) -> Found:
        """What ``path`` comes from. ``chain``: the candidates that ask for it, outermost first."""
        if self._concrete(path) is not None:
            return Found("made")
        if path in self._known:
            return self._known[path]
        usable: dict[str, Instance] = {}
        whole = True
        after: str | None = None
        for state, variables in self._matches(path):
            name = instance_name(state.name, variables)
            if name in chain or len(chain) >= MAX_DEPTH:
                whole = False
                continue
            self._attempts -= 1
            instance = self._candidate(state, variables) if self._attempts >= 0 else None
            if instance is None or path in instance.inputs or not self._makes(instance, path):
                continue
            missing = self._missing(instance, (*chain, name))
            if missing is None:
                usable[name] = instance
            elif missing.kind == "pending":
                after = missing.after
            else:
                whole = whole and not chain
        if usable:
            found = Found("pattern", self._best(path, list(usable.values())))
        elif (behind := self._behind(path, chain)) is not None:
            found = behind
        else:
            after = after or self.awaited(path)
            found = NOTHING if after is None else Found("pending", after=after)
            facts = self.stages.facts
            if facts.exists(path) and (after is None or facts.made_by(path) is None):
                found, after = Found("source"), None
        if after is not None and not usable:
            self.waiting[path] = after
        if whole or not chain:
            self._known[path] = found
        return found

    def _behind(self, path: str, chain: tuple[str, ...]) -> Found | None:
        """What the file that ``path`` leads to by links comes from, where steps make it; None where they do not."""
        end = self.stages.facts.leads_to(path)
        if end is None or end == path:
            return None
        found = self.resolve(end, chain)
        return found if found.kind in ("made", "pattern") else None

    def would_need(self, path: str) -> str | None:
        """Which instance would make ``path``, and what is not there for that; None when no pattern matches.

        In a chain of pattern steps that is the leaf: the first file that no pattern step would make, or only one that
        stands in the chain already.
        """
        first = last = self._unmet(path)
        steps: set[str] = set()
        while last is not None and last[0].step.name not in steps:
            steps.add(last[0].step.name)
            further = self._unmet(last[1])
            if further is None or further[0].step.name in steps:
                break
            last = further
        if first is None or last is None:
            return None
        if first is last:
            return f"{first[0].name} would make it, but its input {first[1]!r} does not exist"
        return (
            f"{first[0].name} would make it, from what {last[0].name} would make, "
            f"but the input {last[1]!r} of that does not exist"
        )

    def _unmet(self, path: str) -> tuple[Instance, str] | None:
        """An instance that would make ``path``, and the input that it lacks."""
        for state, variables in self._matches(path):
            instance = self._candidate(state, variables)
            for wanted in instance.inputs if instance is not None else ():
                assert instance is not None
                if self.resolve(wanted, (instance.name,)).kind == "nothing":
                    return instance, wanted
        return None

    def _missing(self, instance: Instance, chain: tuple[str, ...]) -> Found | None:
        """What becomes of an input of a candidate that is not there and cannot be made, the first that is."""
        waits: Found | None = None
        for path in instance.inputs:
            found = self.resolve(path, chain)
            if found.kind == "nothing":
                return found
            waits = found if found.kind == "pending" else waits
        return waits

    def _makes(self, instance: Instance, path: str) -> bool:
        return any(
            o.path == path or (o.directory and path.startswith(o.path + "/")) for o in instance.outputs
        )

    def _matches(self, path: str) -> list[tuple[StepState, dict[str, Any]]]:
        out = []
        for rule in self.rules:
            for candidate in _with_parents(path) if rule.directory else [path]:
                values = self._divided(rule, candidate)
                if values is not None:
                    wildcards = {name: values[name] for name in rule.state.plan.wildcards}
                    out.append((rule.state, {**rule.variables, **wildcards}))
        return out

    def _divided(self, rule: Rule, path: str) -> dict[str, str] | None:
        """The wildcards of ``rule`` for ``path``; None too where that cannot be found out in time (reported)."""
        try:
            return rule.captures.match(path)
        except Unbounded as error:
            step = rule.state.plan.step
            rule.state.problems[OUTPUTS].unbounded(step, "outputs", error)
            return None

    def _candidate(self, state: StepState, variables: dict[str, Any]) -> Instance | None:
        name = instance_name(state.name, variables)
        if name not in self._candidates:
            self._candidates[name] = self._render(state, name, variables)
        return self._candidates[name]

    def _render(self, state: StepState, name: str, variables: dict[str, Any]) -> Instance | None:
        renderer, asked = self.stages.renderer, self.stages.asked
        instance = renderer.new(state.plan, name, variables)
        self.stages.allowance.goes_to(state.name, PATTERN, state.place)
        self.stages.allowance.charge(INSTANCE + PATH)
        while True:
            asked.sink = self._asks[name] = {}
            try:
                scope = renderer.scope(state.plan, instance)
                renderer.early(state, instance, scope)
                scope["inputs"] = BROKEN
                renderer.outputs(state, instance, scope)
                del scope["inputs"]
                renderer.inputs(state, instance, scope)
                break
            except NeedsStage as need:
                self.stages.demand(need.name, need.stage)
            except IsPending as pending:
                self._held_back[name] = pending.name
                return None
        broken = state.broken_parts.get(name, ())
        # A glob that matches nothing is a prerequisite that is not there.
        return None if {"outputs", "inputs", "glob"} & set(broken) else instance

    def _best(self, path: str, usable: list[Instance]) -> Instance:
        """The one of highest priority; two of the same are an error."""
        if len(usable) == 1:
            return usable[0]
        ranked = sorted(usable, key=self._priority, reverse=True)
        first, second = ranked[0], ranked[1]
        if self._priority(first) == self._priority(second):
            state = self.stages.states[second.step.name]
            state.problems[OUTPUTS].instance(
                second.step,
                second.step.where("outputs"),
                "outputs",
                f"{path!r} can be made by {first.name} ({first.step.where('outputs')}) and by {second.name} "
                f"({second.step.where('outputs')})",
                f"give the one that is meant a higher `priority` ({full_key(second.step, 'priority')})",
            )
        return first

    def _priority(self, instance: Instance) -> int:
        state = self.stages.states[instance.step.name]
        for field in state.plan.late:
            if field.attribute == "priority":
                try:
                    return int(field.render(self.stages.renderer.full_scope(state, instance, 1)))
                except (TemplateError, Broken, NeedsStage, IsPending):
                    return 0
        return instance.priority

    def commit(self) -> None:
        """Give each pattern step its instances, in the order of their variables."""
        by_step: dict[str, list[Instance]] = {}
        for instance in self.chosen.values():
            by_step.setdefault(instance.step.name, []).append(instance)
        for state in self.stages.states.values():
            if state.plan.pattern and state.after is None:
                instances = sorted(by_step.get(state.name, []), key=_variables_in_order)
                self.stages.set_instances(state, instances)


def _variables_in_order(instance: Instance) -> list[str]:
    return [str(value) for value in instance.variables.values()]


def _with_parents(path: str) -> list[str]:
    out = [path]
    cut = path.rfind("/")
    while cut > 0:
        out.append(path[:cut])
        cut = path.rfind("/", 0, cut)
    return out
