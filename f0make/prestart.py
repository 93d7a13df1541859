"""The local backend, opened before it is known what must run: it comes up while that is found out.

A worker is there some ten milliseconds after it was asked for. Where a step will most likely run it is asked for at
once; if none does, it goes again, and nothing has waited for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from f0make.backends.local.local_backend import LocalBackend
    from f0make.model import Instance, Recipe
    from f0make.options import RunOptions
    from f0make.store.record_store import Store

_FEW = 100
"""Instances in a run that is so short that some milliseconds at its start count."""


class Early:
    """What ``open_local`` opens for so many slots as ``jobs`` says, if steps are expected here."""

    def __init__(
        self, options: RunOptions, jobs: Callable[[], int], open_local: Callable[[int], LocalBackend]
    ) -> None:
        self._here = options.backend in ("local", "ssh") and not options.host and not options.hosts
        self._jobs = jobs
        self._open_local = open_local
        self.backend: LocalBackend | None = None

    def expect(self, steps: int) -> None:
        """So many shell steps will most likely run at first. Raises StateError."""
        if self._here and self.backend is None and (jobs := self._jobs()):
            self.backend = self._open_local(jobs)
            self.backend.open_early(min(steps, jobs))

    def recipe_is_read(self, recipe: Recipe, store: Store) -> None:
        """Where nothing has ever run, what the recipe has will."""
        if not store.recorded and any(step.type == "shell" for step in recipe.steps):
            several = len(recipe.steps) > 1 or any(step.foreach for step in recipe.steps)
            self.expect(2 if several else 1)

    def part_is_open(self, instances: Sequence[Instance]) -> None:
        """What changes can reach is known: ``instances``; it is not known yet what of it must run."""
        if len(instances) <= _FEW and any(instance.step.type == "shell" for instance in instances):
            self.expect(1)

    def stop(self) -> None:
        """The end, of what was opened for nothing, too."""
        if self.backend is not None:
            self.backend.stop(0.0)
            self.backend = None
