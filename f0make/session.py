"""Everything that is known before a run: recipe, instances, graph, records, file contents.

Opened read-only it changes nothing on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from f0make import STATE
from f0make.errors import MOST_TOLD, Problem, RecipeError, StateError, UsageError
from f0make.fast_dataclass import replace
from f0make.files import sealed_files
from f0make.files.signature import clock_ns, is_racy
from f0make.graph.build_graph import Graph, MissingInput
from f0make.graph_growth import lose, root_of
from f0make.model import Instance, Recipe
from f0make.options import RunOptions
from f0make.store import state_dir
from f0make.store.instance_identity import UNKNOWN, recipe_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.code.code_bases import CodeBases
    from f0make.code.code_digest import CodeFacts
    from f0make.expand.expansion import Expansion
    from f0make.expand.watched_facts import WatchedFacts
    from f0make.files.content_cache import Contents, Row
    from f0make.files.link_paths import Passing
    from f0make.incremental.partial_session import Rest
    from f0make.recipe.step_cache import StepCache
    from f0make.recipe.strictyaml_check import Opinions
    from f0make.secrets import Secrets
    from f0make.store.record_store import Store
    from f0make.trail import Trail

TEMPLATE = r"\$\{\{.*?\}\}"
WORTH_KEEPING = 500
"""Steps from which `validate`, which otherwise writes nothing, remembers what it validated."""
CODE_MAGIC = b"f0make code 2\n"


class Session:
    """A recipe, opened: the graph that a run or a plan walks, and the facts it asks for."""

    recipe: Recipe
    graph: Graph
    expansion: Expansion

    def __init__(self, workspace: str, store: Store, contents: Contents, options: RunOptions) -> None:
        self.workspace = workspace
        self.store = store
        self.contents = contents
        self.options = options
        self.rest: Rest | None = None
        """What is not among the instances because nothing has changed for it (`f0make.incremental`)."""
        self.targets: list[str] = []
        self.given_targets = False
        """The targets come from the person, not from the recipe."""
        self.warnings: list[str] = []
        self.code: dict[str, CodeFacts] = {}
        """Instance name -> what its python code comes to."""
        self._rendered_args: dict[str, dict[str, Any]] = {}
        """Instance name -> the arguments of a python step before they got the types that its code asks for."""
        self.setters: dict[str, set[str]] = {}
        """Context key -> instances whose code sets it by a literal name."""
        self._opinions: Opinions | None = None
        """What strictyaml is still to say about the recipe."""
        self._steps: StepCache | None = None
        """Where validated steps are kept, once it has said so."""
        self._code_cache: dict[str, Any] = {}
        self.opened_ns = clock_ns()
        """`signature.clock_ns()` from before the recipe was read."""
        self.watched_files: set[str] = set()
        """Files beyond the instances' own that this graph was made from (recipes, tables, modules)."""
        self.passing: Passing | None = None
        """What was found of the links that inputs pass."""
        self.finished: frozenset[str] = frozenset()
        """Steps that `after:` waits for and that are done: what waited for them is in the graph."""
        self.faults: dict[str, str] = {}
        """Instances that have appeared and cannot run -> why; empty: something that they need cannot."""
        self.failed: dict[str, str] = {}
        """Steps, and targets, that cannot come to instances -> why."""
        self.asked_in_vain: set[str] = set()
        """Those of them that were not there when the graph was made."""
        self._sources: set[str] | None = None
        self._inputs_matter = True
        self.secrets: Secrets | None = None
        """What the recipe's `secrets` are, if it has any."""
        self.directory_rows: dict[str, Row] = {}
        """Directories that globs listed: path -> row as in `Contents.rows`."""
        self.link_rows: dict[str, Row] = {}
        """Links that globs and inputs passed, in the same form."""
        self.ends: set[str] = set()
        """Where links that globs found lead."""
        self.given: dict[str, Trail] = {}
        """Links to nothing that globs found."""

    @classmethod
    def open(
        cls,
        recipe_path: str,
        options: RunOptions,
        *,
        readonly: bool = True,
        keep_steps: bool = False,
        inputs_matter: bool = True,
        targets: Sequence[str] = (),
        on_loaded: Callable[[Recipe, Store], None] | None = None,
    ) -> Session:
        """Load, check and expand a recipe; ``keep_steps``: remember validated steps even when read-only.
        Without ``inputs_matter`` it is no error that an input is not there: nothing will run.

        ``on_loaded`` hears of the recipe before it is expanded. Unless ``readonly``, `confirm` must be called.
        Raises RecipeError (all problems at once), UsageError (targets, `--set`) and StateError.
        """
        from f0make.files.content_cache import Contents
        from f0make.gc_pause import gc_pause

        opened = clock_ns()
        from f0make.recipe.load_recipe import load_with_problems
        from f0make.recipe.step_cache import StepCache
        from f0make.recipe.strictyaml_check import Opinions
        from f0make.store.record_store import Store

        workspace = os.path.abspath(options.workspace)
        state_dir.check_owner(workspace, options.trust)
        state = os.path.join(workspace, STATE)
        steps, opinions = StepCache(os.path.join(state, "steps")), Opinions()
        steps.load()
        recipe, faults = load_with_problems(
            recipe_path, workspace, sets=options.set, configs=options.config, cache=steps, opinions=opinions
        )
        objections: list[Problem] = []
        if faults:
            from f0make.expand.faulty_templates import template_problems

            objections = opinions.problems()
            faults += template_problems(recipe, workspace, faults) + objections
        if faults and not recipe.steps:
            raise RecipeError(faults)
        store = Store(workspace, readonly=readonly, recipe=recipe_of(recipe_path, workspace))
        contents = Contents(workspace)
        contents.load(os.path.join(state, "signatures"))
        contents.rehash = options.rehash
        session = cls(workspace, store, contents, options)
        session.opened_ns = opened
        session.recipe = recipe
        if recipe.secrets:
            from f0make.secrets import Secrets

            session.secrets = Secrets(recipe.secrets, workspace, os.environ, create=not readonly)
        session.given_targets = bool(targets)
        session.targets = list(targets) or list(recipe.targets)
        session.warnings += [*recipe.warnings, *store.damage]
        session._opinions = opinions
        session._inputs_matter = inputs_matter
        keep = not readonly or (keep_steps and len(recipe.steps) >= WORTH_KEEPING)
        if keep and not objections:
            session._steps = steps
        try:
            opinions.begin()
            session._load_code()
            if on_loaded is not None and not faults:
                on_loaded(recipe, store)
            with gc_pause():
                session.build(faults=faults)
            if readonly:
                session.confirm()
        except RecipeError as error:
            session.confirm(error.problems)
            raise
        except BaseException:
            session.close()
            raise
        finally:
            if not readonly:
                session._save_code()
        return session

    def confirm(self, problems: Sequence[Problem] = ()) -> None:
        """Wait for strictyaml's word on the recipe, with ``problems`` that are known already.

        To be called before anything runs. Raises RecipeError, and closes the state, when there is any problem.
        """
        if self._opinions is None:
            return
        objections, self._opinions = self._opinions.problems(), None
        if self._steps is not None and not objections:
            with suppress(StateError):
                state_dir.prepare(self.workspace)
                self._steps.save()
        if objections or problems:
            self.store.close()
            raise RecipeError([*problems, *objections])

    @property
    def pending(self) -> dict[str, str]:
        """Steps without instances yet -> the step that they wait for (`after:`)."""
        return self.expansion.pending

    @property
    def notes(self) -> list[str]:
        """What a person should know before anything runs."""
        return self.warnings + self.expansion.warnings

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` as it is in another attempt. Raises TemplateError."""
        return self.expansion.rerender(instance, attempt, cpus)

    def build(self, faults: Sequence[Problem] = ()) -> None:
        """Expand the recipe and connect its instances.

        ``faults`` are problems already found; the steps at fault are missing from the recipe. Raises
        RecipeError with these and every problem of templates, arguments and graph.
        """
        python = self.expand()
        problems = [p for p in self.expansion.problems if not faults or "no step" not in p.message]
        problems += [problem for found in python.values() for problem in found]
        if not faults:
            problems += [problem for _, problem in self.unknown_names(self.expansion.instances)]
        problems += self._missing_inputs(bool(faults), bool(problems))
        problems += self.graph.cycles()
        problems += [problem for _, problem in self.beyond_limits(self.expansion.instances)]
        problems += [problem for _, problem in self.missing_interpreters(self.expansion.instances)]
        if problems or faults:
            told = {(p.where, p.message): p for p in [*problems, *faults]}
            raise RecipeError(list(told.values()))

    def expand(self) -> dict[str, list[Problem]]:
        """Expand the recipe, with the files of `finished` steps there to be listed, and make the graph.

        Returns the problems of python steps, by instance or by pending step.
        """
        from f0make.expand.expansion import expand
        from f0make.expand.watched_facts import WatchedFacts

        facts = WatchedFacts(self.workspace, self.made_by)
        clock = clock_ns()
        self.expansion = expand(
            self.recipe,
            facts,
            targets=self.targets,
            finished=self.finished,
            failed=frozenset(self.failed),
        )
        self._note_listings(facts, clock)
        self.watched_files.update(self.recipe.files, self.expansion.read_files, facts.absent)
        self.asked_in_vain.update(facts.absent)
        problems = self._check_python()
        self._sources = None
        self.passing = self._connect(clock)
        self._keep_targets()
        return problems

    def _connect(self, clock: int) -> Passing:
        """Make the graph, with the dependencies that come by way of links; what was found of those."""
        from f0make.files.existence_cache import Presence
        from f0make.files.link_paths import Passing

        instances = self.expansion.instances
        passing = Passing(self.workspace, Presence(self.workspace))
        try:
            through = passing.through(
                dict.fromkeys([*self._target_files(), *(path for i in instances for path in i.inputs)]),
                (output.path for i in instances for output in i.outputs),
            )
        except OSError as error:
            raise StateError(f"{error.filename}: {error.strerror} (check its permissions)") from None
        self.graph = Graph(instances, through, self.expansion.charge)
        self._note_links(passing.links, clock)
        self.watched_files.update(
            p for p in self._target_files() if not self.graph.is_made(p) and self._exists(p)
        )
        for trail in passing.dangling.values():
            if trail.missing is not None:
                self.watched_files.add(trail.missing)
                self.asked_in_vain.add(trail.missing)
        return passing

    def _missing_inputs(self, faulty: bool, problems: bool) -> list[Problem]:
        """Inputs that nothing makes, but for those that a step left out for its own problems may make."""
        if not self._inputs_matter:
            return []
        try:
            wanted = self.wanted()
        except UsageError as error:
            if faulty or problems:
                return []
            places = dict(zip(self.recipe.targets, self.recipe.targets_where, strict=False))
            at = next((t for t in self.targets if repr(t) in str(error) and t in places), None)
            if self.given_targets or at is None:
                raise
            return [Problem(str(error), places[at], "targets")]
        missing = self.missing(wanted, lambda p: self._perhaps_made(p, faulty, problems), MOST_TOLD)
        found = [m.problem for m in missing]
        if len(found) == MOST_TOLD:
            found[-1] = replace(found[-1], hint=f"there may be more: {MOST_TOLD:,} are told")
        if not faulty and not problems:
            found += self.expansion.missing_later(self.coming())
            found += [problem for _, problem in self.waiting_for_nothing(wanted)]
        from f0make.graph.unmatched_inputs import unmatched

        return unmatched(self.expansion, self.graph, wanted, self.targets, self.given) + found

    def missing(
        self, wanted: set[int], perhaps: Callable[[str], bool] = lambda path: False, most: int | None = None
    ) -> list[MissingInput]:
        """Inputs of ``wanted`` instances that do not exist, that nothing makes, and that are not ``perhaps`` made.

        With ``most`` only the first of them.
        """
        passing = self.passing
        assert passing is not None
        found = self.graph.missing_inputs(wanted, lambda path: passing.there(path) or perhaps(path), most)
        return [
            replace(
                m,
                problem=self._dangling(m, passing.dangling)
                if m.path in passing.dangling
                else self._with_pattern(m),
            )
            for m in found
        ]

    def _dangling(self, missing: MissingInput, dangling: Mapping[str, Trail]) -> Problem:
        """The problem of an input that is a link to nothing."""
        trail = dangling[missing.path]
        link = trail.links[-1]
        by = "" if link == missing.path else f" by the link {link!r}"
        what = "which is not there, and no step makes it" if trail.missing else "in a circle"
        text = missing.problem.message.split(" does not exist")[0]
        return replace(missing.problem, message=f"{text} leads{by} to {trail.text!r}, {what}")

    def _with_pattern(self, missing: MissingInput) -> Problem:
        """The problem of a missing input, with the pattern step that could make it if it had what it needs."""
        return replace(missing.problem, hint=self.expansion.would_need(missing.path) or "")

    def _perhaps_made(self, path: str, faulty: bool, problems: bool) -> bool:
        if not faulty and not problems:
            return False
        without = [s for s in self.recipe.steps if s.name not in self.graph.by_step]
        import re

        from f0make.regex.bounded import Bounded, Unbounded

        patterns = [
            re.sub(TEMPLATE, "\0", decl.text, flags=re.DOTALL) for step in without for decl in step.outputs
        ]
        for pattern in patterns:
            body = ".*".join(re.escape(part) for part in re.sub("\0+", "\0", pattern.rstrip("/")).split("\0"))
            try:
                if Bounded(body + "(/.*)?", re.DOTALL).fullmatch(path):
                    return True
            except Unbounded:
                return True
        return faulty and any(text.count(path) > 1 for text in self.recipe.sources.values())

    def _note_listings(self, facts: WatchedFacts, clock: int) -> None:
        """Take the signature of everything that listings went through, for the no-op snapshot."""
        self.directory_rows, self.link_rows = {}, {}
        self.ends, self.given = facts.ends, facts.dangling
        for path in self.expansion.watched_directories:
            seen = self.contents.signature(path)
            self.directory_rows[path] = (seen, None, seen is not None and is_racy(seen, clock))
        self._note_links(facts.links, clock)

    def _note_links(self, links: Iterable[str], clock: int) -> None:
        for path in links:
            seen, token = self.contents.signature(path), self.contents.own(path)
            self.link_rows.setdefault(path, (seen, token, seen is not None and is_racy(seen, clock)))

    def made_by(self, path: str) -> str | None:
        """The instance of this recipe that made what lies at ``path``.

        None for a file of the user's, and for what another recipe made: here that is a file like any other.
        """
        recipe, instance = self.store.maker(path) or (UNKNOWN, "")
        return instance if recipe == self.store.recipe else None

    def _target_files(self) -> list[str]:
        """The targets that name no step, as paths."""
        return [self.relative(target) for target in self.targets if self.recipe.step(target) is None]

    def _keep_targets(self) -> None:
        """A temp output that is asked for by its path is kept."""
        for path in map(self.relative, self.targets):
            index = self.graph.producer.get(path)
            if index is not None:
                instance = self.graph.instances[index]
                instance.outputs = [replace(o, temp=False) if o.path == path else o for o in instance.outputs]

    def _exists(self, path: str) -> bool:
        try:
            os.lstat(path if path[:1] == "/" else f"{self.workspace}/{path}")
        except (OSError, ValueError):
            return False
        return True

    def _check_python(self) -> dict[str, list[Problem]]:
        """Convert the arguments of python steps and take their code's digest; nothing is imported.

        Returns what is wrong, by instance; of steps that have none yet, what is the same for all they will have.
        """
        instances = [i for i in self.expansion.instances if i.module is not None]
        later = [s for s in self.recipe.steps if s.type == "python" and s.name in self.pending]
        if not instances and not later:
            return {}
        from f0make.code.check_python import check_step

        problems: dict[str, list[Problem]] = {}
        bases = self._code_bases()
        for step in later:
            problems[step.name] = check_step(bases.of_step(step), step)[2]
        for instance in instances:
            base = bases.of(instance)
            self._rendered_args[instance.name] = instance.args
            typed, facts, problems[instance.name] = check_step(base, instance)
            instance.args = typed
            self.code[instance.name] = facts
            known = base.shape(instance.module or "")
            for key in known[1].definitions.get(instance.function or "", {}).get("sets", ()) if known else ():
                self.setters.setdefault(key, set()).add(instance.name)
            self.watched_files.update(facts.files, facts.watched_missing)
        return problems

    def _code_bases(self) -> CodeBases:
        from f0make.code.code_bases import CodeBases

        return CodeBases(self.workspace, os.environ, self._code_cache)

    def code_of(self, instance: Instance) -> CodeFacts | None:
        """What the python code of ``instance`` comes to now, read anew when a file of it has changed.

        None for a step without code. Raises RecipeError for code that is wrong now.
        """
        facts = self.code.get(instance.name)
        if facts is None or facts.changed() is None:
            return facts
        facts, problems = self._read_code(instance)
        if problems:
            raise RecipeError(problems)
        self.code[instance.name] = facts
        self.watched_files.update(facts.files, facts.watched_missing)
        return facts

    def _read_code(self, instance: Instance) -> tuple[CodeFacts, list[Problem]]:
        base = self._code_bases().of(instance)
        args = self._rendered_args.get(instance.name)
        if args is None:
            facts = base.facts(instance.module or "", instance.function or "")
            return facts, facts.problems
        from f0make.code.check_python import check_step

        typed, facts, problems = check_step(base, replace(instance, args=args))
        if not problems:
            instance.args = typed
        return facts, problems

    def missing_interpreters(self, instances: Sequence[Instance]) -> list[tuple[str, Problem]]:
        """(instance, problem) of each `python` that names what is not there and what no step makes. On other machines that is another question."""
        declared = [i for i in instances if i.python and i.module is not None]
        if not declared or self.options.hosts or self.options.host or self.options.backend != "local":
            return []
        bases = self._code_bases()
        return [
            (
                instance.name,
                Problem(
                    f"no interpreter is at {instance.python!r}",
                    instance.step.where("python"),
                    f"{instance.step.name}.python",
                ),
            )
            for instance in declared
            if not os.access(path := bases.interpreter(instance).path, os.X_OK)
            and self.graph.producer_of(self.relative(path)) is None
        ]

    def unknown_names(self, instances: Sequence[Instance]) -> list[tuple[str, Problem]]:
        """(instance, problem) of each `depends_on` that a template rendered to something that is no step."""
        steps = {step.name for step in self.recipe.steps}
        return [
            (
                i.name,
                Problem(
                    f"no step is called {name!r}", i.step.where("depends_on"), f"{i.step.name}.depends_on"
                ),
            )
            for i in instances
            for name in i.depends_on
            if name not in steps
        ]

    def waiting_for_nothing(self, wanted: set[int]) -> list[tuple[str, Problem]]:
        """(instance, problem) of each `depends_on` of ``wanted`` instances that names a pattern step without instances."""
        if self.pending:
            return []  # What appears may ask for some.
        return [
            (
                i.name,
                Problem(
                    f"{name} is a pattern step, and nothing asks for an instance of it, so this would wait for nothing",
                    i.step.where("depends_on"),
                    f"{i.step.name}.depends_on",
                    f"name the file that is needed in inputs, or ask for instances by `steps.{name}(…).outputs`",
                ),
            )
            for i in (self.graph.instances[n] for n in sorted(wanted) if n < len(self.graph.instances))
            for name in i.depends_on
            if not self.graph.by_step.get(name) and self.expansion.is_pattern(name)
        ]

    def beyond_limits(self, instances: Sequence[Instance]) -> list[tuple[str, Problem]]:
        """(instance, problem) of each request beyond `--resource`; of pending steps what stands in them as it is."""
        limits = self.options.resource
        if not limits:
            return []
        asks = [(i.name, i.step, i.resources) for i in instances]
        asks += [
            (s.name, s, {n: v for n, v in s.resources.items() if not isinstance(v, str)})
            for s in self.recipe.steps
            if s.name in self.pending
        ]
        return [
            (
                who,
                Problem(
                    f"asks for {name}={asked:g}, more than the limit {limits[name]:g}",
                    step.where(f"resources.{name}"),
                    f"{step.name}.resources.{name}",
                    f"lower it or raise --resource {name}=",
                ),
            )
            for who, step, resources in asks
            for name, asked in resources.items()
            if name in limits and asked > limits[name]
        ]

    def resolve(self, target: str) -> list[int]:
        """Indexes of the instances that ``target`` stands for (see `graph.selection`).

        A file that exists and that no step makes stands for none. Raises UsageError for anything else.
        """
        if target in self.graph.by_name:
            return [self.graph.by_name[target]]
        if target in self.graph.by_step:
            return list(self.graph.by_step[target])
        from f0make.graph.selection import names_step, select

        path = self.relative(target)
        found = select(target, path, self.graph)
        if found is None and path in self.graph.through:
            found = sorted(self.graph.makers_through(path))
        if found:
            return found
        if self.passing is not None and path in self.passing.dangling:
            text = self.passing.dangling[path].text
            raise UsageError(f"target {target!r} leads to {text!r}, which is not there, and no step makes it")
        if self.recipe.step(target) is not None and self.expansion.is_pattern(target):
            raise UsageError(
                f"target {target!r} is a pattern step, and nothing asks for an instance of it: name an instance or a file"
            )
        if self.recipe.step(target) is not None or self._exists(path) or self._may_come(target, path):
            return []
        unmet = self.expansion.would_need(path)
        if unmet is not None:
            raise UsageError(f"target {target!r}: {unmet}")
        if names_step(target, self.graph.by_step) and "[" in target:
            step = target.partition("[")[0]
            raise UsageError(
                f"target {target!r}: {step} has no such instance; see `f0make list {self.recipe.path}`"
            )
        raise UsageError(
            f"target {target!r} is no step, no instance and no file that a step makes{self._near(target)}"
        )

    def _near(self, word: str) -> str:
        from f0make.suggest import nearest

        known = [*self.graph.by_name, *(s.name for s in self.recipe.steps), *self.graph.producer]
        near = nearest(word, known)
        return f"; did you mean {near!r}?" if near else f"; see `f0make list {self.recipe.path}`"

    def selected(self, option: str, words: Sequence[str]) -> set[int]:
        """Indexes of the instances that the ``words`` of ``option`` (`--only`, `--skip`) stand for.

        Raises UsageError for a word that stands for none.
        """
        if not words:
            return set()
        from f0make.graph.selection import names_step, select

        chosen: set[int] = set()
        for word in words:
            found = select(word, self.relative(word), self.graph)
            if (
                found is None
                and self.recipe.step(word) is None
                and not (self.pending and names_step(word, self.pending))
            ):
                text = f"{option} {word}: no step, instance or output has this name{self._near(word)}"
                lose(self, word, UsageError(text))
            chosen.update(found or ())
        return chosen

    def relative(self, path: str) -> str:
        """``path`` as the graph names it: relative to the workspace where it lies inside, normalised."""
        absolute = os.path.normpath(os.path.join(self.workspace, path))
        inside = self.workspace.rstrip("/") + "/"
        return absolute[len(inside) :] if absolute.startswith(inside) else absolute

    def wanted(self) -> set[int]:
        """Every node that the targets need (all instances when there are no targets)."""
        if not self.targets:
            return set(range(len(self.graph.needs)))
        roots: list[int] = []
        for target in self.targets:
            roots += self.found(target)
        for step in self.coming():
            roots += self.graph.by_step.get(root_of(self.pending, step), ())
        return self.graph.closure(roots)

    def hash_large_together(
        self, jobs: int, tell: Callable[[str], None], stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Let the first large file that must be read bring all others with it (see `files.prehash`)."""

        def paths() -> Iterator[str]:
            for instance in self.instances(sorted(self.wanted())):
                yield from instance.inputs
                yield from (output.path for output in instance.outputs)

        def hook(first: str) -> None:
            from f0make.files.prehash import Prehash

            Prehash(self.contents, paths, jobs, tell, stopped)(first)

        self.contents.before_large = hook

    def found(self, word: str) -> list[int]:
        """As `resolve`; what was to come when the graph grew, and has not, goes to `failed`."""
        try:
            return self.resolve(word)
        except UsageError as error:
            lose(self, word, error)
            return []

    def coming(self) -> list[str]:
        """The pending steps that the targets may need (all of them when there are no targets), in order."""
        if not self.pending or not self.targets:
            return list(self.pending)
        if any(
            self.recipe.step(target) is None and self._may_come(target, self.relative(target))
            for target in self.targets
        ):
            return list(self.pending)
        found = {target for target in self.targets if target in self.pending}
        roots = {root_of(self.pending, step) for step in found}
        # What a target needs may be anything that waits for the same step.
        return [step for step in self.pending if step in found or root_of(self.pending, step) in roots]

    def _may_come(self, target: str, path: str) -> bool:
        """Whether ``target``, as a file ``path``, may be an instance or a file that appears when the graph grows."""
        if not self.pending:
            return False
        from f0make.graph.selection import names_step

        return names_step(target, self.pending) or self.expansion.may_come(path)

    def is_source(self, path: str) -> bool:
        """Whether the recipe was made from ``path``, or reads it and makes it not: it is the user's, whatever the log says."""
        if self.graph.producer_of(path) is not None:
            return False
        if self._sources is None:
            self._sources = {self.relative(file) for file in (*self.watched_files, *self.recipe.files)}
            self._sources.update(path for instance in self.graph.instances for path in instance.inputs)
        return path in self._sources

    def instances(self, indexes: Sequence[int]) -> list[Instance]:
        """The instances among ``indexes`` (barriers left out)."""
        return [self.graph.instances[i] for i in indexes if i < len(self.graph.instances)]

    def _code_file(self) -> str:
        return os.path.join(self.workspace, STATE, "code")

    def _load_code(self) -> None:
        data = sealed_files.read(self._code_file())
        loaded = sealed_files.unseal(CODE_MAGIC, data) if data else None
        if isinstance(loaded, dict):
            self._code_cache = loaded

    def _save_code(self) -> None:
        if self._code_cache and sealed_files.possible():
            sealed_files.write_atomic(self._code_file(), sealed_files.seal(CODE_MAGIC, self._code_cache))

    def close(self) -> None:
        """Let go of the state."""
        if self._opinions is not None:
            self._opinions.drop()
        self.store.close()
