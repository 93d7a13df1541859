"""What a run works on: the protocol that an opened recipe and the part of one that changes reach both fulfil.

The engine, the run's driver and the executor know nothing else of what they run. For type checkers only: no run imports this.
"""

from __future__ import annotations

from f0make.fast_dataclass import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from f0make.cache.blobs import Blobs
    from f0make.files.content_cache import Contents
    from f0make.graph.build_graph import Graph
    from f0make.model import Instance, Output
    from f0make.run_records import RunResults, Selection, Settled
    from f0make.secrets import Secrets
    from f0make.store.record_store import Store
    from f0make.workspace.workspace_files import Workspace


class StepCode(Protocol):
    """The code of a python step."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex)."""
        ...

    @property
    def sources(self) -> dict[str, bytes]:
        """Path -> bytes of the file."""
        ...

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files read."""
        ...

    @property
    def watched_missing(self) -> list[str]:
        """Absolute paths in the workspace that do not exist and would change the answer if they did."""
        ...

    def changed(self, own: Collection[str] = ()) -> str | None:
        """The path of a file of it that has changed since it was read; ``own``: absolute paths of the step's outputs."""
        ...


class GrowingGraph(Protocol):
    """A graph that gets more instances while a run goes on: steps wait for the files of others (`after:`)."""

    @property
    def pending(self) -> Mapping[str, str]:
        """Steps without instances yet -> the step that they wait for."""
        ...

    @property
    def faults(self) -> Mapping[str, str]:
        """Instances that have appeared and cannot run -> why; empty: something that they need cannot."""
        ...

    @property
    def failed(self) -> Mapping[str, str]:
        """Steps, and targets, that cannot come to instances -> why."""
        ...

    def coming(self) -> list[str]:
        """The pending steps that the request may need."""
        ...

    def root_of(self, step: str) -> str:
        """The step that the pending ``step`` waits for in the end, which waits for none itself."""
        ...

    def is_step(self, word: str) -> bool:
        """Whether ``word`` is the name of a step."""
        ...

    def may_be_read(self, output: Output, maker: str) -> bool:
        """Whether instances that do not exist yet may need ``output`` of the step ``maker``."""
        ...

    def finished_steps(self, done: Callable[[int], bool]) -> frozenset[str]:
        """The steps that others wait for and whose instances are all ``done`` now."""
        ...

    def grow(self, finished: frozenset[str]) -> None:
        """Add what the files of ``finished`` steps give: `Workset.graph` is another one after it."""
        ...


class Workset(Protocol):
    """Instances to bring up to date, with the state of their workspace."""

    workspace: str
    """Absolute path."""
    store: Store
    contents: Contents

    @property
    def graph(self) -> Graph:
        """The instances and who needs whom."""
        ...

    @property
    def complete(self) -> bool:
        """Whether every instance of the recipe is in the graph: then what is not there is gone."""
        ...

    @property
    def growing(self) -> GrowingGraph | None:
        """What can make the graph larger; None: it is as large as it gets."""
        ...

    @property
    def settled(self) -> Settled:
        """What is not in the graph, and counts all the same."""
        ...

    @property
    def notes(self) -> list[str]:
        """What a person should know before anything runs."""
        ...

    @property
    def test_meta(self) -> Mapping[str, str]:
        """The recipe's `test_meta`."""
        ...

    @property
    def secrets(self) -> Secrets | None:
        """What the recipe's `secrets` are, if it has any."""
        ...

    @property
    def code(self) -> Mapping[str, StepCode]:
        """Instance -> the code of its python step."""
        ...

    @property
    def setters(self) -> Mapping[str, AbstractSet[str]]:
        """Context key -> instances whose code sets it by a literal name."""
        ...

    def confirm(self) -> None:
        """Wait for the last word on the recipe. Raises RecipeError."""
        ...

    def select(self) -> Selection:
        """The nodes that the request asks for, leaves out and forces. Raises UsageError for unknown words."""
        ...

    def is_source(self, path: str) -> bool:
        """Whether the instances are made from ``path``, or read it and do not make it: it is the user's."""
        ...

    def code_of(self, instance: Instance) -> StepCode | None:
        """What the code of ``instance`` comes to now; None for a step without code. Raises RecipeError."""
        ...

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` as it is in another attempt, with ``cpus`` granted. Raises TemplateError and RecipeError."""
        ...

    def restore_missing(
        self, place: Workspace, blobs: Blobs | None, going_on: Callable[[], bool]
    ) -> dict[str, str]:
        """Put back outputs that are only gone, where that takes no decision; instance -> reason.

        What cannot be put back is in `graph` from then on, to be decided. Raises StateError.
        """
        ...

    def save_snapshot(self, results: RunResults, recipe_path: str, targets: Sequence[str]) -> bool:
        """Write down what makes the next run short; False when that is not sure. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of the state."""
        ...
