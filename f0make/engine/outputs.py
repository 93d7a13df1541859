"""Making room for outputs and putting them back: nothing of the user's is ever deleted or overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from f0make.engine.handover import Handover
from f0make.engine.tokens import Tokens
from f0make.files import place
from f0make.files.signature import FOREVER, clock_ns
from f0make.model import Instance, Output
from f0make.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.cache.blobs import Blobs


class ProtectedOutput(Exception):
    """A protected output would be replaced without `--force`."""


class Outputs:
    """The files of instances in the workspace, as f0make's own or the user's."""

    def __init__(self, session: Session, tokens: Tokens, run_id: str, note: Callable[[str], None]) -> None:
        self.root = session.workspace
        self.store = session.store
        self.tokens = tokens
        self.run_id = run_id
        self.note = note
        self.handover = Handover(session.store, session.workspace)

    def ours(self, path: str) -> bool:
        """Whether ``path`` holds exactly what f0make last put there."""
        made = self.store.made.get(path)
        return made is not None and made == self.tokens.on_disk(path)

    def guard(self, outputs: list[Output], forced: bool) -> None:
        """Raise ProtectedOutput if one of ``outputs`` is there and protected, and nobody forces it."""
        for output in outputs:
            # One that was altered by hand is displaced as any other file is, so nothing is lost.
            if output.protected and not forced and self.ours(output.path):
                raise ProtectedOutput(
                    f"output {output.path} is protected and would be replaced (run it with --force)"
                )

    def clear(self, outputs: list[Output]) -> None:
        """Take ``outputs`` out of the way before their step runs: ours are removed, others displaced."""
        self.handover.take(output.path for output in outputs)
        gone = []
        for output in outputs:
            path = output.path
            if self.tokens.on_disk(path) is not None:
                self._take_away(path)
                gone.append(path)
            elif path in self.store.made:
                gone.append(path)
            self.tokens.keep(path)
            self._make_parents(path)
            self.tokens.contents.forget(path)
        if gone:
            self.store.append_gone(gone)

    def _make_parents(self, path: str) -> None:
        """Make the directories above ``path``; a file that lies where one must be is taken out of the way."""
        if os.path.isdir(f"{self.root}/{path}".rpartition("/")[0]):
            return
        blocker = place.blocking_parent(self.root, path)
        if blocker is not None:
            self._take_away(blocker)
            self.tokens.contents.forget(blocker)
        place.make_parents(self.root, path)

    def _take_away(self, path: str) -> None:
        if self.ours(path):
            place.remove(self.root, path)
            return
        kept = self._recorded_tree(path)
        if kept:
            # A directory of ours in which somebody changed something: only what is theirs is kept.
            for relative, token in self.tokens.contents.tree(path).items():
                if kept.get(relative) != token:
                    self.displace(f"{path}/{relative}")
            place.remove(self.root, path)
        else:
            self.displace(path)

    def _recorded_tree(self, path: str) -> Mapping[str, str]:
        """The entries that f0make left in the directory ``path``, empty where that is not known."""
        return self.store.tree(self.store.made.get(path, "")) or {}

    def displace(self, path: str) -> None:
        """Move a file that f0make did not make to `.f0make/displaced/`, and say so."""
        moved = place.displace(self.root, path, self.run_id)
        self.tokens.contents.forget(path)
        self.note(f"{path} was not made by f0make or altered since; moved to {moved}")

    def set_aside(self, outputs: list[str], keep: bool = True) -> None:
        """Move what a failed or killed step left at its outputs to `.f0make/failed/`, or remove it."""
        for path in outputs:
            if not keep:
                place.remove(self.root, path)
            elif os.path.lexists(os.path.join(self.root, path)):
                place.fail_aside(self.root, path, self.run_id)
            self.tokens.contents.forget(path)

    def restore(
        self, instance: Instance, record: Mapping[str, Any], wrong: list[Output], blobs: Blobs
    ) -> None:
        """Write ``wrong`` outputs from the cache as ``record`` has them.

        Raises place.BlobMissing or place.BlobCorrupt; what was not restored by then is simply missing.
        """
        made = {}
        for output in wrong:
            token = record["outputs"][output.path]
            tree = record.get("trees", {}).get(output.path)
            present = self.tokens.on_disk(output.path)
            if present is not None:
                if tree is not None and present.endswith("/") and not self.ours(output.path):
                    self._tidy(output.path, tree)
                else:
                    self._take_away(output.path)
            contents = self.tokens.contents
            have = contents.tree(output.path) if tree is not None and present is not None else None
            clock = clock_ns()
            sure: set[str] = set()
            # With nothing there a look right before has said so.
            try:
                written = place.restore(
                    self.root, output.path, token, tree, blobs, have, replace=present is None, sure=sure
                )
            except (FileNotFoundError, NotADirectoryError, place.FileError):
                self._make_parents(output.path)
                written = place.restore(self.root, output.path, token, tree, blobs, have, sure=sure)
            contents.forget(output.path)
            if tree is None:
                # Every byte was compared with the digest on its way in.
                for path, signature in written.items():
                    contents.learn(path, signature, token, FOREVER if path in sure else clock)
            self.tokens.keep(output.path)
            self.protect([output])
            made[output.path] = token
        if not self.store.knows(made, instance.name):
            self.handover.take(made)
            self.store.append_made(made, instance.name, record["key"])

    def _tidy(self, path: str, tree: Mapping[str, str]) -> None:
        """Displace what was added to or altered in an output directory."""
        for relative, token in self.tokens.contents.tree(path).items():
            if tree.get(relative) != token and token != "/":
                self.displace(f"{path}/{relative}")
        wanted = {r if token == "/" else os.path.dirname(r) for r, token in tree.items()}
        place.prune(self.root, path, wanted)
        self.tokens.contents.forget(path)

    def protect(self, outputs: list[Output]) -> None:
        """Make protected outputs read-only."""
        for output in outputs:
            if output.protected:
                place.protect(os.path.join(self.root, output.path))
                self.tokens.contents.forget(output.path)

    def drop(self, outputs: list[Output]) -> None:
        """Remove temp outputs that no consumer needs any more, only as f0make left them, and for this recipe."""
        gone = [o.path for o in outputs if self.ours(o.path) and self.handover.foreign(o.path) is None]
        for path in gone:
            place.remove(self.root, path)
            self.tokens.contents.forget(path)
        if gone:
            self.store.append_gone(gone)
