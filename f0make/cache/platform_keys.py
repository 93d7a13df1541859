"""What a shared cache offers is for the platform that made it: system and architecture, for python steps the Python, too.

They join the key under which a record lies there, and not the key itself: in a workspace of its own nothing changes. A step
with `any_platform: yes` says that its result is the same everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from f0make.cache.machine import machine
from f0make.files.sha import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.cache.shared_records import SharedRecords
    from f0make.model import Instance


IMPLIED = frozenset({"parts", "inputs"})
"""Fields of a record that its key is the digest of: known where the record is found, needed nowhere else.

They hold what `--set`, `env` and command lines say in clear.
"""


def key_there(key: str, instance: Instance, place: str, python: str) -> str:
    """The key under which a shared cache has the records of ``instance`` with ``key``.

    ``place`` is the machine that it ran on (`machine`), ``python`` the minor version of the Python that ran it.
    """
    if instance.any_platform:
        return key
    suffix = f" python {python}" if instance.module is not None else ""
    return sha256(f"{key} {place}{suffix}".encode("utf-8", "replace")).hexdigest()


class ForPlatform:
    """A shared cache, asked by the keys of ``workspace``; `at` must have been told of a key first."""

    def __init__(self, shared: SharedRecords, workspace: str) -> None:
        self.shared = shared
        self._workspace = workspace
        self._pythons: dict[str | None, str] = {}
        self._there: dict[str, str] = {}
        self._here: dict[str, str] = {}

    def at(self, key: str, instance: Instance) -> None:
        """``key`` is that of ``instance``: what is asked for is what this machine would make."""
        if key not in self._there:
            there = self._there[key] = self._key_there(key, instance, "", "")
            self._here[there] = key

    def _key_there(self, key: str, instance: Instance, place: str, python: str) -> str:
        if instance.module is not None and not python:
            python = self._python(instance.python)
        return key_there(key, instance, place or machine(), python)

    def _python(self, declared: str | None) -> str:
        """The minor version of the Python that a python step with ``declared`` interpreter would run in here."""
        found = self._pythons.get(declared)
        if found is None:
            from f0make.code.interpreter import chosen, version

            found = self._pythons[declared] = version(chosen(declared, self._workspace, os.environ))
        return found

    @property
    def unrestricted(self) -> bool:
        """Whether all who may ask may read all of it."""
        return self.shared.unrestricted

    def find(self, key: str) -> Sequence[dict[str, Any]] | None:
        """As `SharedRecords.find`."""
        found = self.shared.find(self._there[key])
        return None if found is None else [{**record, "key": key} for record in found]

    def bring(self, key: str, digests: list[str]) -> bool | None:
        """As `SharedRecords.bring`."""
        return self.shared.bring(self._there.get(key, key), digests)

    def wait(self, key: str) -> None:
        """As `SharedRecords.wait`."""
        self.shared.wait(self._there.get(key, key))

    def put(self, record: dict[str, Any], instance: Instance, place: str = "", python: str = "") -> None:
        """Add ``record`` without what its key implies: what ``instance`` came to at ``place`` in a Python ``python``; empty: what this machine has.

        Where a host or a worker ran it, that is the platform that it fits. Raises as `SharedRecords.put`.
        """
        there = self._key_there(record["key"], instance, place, python)
        kept = {name: value for name, value in record.items() if name not in IMPLIED}
        self.shared.put(there, {**kept, "key": there})

    def listen(self, listener: Callable[[str], None]) -> None:
        """As `SharedRecords.listen`."""
        self.shared.listen(lambda there: listener(self._here.get(there, there)))

    def notes(self) -> list[str]:
        """As `SharedRecords.notes`."""
        return self.shared.notes()

    def close(self, stopped: Callable[[], bool]) -> None:
        """As `SharedRecords.close`."""
        self.shared.close(stopped)

    def fields(self) -> dict[str, Any]:
        """As `SharedRecords.fields`."""
        return self.shared.fields()
