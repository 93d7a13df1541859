"""The attempts of a run's instances: which are under way, and what is remembered of those that are over."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass, field
from f0make.model import Instance
from f0make.worker.bundle import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.workset import StepCode


@dataclass(slots=True)
class Attempt:
    """The attempts of one instance in this run; ``bundle`` is the newest."""

    instance: Instance
    bundle: Bundle
    number: int = 0
    failures: int = 0
    changes: int = 0
    code: StepCode | None = None
    """What the python code was keyed as."""
    open: bool = False
    """Between the start and the outcome."""
    cost: dict[str, Any] = field(default_factory=dict)
    """Energy and carbon of the newest attempt, where they are measured."""


def retries_of(instance: Instance, override: int | None) -> int:
    """How many failures of ``instance`` are followed by another attempt; ``override`` is that of `--retries`."""
    return instance.retries if override is None else override


class Attempts:
    """Every instance that was started in this run."""

    def __init__(self) -> None:
        self._by_name: dict[str, Attempt] = {}
        self._by_token: dict[str, Attempt] = {}
        self.missing_reads: dict[str, set[str]] = {}
        """Instance name -> context keys that it asked for and that were not there."""
        self.discovered: dict[str, list[str]] = {}
        """Instance name -> what its attempt in this run discovered, where that is anything."""
        self.started = 0
        """How many were."""

    def of(self, token: str) -> Attempt | None:
        """The attempt with ``token``, None when it is not (or not any more) expected."""
        attempt = self._by_token.pop(token, None)
        return attempt if attempt is not None and attempt.open else None

    def newest(self, instance: str) -> Attempt | None:
        """The newest attempt of ``instance`` that is not over for good."""
        return self._by_name.get(instance)

    def open(self) -> list[Attempt]:
        """Attempts without an outcome."""
        return [attempt for attempt in self._by_name.values() if attempt.open]

    def next_number(self, instance: str) -> int:
        """The number of the next attempt of ``instance``, from 1."""
        known = self._by_name.get(instance)
        return known.number + 1 if known is not None else 1

    def host_of(self, instance: str) -> str:
        """The host of the newest attempt of ``instance``, empty for the backend's own slots."""
        attempt = self._by_name.get(instance)
        return attempt.bundle.host if attempt is not None else ""

    def begin(self, instance: Instance, bundle: Bundle, code: StepCode | None) -> None:
        """``bundle`` is the newest attempt of ``instance``, whose python code was keyed as ``code``."""
        attempt = self._by_name.get(bundle.instance) or Attempt(instance, bundle)
        attempt.bundle, attempt.number, attempt.open, attempt.code = bundle, bundle.attempt, True, code
        self._by_name[bundle.instance] = self._by_token[bundle.token] = attempt

    def over(self, attempt: Attempt) -> None:
        """Nothing more will be asked about ``attempt``: of a million instances none should keep its bundle."""
        self._by_name.pop(attempt.instance.name, None)
