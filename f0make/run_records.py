"""What a workset tells of itself before a run, and what it is told after one: plain data (see `workset`)."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet

    from f0make.plan.decide import Record


@dataclass(slots=True)
class Selection:
    """Nodes of a graph by what the request says of them."""

    wanted: set[int]
    """What it asks for, with everything that this needs."""
    left_out: AbstractSet[int] = frozenset()
    """`--skip`."""
    forced: AbstractSet[int] = frozenset()
    """`--force`."""


@dataclass(slots=True)
class Settled:
    """Instances of the request that are not in the graph because they need no decision: nothing changed for them."""

    current: int = 0
    skipped: int = 0
    restorable: int = 0
    """Those that only have to get outputs back (see `Workset.restore_missing`)."""
    saved_seconds: float = 0.0
    """What the last runs of those that are current or skipped took."""
    saved_energy: float = 0.0
    """kWh."""
    lines: Callable[[], list[str]] = list
    """Gives the events of those that are current or skipped, as JSON."""
    states: Callable[[], dict[str, str]] = dict
    """Gives name -> state of all of them."""

    @property
    def count(self) -> int:
        """How many are current or skipped."""
        return self.current + self.skipped


@dataclass(slots=True)
class RunResults:
    """What a run that ended well has found out, as far as the next one can use it."""

    wanted: Collection[int]
    """Nodes of the graph, barriers included."""
    skipped: Mapping[int, str]
    """Instance -> why it was."""
    changed: Collection[str]
    """Names of the instances that are not current."""
    record: Callable[[int], Record | None]
    """The record that the result of an instance stands by; None when it has just run."""
    discovered: Mapping[str, Collection[str]]
    """Name of an instance that ran -> the files that it discovered."""
    uses_context: bool
    """Steps have set keys of the context, or missed some."""
