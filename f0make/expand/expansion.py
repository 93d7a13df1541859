"""Validated steps -> instances: the one function that does it, and what comes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from f0make.errors import Problem
from f0make.expand.blame import Faults, blame
from f0make.expand.expansion_facts import Facts
from f0make.expand.late_rendering import render_late, rerender
from f0make.expand.missing_need import IsPending
from f0make.expand.output_conflicts import Clash, find_conflicts
from f0make.expand.patterns import Resolver
from f0make.expand.pending_steps import Waiting
from f0make.expand.problem_collector import full_key
from f0make.expand.stages import MAX_ROUNDS, Stages
from f0make.expand.step_state import LATE
from f0make.fast_dataclass import dataclass, field
from f0make.gc_pause import gc_pause
from f0make.model import Instance, Output, Recipe, Step


@dataclass(slots=True)
class Expansion:
    """What a recipe's steps come to, with the files that exist now."""

    instances: list[Instance]
    """In the order of the steps, inside a step in the order of its `foreach`. Instances share lists and maps
    that are the same for all of a step: replace them, never change them."""
    by_output: dict[str, int]
    """Output path -> index of the instance that makes it."""
    problems: list[Problem]
    pending: dict[str, str]
    """Steps without instances yet -> the step that must finish first (`after:`)."""
    warnings: list[str] = field(default_factory=list)
    watched_directories: set[str] = field(default_factory=set)
    """Directories whose entries were looked at; another expansion is the same while these are (see `Facts`)."""
    read_files: set[str] = field(default_factory=set)
    """Tables."""
    stages: Stages | None = None
    waiting: Waiting | None = None
    clashes: list[Clash] = field(default_factory=list)
    others: list[Problem] = field(default_factory=list)
    """Problems of the recipe as a whole."""

    def charge(self, step: Step, amount: int) -> None:
        """Take ``amount`` bytes for what is made of the instances of ``step``. Raises RecipeError where it is too much."""
        if self.stages is not None:
            self.stages.allowance.goes_to(step.name, LATE, self.stages.states[step.name].place)
            self.stages.allowance.charge(amount)

    def faults(self, known: Collection[str]) -> Faults:
        """Whose fault the problems are, but for what is ``known`` to be in order."""
        states = self.stages.states.values() if self.stages is not None else ()
        return blame(states, self.clashes, self.others, known)

    def may_come(self, path: str) -> bool:
        """Whether a step without instances may come to make ``path``, a directory's content or a pattern of files."""
        stages = self.stages
        return (
            stages is not None
            and self.waiting is not None
            and (path in stages.waiting or self.waiting.may_make(path))
        )

    def missing_later(self, steps: Sequence[str]) -> list[Problem]:
        """Inputs that are the same for all instances which ``steps`` may come to have, and that nothing can make."""
        if self.stages is None or not steps:
            return []
        resolver = Resolver(self.stages, Waiting(self.stages).awaited)
        found = []
        for step in steps:
            for plan in self.stages.states[step].plan.inputs:
                constant = plan.template is None and not plan.glob
                if (
                    constant
                    and resolver.resolve(plan.path, ()).kind == "nothing"
                    and not self.may_come(plan.path)
                ):
                    text = f"input {plan.path!r} of {step} does not exist and no step makes it"
                    declared = self.stages.states[step].plan.step
                    key = plan.decl.key
                    found.append(Problem(text, declared.where(key), full_key(declared, key)))
        return found

    def may_be_read(self, output: Output, maker: str) -> bool:
        """Whether instances that do not exist yet may need ``output`` of step ``maker``."""
        return self.waiting is not None and bool(self.pending) and self.waiting.may_be_read(output, maker)

    def would_need(self, path: str) -> str | None:
        """Which pattern instance would make ``path`` if only a file existed, and which file; else None."""
        if self.stages is None or not any(s.plan.pattern for s in self.stages.states.values()):
            return None
        return Resolver(self.stages, Waiting(self.stages).awaited).would_need(path)

    def is_pattern(self, step: str) -> bool:
        """Whether the step called ``step`` is a pattern step (and waits for nothing)."""
        state = self.stages.states.get(step) if self.stages is not None else None
        return state is not None and state.plan.pattern and state.after is None

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` as it is in another attempt: itself where nothing of its step mentions `attempt`.

        Inputs, outputs and variables stay as they are. Raises TemplateError.
        """
        assert self.stages is not None
        return rerender(self.stages.states[instance.step.name], self.stages.renderer, instance, attempt, cpus)


def expand(
    recipe: Recipe,
    facts: Facts,
    *,
    targets: Sequence[str] = (),
    finished: frozenset[str] = frozenset(),
    failed: frozenset[str] = frozenset(),
) -> Expansion:
    """Every instance of ``recipe``, and every problem of its templates, tables, globs and outputs.

    ``targets`` (and the recipe's own) may be files that pattern steps make, or names of their instances.
    ``finished``: steps whose files are there, so that `glob:` with `after:` one of them can be evaluated.
    ``failed``: steps that can have no instances; they are pending, and so is what needs them. Nothing is run and nothing written.
    """
    with gc_pause():
        return _expand(recipe, facts, targets, Stages(recipe, facts, finished, failed))


def _expand(recipe: Recipe, facts: Facts, targets: Sequence[str], stages: Stages) -> Expansion:
    stages.hold_back()
    for _ in range(MAX_ROUNDS):
        _settle(stages, [*targets, *recipe.targets])
        asked = stages.asked.all().keys()
        _render_late(stages)
        if stages.asked.all().keys() <= asked:
            break  # Otherwise the fields that are rendered last ask for more instances of pattern steps.
    waiting = Waiting(stages)
    waiting.spread()
    states = stages.states.values()
    instances = [instance for state in states for instance in state.instances]
    others = stages.problems.all()
    by_output, clashes = find_conflicts(instances, stages.problems)
    for state in states:
        for problems in state.problems.values():
            stages.problems.absorb(problems)
    return Expansion(
        instances=instances,
        by_output=by_output,
        problems=stages.problems.all(),
        pending={state.name: state.after for state in states if state.after is not None},
        warnings=_warnings(stages),
        watched_directories=facts.directories,
        read_files=facts.files,
        stages=stages,
        waiting=waiting,
        clashes=clashes,
        others=others,
    )


def _settle(stages: Stages, targets: Sequence[str]) -> None:
    """Rounds of stages and pattern steps until the outputs are the same twice."""
    patterns = any(state.plan.pattern for state in stages.states.values())
    globs = any(s.plan.globs_foreach or s.plan.globs_inputs for s in stages.states.values())
    for _ in range(MAX_ROUNDS):
        version = stages.made.version
        stages.round()
        if patterns:
            _resolve(stages, targets)
        if not (globs or patterns) or version == stages.made.version or not stages.volatile():
            return
        stages.again()
    stages.round()
    stages.not_converging()


def _resolve(stages: Stages, targets: Sequence[str]) -> None:
    resolver = Resolver(stages, Waiting(stages).awaited)
    resolver.want_asked(stages.asked.all())
    for state in stages.states.values():
        if not state.plan.pattern:
            resolver.want(path for instance in state.instances for path in instance.inputs)
    for target in targets:
        if target not in stages.states and not resolver.want_instance(target):
            resolver.want([stages.paths.relative(target)])
    resolver.commit()
    stages.waiting = resolver.waiting


def _render_late(stages: Stages) -> None:
    for state in stages.states.values():
        if state.after is None:
            stages.asked.begin(state.name, LATE)
            stages.allowance.begin(state.name, LATE, state.place)
            try:
                render_late(state, stages.renderer)
            except IsPending as pending:
                stages.withhold(state, stages.states[pending.name].after or pending.name)


def _warnings(stages: Stages) -> list[str]:
    out: dict[str, None] = {}
    orphans: dict[str, str] = {}
    for state in stages.states.values():
        for texts in state.warnings.values():
            out.update(texts)
        for found in state.orphans.values():
            orphans.update(found)
    for path, maker in sorted(orphans.items()):
        waiting = stages.states.get(maker.partition("[")[0])
        if stages.made.owner(path) is None and (waiting is None or waiting.after is None):
            text = f"{path} was made by {maker}, which is gone: no glob matches it"
            out[f"{text} (`f0make clean --orphans` removes it)"] = None
    return list(out)
