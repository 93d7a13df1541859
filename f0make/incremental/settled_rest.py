"""What is told of the instances of a request that need no deciding: they are as their last run left them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from f0make.run_records import Settled
from f0make.store.snapshot import events_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.incremental.packed_graph import Compiled


def settled_rest(compiled: Compiled, numbers: Iterable[int], restorable: Collection[int]) -> Settled:
    """All but the ``numbers`` of instances that are decided; those that are ``restorable`` only get outputs back."""
    decided, back = frozenset(numbers), frozenset(restorable)
    without = decided | back
    skipped = set(compiled.index["skipped"])
    counts = compiled.kept["counts"]
    seconds, energy = compiled.kept["saved"]
    spared = [compiled.spared(n) for n in decided]
    return Settled(
        current=counts["current"] - len(without - skipped),
        skipped=counts["skipped"] - len(without & skipped),
        restorable=len(back),
        saved_seconds=seconds - sum(s for s, _ in spared),
        saved_energy=energy - sum(e for _, e in spared),
        lines=lambda: _lines(compiled, decided, back),
        states=lambda: _states(compiled, decided, back),
    )


def _lines(compiled: Compiled, decided: frozenset[int], back: frozenset[int]) -> list[str]:
    """The events of those that are as they were, as JSON."""
    try:
        text = events_of(compiled.kept, compiled.workspace)
    except OSError:
        text = None
    if text is None:  # damaged: what they say can be said from the names
        from json import dumps

        return [
            dumps({"event": "step", "step": name, "status": state, "reason": "", "seconds": 0})
            for name, state in _states(compiled, decided, back).items()
            if state != "restored"
        ]
    lines = text.split("\n") if text else []
    if not decided and not back:
        return lines
    return [line for n, line in enumerate(lines) if n not in decided and n not in back]


def _states(compiled: Compiled, decided: frozenset[int], back: frozenset[int]) -> dict[str, str]:
    """Instance -> what it is."""
    names = compiled.names
    found = dict.fromkeys(names, "current")
    for number in compiled.index["skipped"]:
        found[names[number]] = "skipped"
    for number in back:
        found[names[number]] = "restored"
    for number in decided:
        del found[names[number]]
    return found
