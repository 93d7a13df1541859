"""A recipe, opened whole: its graph, and the state of its workspace. Opened read-only it changes nothing on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from f0make import STATE
from f0make.errors import Problem, RecipeError, StateError
from f0make.model import Instance, Recipe
from f0make.options import RunOptions
from f0make.recipe.confirmation import Confirmation
from f0make.recipe_graph.graph_inputs import GraphInputs
from f0make.recipe_graph.recipe_graph import RecipeGraph
from f0make.run_records import RunResults, Selection, Settled
from f0make.store import state_dir
from f0make.store.instance_identity import recipe_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from f0make.cache.blobs import Blobs
    from f0make.code.code_digest import CodeFacts
    from f0make.expand.expansion import Expansion
    from f0make.files.content_cache import Contents
    from f0make.graph.build_graph import Graph
    from f0make.recipe.step_cache import StepCache
    from f0make.secrets import Secrets
    from f0make.store.record_store import Store
    from f0make.workspace.workspace_files import Workspace

WORTH_KEEPING = 500
"""Steps from which `validate`, which otherwise writes nothing, remembers what it validated."""


class Session:
    """The `Workset` of a whole recipe. Made by `open`."""

    complete = True
    settled = Settled()

    def __init__(
        self,
        recipe_graph: RecipeGraph,
        store: Store,
        contents: Contents,
        options: RunOptions,
        confirmation: Confirmation,
        secrets: Secrets | None,
    ) -> None:
        self.growing = recipe_graph
        self.workspace = recipe_graph.workspace
        self.recipe = recipe_graph.recipe
        self.store = store
        self.contents = contents
        self.options = options
        self.secrets = secrets
        self.warnings = [*self.recipe.warnings, *store.damage]
        self._confirmation = confirmation

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
        from f0make.recipe.load_recipe import load_with_problems
        from f0make.recipe.step_cache import StepCache
        from f0make.recipe.strictyaml_check import Opinions
        from f0make.store.record_store import Store

        workspace = os.path.abspath(options.workspace)
        state_dir.check_owner(workspace, options.trust)
        state = os.path.join(workspace, STATE)
        contents = Contents(workspace)
        inputs = GraphInputs(contents, recipe_path)
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
        contents.load(os.path.join(state, "signatures"))
        contents.rehash = options.rehash
        secrets = None
        if recipe.secrets:
            from f0make.secrets import Secrets

            secrets = Secrets(recipe.secrets, workspace, os.environ, create=not readonly)
        keep = not readonly or (keep_steps and len(recipe.steps) >= WORTH_KEEPING)
        confirmation = Confirmation(opinions, _keeper(workspace, steps if keep and not objections else None))
        recipe_graph = RecipeGraph(recipe, store, contents, inputs, options, targets, inputs_matter)
        session = cls(recipe_graph, store, contents, options, confirmation, secrets)
        session._build(faults, readonly, on_loaded)
        return session

    def _build(
        self, faults: list[Problem], readonly: bool, on_loaded: Callable[[Recipe, Store], None] | None
    ) -> None:
        """Make the graph. Raises RecipeError, and whatever ends it closes the state."""
        from f0make.gc_pause import gc_pause

        python = self.growing.python
        try:
            self._confirmation.begin()
            python.load()
            if on_loaded is not None and not faults:
                on_loaded(self.recipe, self.store)
            with gc_pause():
                self.growing.build(faults=faults)
            if readonly:
                self.confirm()
        except RecipeError as error:
            self.confirm(error.problems)
            raise
        except BaseException:
            self.close()
            raise
        finally:
            if not readonly:
                python.save()

    def confirm(self, problems: Sequence[Problem] = ()) -> None:
        """Wait for strictyaml's word on the recipe, with ``problems`` that are known already.

        To be called before anything runs. Raises RecipeError, and closes the state, when there is any problem.
        """
        try:
            self._confirmation.wait(problems)
        except RecipeError:
            self.store.close()
            raise

    # -- the graph ---------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The graph as it is now."""
        return self.growing.layout.graph

    @property
    def expansion(self) -> Expansion:
        """What the recipe's steps come to."""
        return self.growing.layout.expansion

    @property
    def pending(self) -> dict[str, str]:
        """Steps without instances yet -> the step that they wait for (`after:`)."""
        return self.growing.pending

    @property
    def notes(self) -> list[str]:
        """What a person should know before anything runs."""
        return self.warnings + self.expansion.warnings

    @property
    def test_meta(self) -> dict[str, str]:
        """The recipe's `test_meta`."""
        return self.recipe.test_meta

    def select(self) -> Selection:
        """The nodes that targets, `--only`, `--skip` and `--force` stand for. Raises UsageError for unknown words."""
        names, options = self.growing.names, self.options
        wanted = self.wanted()
        if options.only:
            wanted &= names.selected("--only", options.only)
        forced = {node for word in options.force for node in names.found(word)}
        return Selection(wanted, names.selected("--skip", options.skip), forced)

    def wanted(self) -> set[int]:
        """Every node that the targets need (all nodes when there are no targets)."""
        return self.growing.wanted()

    def resolve(self, target: str) -> list[int]:
        """Indexes of the instances that ``target`` stands for. Raises UsageError for a word without a meaning."""
        return self.growing.names.resolve(target)

    def instances(self, indexes: Sequence[int]) -> list[Instance]:
        """The instances among ``indexes`` (barriers left out)."""
        return [self.graph.instances[i] for i in indexes if i < len(self.graph.instances)]

    def is_source(self, path: str) -> bool:
        """Whether the recipe was made from ``path``, or reads it and makes it not: it is the user's, whatever the log says."""
        return self.growing.is_source(path)

    # -- instances ---------------------------------------------------------------------------------------

    @property
    def code(self) -> Mapping[str, CodeFacts]:
        """Instance -> what its python code comes to."""
        return self.growing.python.code

    @property
    def setters(self) -> Mapping[str, set[str]]:
        """Context key -> instances whose code sets it by a literal name."""
        return self.growing.python.setters

    def code_of(self, instance: Instance) -> CodeFacts | None:
        """What the python code of ``instance`` comes to now, read anew when a file of it has changed.

        None for a step without code. Raises RecipeError for code that is wrong now.
        """
        return self.growing.python.code_of(instance)

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` as it is in another attempt. Raises TemplateError."""
        return self.expansion.rerender(instance, attempt, cpus)

    # -- the ends of a run -------------------------------------------------------------------------------

    def restore_missing(
        self, place: Workspace, blobs: Blobs | None, going_on: Callable[[], bool]
    ) -> dict[str, str]:
        """Nothing comes back undecided: everything is decided."""
        return {}

    def save_snapshot(self, results: RunResults, recipe_path: str, targets: Sequence[str]) -> bool:
        """Write what the next run can begin from; False when it cannot be vouched for. Raises OSError."""
        from f0make.incremental.save_snapshot import save

        inputs = self.growing.inputs
        return save(self, self.recipe, inputs, results, self.options, recipe_path, targets) is None

    def close(self) -> None:
        """Let go of the state."""
        self._confirmation.drop()
        self.store.close()


def _keeper(workspace: str, steps: StepCache | None) -> Callable[[], None]:
    """A function that keeps the validated ``steps`` for the next run."""

    def keep() -> None:
        if steps is not None:
            with suppress(StateError):
                state_dir.prepare(workspace)
                steps.save()

    return keep
