"""`RecipeGraph`: a recipe expanded with the files that are there, connected, and expanded again when that gives more."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

from f0make.errors import MOST_TOLD, Problem, RecipeError, StateError, UsageError
from f0make.fast_dataclass import replace
from f0make.files.signature import clock_ns
from f0make.graph.build_graph import Graph
from f0make.graph.graph_order import find_cycles
from f0make.model import Recipe
from f0make.recipe_graph.layout import Layout, relative
from f0make.recipe_graph.missing_inputs import missing, perhaps_made
from f0make.recipe_graph.names import Names, root_of
from f0make.recipe_graph.python_steps import PythonSteps
from f0make.recipe_graph.request_checks import (
    Found,
    beyond_limits,
    missing_interpreters,
    unknown_names,
    waiting_for_nothing,
)
from f0make.store.instance_identity import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.expand.expansion import Expansion
    from f0make.files.content_cache import Contents
    from f0make.model import Instance, Output
    from f0make.options import RunOptions
    from f0make.recipe_graph.graph_inputs import GraphInputs
    from f0make.store.record_store import Store


class RecipeGraph:
    """The instances of ``recipe`` and who needs whom. After `build` there is a `layout`, after each `grow` another one.

    ``targets`` default to the recipe's. Without ``inputs_matter`` it is no error that an input is not there: nothing
    will run. ``inputs`` were made before the recipe was read.
    """

    layout: Layout
    names: Names

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        contents: Contents,
        inputs: GraphInputs,
        options: RunOptions,
        targets: Sequence[str] = (),
        inputs_matter: bool = True,
    ) -> None:
        self.recipe = recipe
        self.workspace = contents.root
        self._store = store
        self._contents = contents
        self._limits = options.resource
        self._here = not options.hosts and not options.host and options.backend == "local"
        """Everything runs on this machine: what is on others is another question."""
        self._given = bool(targets)
        """The targets come from the person, not from the recipe."""
        self.targets = list(targets) or list(recipe.targets)
        self._inputs_matter = inputs_matter
        self.inputs = inputs
        self.python = PythonSteps(contents.root, inputs.files.update)
        self._finished: frozenset[str] = frozenset()
        """Steps that `after:` waits for and that are done: what waited for them is in the graph."""
        self.faults: dict[str, str] = {}
        """Instances that have appeared and cannot run -> why; empty: something that they need cannot."""
        self.failed: dict[str, str] = {}
        """Steps, and targets, that cannot come to instances -> why."""
        self._sources: set[str] | None = None

    @property
    def pending(self) -> dict[str, str]:
        """Steps without instances yet -> the step that they wait for (`after:`)."""
        return self.layout.pending

    # -- expanding and connecting ------------------------------------------------------------------------

    def build(self, faults: Sequence[Problem] = ()) -> None:
        """Expand the recipe and connect its instances.

        ``faults`` are problems already found; the steps at fault are missing from the recipe. Raises
        RecipeError with these and every problem of templates, arguments and graph.
        """
        python = self._expand()
        expansion, graph = self.layout.expansion, self.layout.graph
        problems = [p for p in expansion.problems if not faults or "no step" not in p.message]
        problems += [problem for found in python.values() for problem in found]
        if not faults:
            problems += [problem for _, problem in unknown_names(self.recipe, expansion.instances)]
        problems += self._missing_inputs(bool(faults), bool(problems))
        problems += graph.cycles()
        problems += [problem for _, problem in self._out_of_reach(expansion.instances)]
        if problems or faults:
            told = {(p.where, p.message): p for p in [*problems, *faults]}
            raise RecipeError(list(told.values()))

    def _expand(self) -> dict[str, list[Problem]]:
        """Expand the recipe, with the files of finished steps there to be listed, and make the graph.

        Returns the problems of python steps, by instance or by pending step.
        """
        from f0make.expand.expansion import expand
        from f0make.expand.watched_facts import WatchedFacts

        facts = WatchedFacts(self.workspace, self._made_by)
        clock = clock_ns()
        expansion = expand(
            self.recipe,
            facts,
            targets=self.targets,
            finished=self._finished,
            failed=frozenset(self.failed),
        )
        inputs = self.inputs
        inputs.note_listings(facts, expansion.watched_directories, clock)
        inputs.files.update(self.recipe.files, expansion.read_files, facts.absent)
        inputs.missing_dependencies.update(facts.absent)
        later = [s for s in self.recipe.steps if s.type == "python" and s.name in expansion.pending]
        problems = self.python.check(expansion.instances, later)
        self._sources = None
        self._connect(expansion, clock)
        self.names = Names(self.layout, self._lose)
        return problems

    def _connect(self, expansion: Expansion, clock: int) -> None:
        """Make the graph of ``expansion``, with the dependencies that come by way of links."""
        from f0make.files.existence_cache import Presence
        from f0make.files.link_paths import Passing

        instances, asked = expansion.instances, self._target_files()
        passing = Passing(self.workspace, Presence(self.workspace))
        try:
            through = passing.through(
                dict.fromkeys([*asked, *(path for i in instances for path in i.inputs)]),
                (output.path for i in instances for output in i.outputs),
            )
        except OSError as error:
            raise StateError(f"{error.filename}: {error.strerror} (check its permissions)") from None
        graph = Graph(instances, through, expansion.charge)
        self.layout = Layout(self.workspace, self.recipe, expansion, graph, passing)
        self.inputs.note_links(passing.links, clock)
        self.inputs.files.update(p for p in asked if not graph.is_made(p) and self.layout.exists(p))
        for trail in passing.dangling.values():
            if trail.missing is not None:
                self.inputs.note_missing(trail.missing)
        for path in (relative(self.workspace, target) for target in self.targets):
            if path in graph.producer:
                _keep(graph.instances[graph.producer[path]], path)

    def _target_files(self) -> list[str]:
        """The targets that name no step, as paths."""
        return [
            relative(self.workspace, target) for target in self.targets if self.recipe.step(target) is None
        ]

    def _made_by(self, path: str) -> str | None:
        """The instance of this recipe that made what lies at ``path``.

        None for a file of the user's, and for what another recipe made: here that is a file like any other.
        """
        recipe, instance = self._store.maker(path) or (UNKNOWN, "")
        return instance if recipe == self._store.recipe else None

    # -- what is wrong -----------------------------------------------------------------------------------

    def _out_of_reach(self, instances: Sequence[Instance]) -> Found:
        """Requests of ``instances`` that nothing here can meet."""
        found = beyond_limits(self.recipe, self.pending, instances, self._limits)
        if self._here:
            found += missing_interpreters(instances, self.python.interpreter, self._can_run)
        return found

    def _can_run(self, path: str) -> bool:
        made = self.layout.graph.producer_of(relative(self.workspace, path)) is not None
        return made or os.access(path, os.X_OK)

    def _missing_inputs(self, faulty: bool, problems: bool) -> list[Problem]:
        """Inputs that nothing makes, but for those that a step left out for its own problems may make."""
        if not self._inputs_matter:
            return []
        layout, wrong = self.layout, faulty or problems
        try:
            wanted = self.wanted()
        except UsageError as error:
            if wrong:
                return []
            places = dict(zip(self.recipe.targets, self.recipe.targets_where, strict=False))
            at = next((t for t in self.targets if repr(t) in str(error) and t in places), None)
            if self._given or at is None:
                raise
            return [Problem(str(error), places[at], "targets")]
        lost = missing(layout, wanted, lambda p: wrong and perhaps_made(layout, p, faulty), MOST_TOLD)
        found = [m.problem for m in lost]
        if len(found) == MOST_TOLD:
            found[-1] = replace(found[-1], hint=f"there may be more: {MOST_TOLD:,} are told")
        if not wrong:
            found += layout.expansion.missing_later(self.coming())
            found += [problem for _, problem in waiting_for_nothing(layout, wanted)]
        from f0make.graph.unmatched_inputs import unmatched

        return unmatched(layout.expansion, layout.graph, wanted, self.targets, self.inputs.dangling) + found

    # -- asking ------------------------------------------------------------------------------------------

    def wanted(self) -> set[int]:
        """Every node that the targets need (all nodes when there are no targets)."""
        return self.names.wanted(self.targets)

    def coming(self) -> list[str]:
        """The pending steps that the targets may need (all of them when there are no targets), in order."""
        return self.names.coming(self.targets)

    def root_of(self, step: str) -> str:
        """The step without an unmet `after:` that ``step`` waits for in the end; perhaps itself."""
        return root_of(self.pending, step)

    def is_step(self, word: str) -> bool:
        """Whether ``word`` is the name of a step."""
        return self.recipe.step(word) is not None

    def is_source(self, path: str) -> bool:
        """Whether the recipe was made from ``path``, or reads it and makes it not: it is the user's, whatever the log says."""
        graph = self.layout.graph
        if graph.producer_of(path) is not None:
            return False
        if self._sources is None:
            self._sources = {
                relative(self.workspace, file) for file in (*self.inputs.files, *self.recipe.files)
            }
            self._sources.update(path for instance in graph.instances for path in instance.inputs)
        return path in self._sources

    def may_be_read(self, output: Output, maker: str) -> bool:
        """Whether instances that do not exist yet may need ``output`` of the step ``maker``."""
        return self.layout.expansion.may_be_read(output, maker)

    # -- growing -----------------------------------------------------------------------------------------

    def finished_steps(self, done: Callable[[int], bool]) -> frozenset[str]:
        """The steps that others wait for and whose instances are all ``done`` now."""
        pending = self.pending
        return frozenset(
            after
            for after in set(pending.values()) - self._finished
            if after not in pending
            and self.is_step(after)
            and all(map(done, self.layout.graph.by_step.get(after, ())))
        )

    def grow(self, finished: frozenset[str]) -> None:
        """Expand again with the files of ``finished`` steps; what is wrong with what appears goes to `faults` and `failed`."""
        known = self.layout.graph.by_name.keys() - self.faults.keys()
        self._finished |= finished
        while True:
            try:
                python = self._expand()
            except RecipeError as error:
                # What has appeared is more than a recipe may come to: the steps that had no instances get none.
                lost = {step: str(error) for step in self.pending if step not in self.failed}
                if not lost:
                    raise
                self.failed.update(lost)
                continue
            found = self.layout.expansion.faults(known)
            steps = dict(found.steps)
            for name, problems in python.items():
                if problems and name not in known:
                    found.instances.setdefault(name, str(problems[0]))
            if not steps:
                steps = _cycles(self.layout.graph, known)
            new = {step: reason for step, reason in steps.items() if step not in self.failed}
            if not new:
                break
            self.failed.update(new)
        self.faults = found.instances
        self._check(known)

    def _check(self, known: Collection[str]) -> None:
        """Find what is wrong with the instances that are not ``known``, beyond what their texts tell."""
        from f0make.graph.unmatched_inputs import unmatched_inputs

        graph = self.layout.graph
        fresh = [i for i in graph.instances if i.name not in known]
        names = {instance.name for instance in fresh}
        problems = unknown_names(self.recipe, fresh) + self._out_of_reach(fresh)
        wanted = {n for n in self.wanted() if n < len(graph.instances) and graph.instances[n].name in names}
        problems += [(found.instance, found.problem) for found in missing(self.layout, wanted)]
        problems += waiting_for_nothing(self.layout, wanted)
        problems += unmatched_inputs(self.layout.expansion, graph, wanted)
        for name, problem in problems:
            self.faults.setdefault(name, str(problem))

    def _lose(self, word: str, error: UsageError) -> None:
        """What ``word`` asks for was to appear when the graph grew, and has not. Raises ``error`` where it has not grown."""
        if not self._finished:
            raise error
        self.failed.setdefault(word, str(error))


def _keep(instance: Instance, path: str) -> None:
    """The temp output ``path`` is asked for by its path: it stays."""
    instance.outputs = [replace(o, temp=False) if o.path == path else o for o in instance.outputs]


def _cycles(graph: Graph, known: Collection[str]) -> dict[str, str]:
    """Steps without ``known`` instances on cycles -> the cycle."""
    if len(graph.order) == len(graph.needs):
        return {}
    old = {graph.instances[graph.by_name[name]].step.name for name in known if name in graph.by_name}
    found: dict[str, str] = {}
    for cycle, problem in zip(find_cycles(graph.needs), graph.cycles(), strict=True):
        for node in cycle:
            step = graph.instances[node].step.name if node < len(graph.instances) else graph.barriers[node]
            if step not in old:
                found.setdefault(step, str(problem))
    return found
