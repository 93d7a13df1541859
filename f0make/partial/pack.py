"""Rendered instances as bytes, one by one, and back. Pure.

A row holds only what differs from the first instance of its step.
"""

from __future__ import annotations

import marshal
from operator import attrgetter

from f0make.files.atomic import MARSHAL_VERSION
from f0make.model import Instance, Output, Step, Success

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


_FIELDS = tuple(name for name in Instance.__slots__ if name not in ("step", "outputs"))
_values = attrgetter(*_FIELDS)
_output = attrgetter("path", "directory", "temp", "protected")

StepRow: TypeAlias = "tuple[str, str, str, Any, list[str], tuple[Any, ...]]"
"""name, file, type, idx, success.ctx_has_keys, the values that its instances share."""


class Packer:
    """Packs instances; their steps gather in ``steps``."""

    def __init__(self) -> None:
        self.steps: list[StepRow] = []
        self._known: dict[str, tuple[int, tuple[Any, ...]]] = {}

    def pack(self, instance: Instance) -> bytes:
        """The row of ``instance``. Raises ValueError when it holds what is no plain data."""
        values = (*_values(instance), list(map(_output, instance.outputs)))
        step = instance.step
        known = self._known.get(step.name)
        if known is None:
            known = self._known[step.name] = (len(self.steps), values)
            self.steps.append(
                (step.name, step.file, step.type, step.idx, list(step.success.ctx_has_keys), values)
            )
        number, shared = known
        own = {
            at: value
            for at, (value, other) in enumerate(zip(values, shared, strict=True))
            if value is not other and value != other
        }
        return marshal.dumps((number, own), MARSHAL_VERSION)


class Unpacker:
    """Makes instances of rows."""

    def __init__(self, steps: list[StepRow]) -> None:
        self._rows = steps
        self._steps: dict[int, Step] = {}

    def unpack(self, row: bytes | memoryview) -> Instance:
        """The instance; of its step it knows what a run asks for."""
        number, own = marshal.loads(row)
        shared = self._rows[number][5]
        values = list(shared)
        for at, value in own.items():
            values[at] = value
        outputs = [Output(*given) for given in values.pop()]
        return Instance(step=self._step(number), outputs=outputs, **dict(zip(_FIELDS, values, strict=True)))

    def _step(self, number: int) -> Step:
        step = self._steps.get(number)
        if step is None:
            name, file, kind, idx, keys, _ = self._rows[number]
            step = Step(name=name, file=file, marks={}, type=kind, idx=idx, success=Success(keys))
            self._steps[number] = step
        return step
