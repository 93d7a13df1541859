"""What rendering may find out that it needs first: raised through templates, caught by the driver."""

from __future__ import annotations


class NeedsStage(Exception):
    """A stage (``outputs`` or ``inputs``) of step ``name`` must be done before this can be rendered."""

    def __init__(self, name: str, stage: str) -> None:
        super().__init__(f"{name} {stage}")
        self.name = name
        self.stage = stage


class IsPending(Exception):
    """Step ``name`` has no instances yet: something it waits for (`after:`) is not finished."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
