"""The decision for one instance: current, restore or run, and why. Pure: every fact is an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from f0make.fast_dataclass import dataclass, field
from f0make.model import Instance, Output
from f0make.plan.key import Parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


Record: TypeAlias = "Mapping[str, Any]"

SHOWN = 200
"""Characters of an old or new value that an explanation shows."""


@dataclass(slots=True)
class Change:
    """One part of a key that differs from the last successful run of the instance."""

    part: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.part}: {self.old} -> {self.new}"


@dataclass(slots=True)
class Planned:
    """What a run would do with one instance, and why."""

    instance: Instance
    status: str
    """``run``, ``restore``, ``current`` or ``skip``."""
    reason: str
    changes: list[Change] = field(default_factory=list)
    protected: str = ""
    """A protected output that would be replaced: a run refuses to. With ``certain`` before anything starts."""
    certain: bool = True
    """It will be so whatever the steps before it make."""

    @property
    def why(self) -> str:
        """The reason, and what stands against it."""
        if not self.protected:
            return self.reason
        stops = "a run stops there" if self.certain else "a run stops there if it must be replaced"
        return f"{self.reason}; output {self.protected} is protected: {stops} (--force {self.instance.name})"


ABSENT = "-"
"""In a record's `discovered`: nothing was there."""
SETTLES = "settles"
"""In a record: it comes from a run made because several records of its key fitted and differed."""


def matching(
    records: Sequence[Record],
    token_of: Callable[[str], str | None],
    value_of: Callable[[str], tuple[bool, Any]],
) -> tuple[Record | None, bool]:
    """The newest of ``records`` (all of one key, newest first) whose discoveries still hold, and whether that is disputed.

    It is disputed when several hold and differ in what they made: then none counts, and the instance must run. The
    record of that run settles it: it counts against all older ones. ``token_of`` gives the present token of a path
    that was discovered, ``value_of`` whether the context holds a key, and its value.
    """
    tokens: dict[str, str | None] = {}

    def is_as(path: str, token: str) -> bool:
        if path not in tokens:
            tokens[path] = token_of(path)
        return tokens[path] == (None if token == ABSENT else token)

    def holds(record: Record) -> bool:
        return (
            all(is_as(path, token) for path, token in record.get("discovered", {}).items())
            and all(value_of(key) == (True, value) for key, value in record.get("reads", {}).items())
            and not any(value_of(key)[0] for key in record.get("missing_reads", ()))
        )

    first: Record | None = None
    settled: list[Record] = []
    for record in records:
        if first is not None and _same_result(first, record):
            continue
        if holds(record) and not any(_overrules(other, record, is_as) for other in settled):
            if first is not None:
                return None, True
            first = record
            if record.get(SETTLES):
                break
        if record.get(SETTLES):
            settled.append(record)
    return first, False


def _same_result(one: Record, other: Record) -> bool:
    return one["outputs"] == other["outputs"] and _writes(one) == _writes(other)


def _writes(record: Record) -> list[tuple[Any, Any]]:
    return [(write["key"], write["value"]) for write in record.get("writes", ())]


def _overrules(settling: Record, older: Record, is_as: Callable[[str, str], bool]) -> bool:
    """Whether ``older`` lost against ``settling``, and something that it knows nothing of and that one read is there."""
    known = older.get("discovered", {})
    return not _same_result(settling, older) and any(
        token != ABSENT and path not in known and not is_as(path, ABSENT)
        for path, token in settling.get("discovered", {}).items()
    )


def out_of_place(
    record: Record, outputs: Sequence[Output], token_of: Callable[[str], str | None]
) -> list[Output]:
    """Outputs on disk that are not as ``record`` says. A temp output may be gone."""
    tokens = record["outputs"]
    found = []
    for output in outputs:
        present = token_of(output.path)
        if present != tokens[output.path] and not (present is None and output.temp):
            found.append(output)
    return found


def shorten(value: Any) -> str:
    """A value as an explanation shows it: text plain, everything else as JSON, cut at `SHOWN` characters."""
    import json

    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def differences(
    record: Record | None,
    parts: Parts,
    inputs: Mapping[str, str | None],
    discovered: Mapping[str, str | None],
) -> list[Change]:
    """Each part of the key that differs between ``record`` and now; empty without a record."""
    if record is None:
        return []
    changes = []
    old_parts: Parts = record.get("parts", {})
    for part in sorted({*old_parts, *parts}):
        old, new = old_parts.get(part), parts.get(part)
        if old == new:
            continue
        if part == "command" and isinstance(old, str) and isinstance(new, str):
            changes += _lines("command", old, new)
        else:
            changes.append(Change(part, _said(part in old_parts, old), _said(part in parts, new)))
    for label, before, now in (
        ("input", record.get("inputs", {}), inputs),
        ("discovered input", record.get("discovered", {}), discovered),
    ):
        for path in sorted({*before, *now}):
            old, new = (None if at.get(path) == ABSENT else at.get(path) for at in (before, now))
            if old != new:
                changes.append(
                    Change(
                        f"{label} {path}",
                        _content(path in before, old),
                        _content(path in now, new),
                    )
                )
    return changes


def _said(there: bool, value: Any) -> str:
    return shorten(value) if there else "(absent)"


def _content(there: bool, token: str | None) -> str:
    if not there:
        return "(no input)"
    return (
        "(missing)"
        if token is None or token == "-"
        else token
        if len(token) < 20
        else token[:12] + token[64:]
    )


def _lines(part: str, old: str, new: str) -> list[Change]:
    """A change of a text of several lines, narrowed to the first line that differs."""
    before, after = old.splitlines() or [""], new.splitlines() or [""]
    if len(before) == len(after) == 1:
        return [Change(part, shorten(old), shorten(new))]
    for number, (left, right) in enumerate(zip(before, after, strict=False), 1):
        if left != right:
            return [Change(f"{part} line {number}", shorten(left), shorten(right))]
    number = min(len(before), len(after)) + 1
    longer = before if len(before) > len(after) else after
    extra = shorten(longer[number - 1]) if len(longer) >= number else "(line end)"
    pair = (extra, "(absent)") if longer is before else ("(absent)", extra)
    return [Change(f"{part} line {number}", *pair)]


def reason_to_run(record: Record | None, changes: Sequence[Change]) -> str:
    """One line that says why an instance runs, from its last record and what changed since."""
    if record is None:
        return "never run"
    if not changes:
        return "its result is not recorded any more"
    first = changes[0]
    more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
    return f"{first.part} changed{more}"
