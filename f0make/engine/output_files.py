"""Making room for outputs and putting them back: nothing of the user's is ever deleted or overwritten."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence

from f0make.cache.blobs import BlobCorrupt
from f0make.engine.path_handover import Handover
from f0make.engine.promised_tokens import Tokens
from f0make.files.signature import FOREVER, clock_ns
from f0make.model import Instance, Output
from f0make.workspace.workspace_files import InTheWay, Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.cache.blobs import Blobs
    from f0make.worker.bundle import Outcome
    from f0make.workset import Workset


class ProtectedOutput(Exception):
    """A protected output would be replaced without `--force`."""


def refusal(path: str) -> str:
    """Why an instance does not run whose protected output lies at ``path``. Pure."""
    return f"output {path} is protected and would be replaced (run it with --force)"


class Outputs:
    """The files of instances in the workspace, as f0make's own or the user's."""

    def __init__(self, session: Workset, tokens: Tokens, run_id: str, note: Callable[[str], None]) -> None:
        self.root = session.workspace
        self.store = session.store
        self.tokens = tokens
        self.run_id = run_id
        self.note = note
        self.handover = Handover(session.store, session.workspace)
        self.place = Workspace(session.workspace, self._brought)
        self._open_ways: set[str] = set()
        """Directories above outputs, on whose way there is nothing but directories and links that may be followed."""

    def close(self) -> None:
        """Let go of the workspace's directories."""
        self.place.close()

    def ours(self, path: str) -> bool:
        """Whether ``path`` holds exactly what f0make last put there, as the kind of thing that it was."""
        made = self.store.made.get(path)
        if made is None:
            return False
        if (made[:1] == "@") != (self.place.kind(path) == stat.S_IFLNK):
            return False
        present = self.tokens.on_disk(path)
        # A link is its text; before, its token went on with what it led to.
        return made == present or (made[:1] == "@" and made[:65] == present)

    def guard(self, outputs: Sequence[Output], forced: bool) -> None:
        """Raise ProtectedOutput if one of ``outputs`` is there and protected, and nobody forces it."""
        output = None if forced else self.protected_among(outputs)
        if output is not None:
            raise ProtectedOutput(refusal(output.path))

    def protected_among(self, outputs: Sequence[Output]) -> Output | None:
        """The first of ``outputs`` that is protected and there, as f0make left it."""
        # One that was altered by hand is displaced as any other file is, so nothing is lost.
        return next((o for o in outputs if o.protected and self.ours(o.path)), None)

    def clear(self, outputs: list[Output], here: bool = True) -> None:
        """Take ``outputs`` out of the way before their step runs: ours are removed, others displaced.

        The directories above them are made where the step runs ``here``; a result that comes from elsewhere makes
        its own.
        """
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
            self._make_way(path, here)
            self.tokens.contents.forget(path)
        if gone:
            self.store.append_gone(gone)

    def _make_way(self, path: str, here: bool = True) -> None:
        """Make the directories above ``path`` if ``here``; what lies where one must be is taken out of the way."""
        above = path.rpartition("/")[0]
        if not above or (above in self._open_ways and os.path.isdir(f"{self.root}/{above}")):
            return
        blocker = self.place.blocker(path)
        if blocker is not None:
            self._take_away(blocker)
            self.tokens.contents.forget(blocker)
        if here:
            self.place.make_parents(path)
            self._open_ways.add(above)

    def _brought(self, path: str) -> bool:
        """Whether a result has put a link at ``path``: as an output, or inside an output directory."""
        made = self.store.made
        token = made.get(path)
        if token is not None:
            return token[:1] == "@"
        above = path.rpartition("/")[0]
        while above:
            if above in made:
                tree = self.store.tree(made[above]) or {}
                return tree.get(path[len(above) + 1 :], "")[:1] == "@"
            above = above.rpartition("/")[0]
        return False

    def _take_away(self, path: str) -> None:
        if self.ours(path):
            self.place.remove(path)
            return
        if self.place.kind(path) == stat.S_IFDIR:
            kept = self._recorded_tree(path)
            there = self._tree_there(path) if kept else None
            if there is not None:
                # A directory of ours in which somebody changed something: only what is theirs is kept.
                for relative, token in there.items():
                    if kept.get(relative) != token:
                        self.displace(f"{path}/{relative}")
                self.place.remove(path)
                return
        self.displace(path)

    def _tree_there(self, path: str) -> Mapping[str, str] | None:
        """What lies in the directory ``path``; None where something in it cannot be read."""
        try:
            return self.tokens.contents.own_tree(path)
        except OSError:
            return None

    def _recorded_tree(self, path: str) -> Mapping[str, str]:
        """The entries that f0make left in the directory ``path``, empty where that is not known."""
        return self.store.tree(self.store.made.get(path, "")) or {}

    def displace(self, path: str) -> None:
        """Move what f0make did not make to `.f0make/displaced/`, a link as a link, and say so."""
        link = self.place.kind(path) == stat.S_IFLNK
        moved = self.place.displace(path, self.run_id)
        self.tokens.contents.forget(path)
        if moved:
            what = "is a link that f0make did not make" if link else "was not made by f0make or altered since"
            self.note(f"{path} {what}; moved to {moved}")

    def set_aside(self, outputs: list[str], keep: bool = True) -> None:
        """Move what a failed or killed step left at its outputs to `.f0make/failed/`, or remove it."""
        for path in outputs:
            if not keep:
                self.place.remove(path)
            elif self.place.kind(path):
                self.place.fail_aside(path, self.run_id)
            self.tokens.contents.forget(path)

    def restore(
        self, instance: Instance, record: Mapping[str, Any], wrong: list[Output], blobs: Blobs
    ) -> None:
        """Write ``wrong`` outputs from the cache as ``record`` has them.

        Raises BlobMissing or BlobCorrupt; what was not restored by then is simply missing.
        """
        from f0make.workspace import tree_names

        recorded = record.get("trees", {})
        try:
            for output in wrong:
                if output.path in recorded:
                    tree_names.check(recorded[output.path])
        except tree_names.WrongTree as error:
            raise BlobCorrupt("", f"its record is damaged: {error}") from None
        made = {}
        written: set[str] = set()
        for output in wrong:
            token = record["outputs"][output.path]
            written.update(self._restore(output.path, token, recorded.get(output.path), blobs, record))
            self.tokens.keep(output.path)
            self.protect([output])
            made[output.path] = token
        self._date_others(record, written)
        if not self.store.knows(made, instance.name):
            self.handover.take(made)
            self.store.append_made(made, instance.name, record["key"])

    def _restore(
        self, path: str, token: str, tree: Mapping[str, str] | None, blobs: Blobs, record: Mapping[str, Any]
    ) -> Iterable[str]:
        """Bring one output back; the files that were written."""
        from f0make.files.times_and_modes import Marks

        contents, have = self.tokens.contents, None
        kind = self.place.kind(path)
        if tree is not None and kind == stat.S_IFDIR and not self.ours(path) and self._tidy(path, tree):
            have = contents.own_tree(path)
        elif kind:
            self._take_away(path)
        clock = clock_ns()
        marks = Marks(record, path)
        try:
            written = self.place.restore(path, token, tree, blobs, have, marks)
        except InTheWay:
            self._make_way(path)
            written = self.place.restore(path, token, tree, blobs, have, marks)
        contents.forget(path)
        if tree is None:
            # Every byte was compared with the digest on its way in.
            for file, (signature, sure) in written.items():
                contents.learn(file, signature, token, FOREVER if sure else clock)
        return written

    def _date_others(self, record: Mapping[str, Any], written: set[str]) -> None:
        """Give the files of ``record`` that were there already its times, too: those of one step keep their order."""
        if not record.get("times"):
            return
        from f0make.engine.first_times import recorded

        contents = self.tokens.contents
        for path, token, time in recorded(record):
            known = None if path in written else contents.signature(path)
            if known is not None and known[1] != time:
                seen = self.place.set_time(path, known, time)
                if seen is not None:
                    contents.learn(path, seen, token)

    def _tidy(self, path: str, tree: Mapping[str, str]) -> bool:
        """Displace what was added to or altered in an output directory; False where that cannot be told."""
        there = self._tree_there(path)
        if there is None:
            return False
        kept = self._recorded_tree(path)
        for relative, token in there.items():
            if tree.get(relative) == token or token == "/":
                continue
            if kept.get(relative) == token:
                self.place.remove(f"{path}/{relative}")  # f0make's own, of another result
            else:
                self.displace(f"{path}/{relative}")
        wanted = {r if token == "/" else os.path.dirname(r) for r, token in tree.items()}
        self.place.prune(path, wanted)
        self.tokens.contents.forget(path)
        return True

    def date(self, instance: Instance, outcome: Outcome) -> None:
        """Give what a step has made again with equal content the time at which that content was made first."""
        before = self.store.latest(instance.name)
        if before is None or not before.get("times"):
            return
        from f0make.engine.first_times import dated

        for path, time in dated(before, outcome).items():
            known = outcome.signatures.get(path)
            seen = None if known is None else self.place.set_time(path, known[:5], time)
            if seen is not None:
                # The hash was taken before: it is taken once more when the clock has moved on.
                outcome.signatures[path] = (*seen, 0)
                outcome.set_time(path, time)

    def protect(self, outputs: list[Output]) -> None:
        """Make protected outputs read-only."""
        for output in outputs:
            if output.protected:
                self.place.protect(output.path)
                self.tokens.contents.forget(output.path)

    def drop(self, outputs: list[Output]) -> None:
        """Remove temp outputs that no consumer needs any more, only as f0make left them, and for this recipe."""
        gone = [o.path for o in outputs if self.ours(o.path) and self.handover.foreign(o.path) is None]
        for path in gone:
            self.place.remove(path)
            self.tokens.contents.forget(path)
        if gone:
            self.store.append_gone(gone)
