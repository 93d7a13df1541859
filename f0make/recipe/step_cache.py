"""Validated steps by the digest of their text: a big recipe is validated again only where it was edited.

Disposable: what is lost or damaged is validated again.
"""

from __future__ import annotations

import os

from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.files.sealed_files import blake2b
from f0make.gc_pause import gc_pause
from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.schema import SCHEMA_VERSION
from f0make.recipe.step_data import Packed
from f0make.recipe.yaml_node import Entries, Node, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = b"f0make steps 2.%d %s\n" % (
    SCHEMA_VERSION,
    blake2b(" ".join(STEP_KEYS).encode(), digest_size=4).hexdigest().encode(),
)
"""Steps that were validated with other keys are none that this f0make can read."""

KEPT_UNUSED = 20_000
"""How many entries of other recipes, or of earlier versions of this one, stay in the file."""

Digest = bytes


def digest(text: str) -> Digest:
    """The name under which what ``text`` means is kept."""
    return blake2b(text.encode("utf-8"), digest_size=16).digest()


class StepCache:
    """The file of validated steps at ``path``; `load` and `save` are the caller's decision."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._old: dict[Digest, Any] = {}
        self._used: dict[Digest, Any] = {}
        self._changed = False

    def load(self) -> None:
        """Read the file; one that is missing, damaged or of another version counts as empty."""
        with gc_pause():
            data = sealed_files.read(self.path)
            found = sealed_files.unseal(MAGIC, data) if data else None
            self._old = found if isinstance(found, dict) else {}

    def save(self) -> None:
        """Write the file where something was added. Without effect where it cannot be written."""
        if not self._changed or not sealed_files.possible():
            return
        spare = max(0, KEPT_UNUSED - len(self._used))
        kept = dict(self._used)
        for name, value in self._old.items():
            if spare and name not in kept:
                kept[name] = value
                spare -= 1
        try:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            write_atomic(self.path, sealed_files.seal(MAGIC, kept))
        except OSError:
            return
        self._changed = False

    def step(self, name: Digest) -> Packed | None:
        """The validated step of the text with this digest."""
        found: Packed | None = self._get(name)
        return found

    def keep_step(self, name: Digest, packed: Packed) -> None:
        """Keep a step that was found valid."""
        self._keep(name, packed)

    def head(self, name: Digest) -> Entries | None:
        """The nodes of the text around the steps with this digest."""
        found = self._get(b"head" + name)
        node: Node | None = unpack(found) if found is not None else None
        return node if isinstance(node, Entries) else None

    def keep_head(self, name: Digest, node: Entries) -> None:
        """Keep what was read around the steps, once strictyaml has had no objection."""
        self._keep(b"head" + name, pack(node))

    def _get(self, name: Digest) -> Any:
        found = self._used.get(name)
        if found is None:
            found = self._old.get(name)
            if found is not None:
                self._used[name] = found
        return found

    def _keep(self, name: Digest, value: Any) -> None:
        self._used[name] = value
        self._changed = True
