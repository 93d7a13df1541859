"""Rendered instances as bytes, one by one, and back. Pure.

A row holds only what is not the same in all instances of its step.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from operator import attrgetter

from f0make.model import Instance, Output, Step, Success

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


_ALONE = 2
"""The version of marshal that looks for nothing that is shared: small values are written and read faster so."""
_FIELDS = tuple(name for name in Instance.__slots__ if name not in ("step", "outputs"))
_columns = tuple(map(attrgetter, _FIELDS))
_output = attrgetter("path", "directory", "temp", "protected")

StepRow: TypeAlias = "tuple[str, str, str, Any, list[str], tuple[Any, ...], tuple[int, ...]]"
"""name, file, type, idx, success.ctx_has_keys, the values of its first instance, and which of them the rows replace."""


def pack(instances: Sequence[Instance]) -> tuple[list[StepRow], list[bytes]]:
    """(steps, rows) of ``instances``. Raises ValueError when one holds what is no plain data."""
    groups: dict[str, list[int]] = {}
    for number, instance in enumerate(instances):
        groups.setdefault(instance.step.name, []).append(number)
    steps: list[StepRow] = []
    rows = [b""] * len(instances)
    for numbers in groups.values():
        found = instances if len(numbers) == len(instances) else [instances[n] for n in numbers]
        # Column by column, because comparing what is the same object costs next to nothing there.
        columns: list[list[Any]] = [list(map(column, found)) for column in _columns]
        columns.append([list(map(_output, instance.outputs)) for instance in found])
        own = tuple(at for at, values in enumerate(columns) if values.count(values[0]) != len(values))
        step = found[0].step
        shared = tuple(values[0] for values in columns)
        row = (step.name, step.file, step.type, step.idx, list(step.success.ctx_has_keys), shared, own)
        marshal.dumps(row, _ALONE)
        if own:
            packed = [
                marshal.dumps((len(steps), v), _ALONE) for v in zip(*(columns[at] for at in own), strict=True)
            ]
        else:
            packed = [marshal.dumps((len(steps), ()), _ALONE)] * len(found)
        for number, data in zip(numbers, packed, strict=True):
            rows[number] = data
        steps.append(row)
    return steps, rows


class Unpacker:
    """Makes instances of rows."""

    def __init__(self, steps: list[StepRow]) -> None:
        self._rows = steps
        self._steps: dict[int, Step] = {}

    def unpack(self, row: bytes | memoryview) -> Instance:
        """The instance; of its step it knows what a run asks for."""
        number, own = marshal.loads(row)
        *_, shared, places = self._rows[number]
        values = list(shared)
        for at, value in zip(places, own, strict=True):
            values[at] = value
        outputs = [Output(*given) for given in values.pop()]
        return Instance(step=self._step(number), outputs=outputs, **dict(zip(_FIELDS, values, strict=True)))

    def _step(self, number: int) -> Step:
        step = self._steps.get(number)
        if step is None:
            name, file, kind, idx, keys, *_ = self._rows[number]
            step = Step(name=name, file=file, marks={}, type=kind, idx=idx, success=Success(keys))
            self._steps[number] = step
        return step
