"""The code of python steps as a snapshot has it."""

from __future__ import annotations

import os
from collections.abc import Collection

from f0make.files import signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.code.code_digest import CodeFacts
    from f0make.files.signature import Signature
    from f0make.model import Instance


class KeptCode:
    """Digest and sources of a python step's code, with the files as they are now."""

    def __init__(self, digest: str, sources: dict[str, bytes], workspace: str) -> None:
        self.digest = digest
        self.sources = sources
        self.files = [os.path.join(workspace, path) for path in sources]
        self.watched_missing: list[str] = []
        """None: what is missing is among the absent paths of the snapshot."""
        self._seen = {path: _signature(path) for path in self.files}

    def changed(self, own: Collection[str] = ()) -> str | None:
        """The path of a file of it that has changed since the snapshot was found to hold."""
        return next((path for path, seen in self._seen.items() if _signature(path) != seen), None)


def read_anew(workspace: str, instance: Instance) -> CodeFacts:
    """The code of ``instance`` as it is now. Raises RecipeError for code that is wrong."""
    from f0make.code.code_bases import CodeBases
    from f0make.errors import RecipeError

    base = CodeBases(workspace, os.environ, {}).of(instance)
    facts = base.facts(instance.module or "", instance.function or "")
    if facts.problems:
        raise RecipeError(facts.problems)
    return facts


def _signature(path: str) -> Signature | None:
    try:
        return signature.of(os.stat(path))
    except OSError:
        return None
