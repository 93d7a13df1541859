"""`Workspace`: every change that f0make makes at a path of the workspace, in one place.

Nothing that f0make did not make is overwritten, and no link is followed but those that the person whose workspace
it is has put among the directories above a declared path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

from f0make import STATE
from f0make.files import signature
from f0make.files.beneath import Below, InTheWay, open_listing
from f0make.files.content_digest import FileError
from f0make.files.signature import Signature
from f0make.workspace.remove import prune, remove_entry, take_write_permission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs
    from f0make.files.times_and_modes import Marks
    from f0make.workspace.restore import Restorer, Written

__all__ = ["FileError", "InTheWay", "Workspace"]

DISPLACED = "displaced"
FAILED = "failed"


class Workspace:
    """The workspace ``root``; paths are relative to it.

    ``brought`` tells whether a link lies at a path because a *result* has put it there: such a link is never followed.
    Without it no result is known to have brought any. Raises FileError (ValueError for a path that does not lie
    inside).
    """

    def __init__(self, root: str, brought: Callable[[str], bool] | None = None) -> None:
        self.root = root
        self._brought = brought
        self.below = Below(root, self._may_follow)
        self.state = Below(os.path.join(root, STATE))
        self._owners: set[int] | None = None
        self._restorer: Restorer | None = None

    def close(self) -> None:
        """Let go of its directories."""
        if self._restorer is not None:
            self._restorer.close()
        self.below.close()
        self.state.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kind(self, path: str) -> int:
        """The type of what lies at ``path`` (`stat.S_IFMT`), a link's own; 0 when nothing does. Raises OSError."""
        return stat.S_IFMT(self.mode(path))

    def mode(self, path: str) -> int:
        """The mode of what lies at ``path``, a link's own; 0 when nothing does. Raises OSError."""
        st = self.below.look(path)
        return 0 if st is None else st.st_mode

    def remove(self, path: str) -> None:
        """Remove the file, link or tree at ``path``, read-only ones included; nothing there is fine."""
        try:
            fd, name = self.below.parent(path)
        except (FileNotFoundError, InTheWay):
            return
        try:
            remove_entry(fd, name)
        except OSError as error:
            raise FileError(f"{path!r} cannot be removed: {error.strerror}") from None
        finally:
            os.close(fd)

    def blocker(self, path: str) -> str | None:
        """What lies above ``path`` and is no directory to go through, so that ``path`` cannot be made; None: nothing."""
        return self.below.blocker(path)

    def make_parents(self, path: str) -> list[str]:
        """Make the directories above ``path``: those that were made, the outermost first. OSError without space."""
        try:
            return self.below.make_parents(path)
        except PermissionError as error:
            raise FileError(f"the directory of {path!r} cannot be made: {error.strerror}") from None

    def unmake(self, directories: list[str]) -> None:
        """Remove what `make_parents` has made, as far as nothing lies in it."""
        for path in reversed(directories):
            with suppress(OSError):
                fd, name = self.below.parent(path)
                try:
                    os.rmdir(name, dir_fd=fd)
                finally:
                    os.close(fd)

    def prune(self, path: str, wanted: set[str]) -> None:
        """Remove the empty directories in the directory ``path`` that are not ``wanted`` (relative to it) nor above one."""
        keep = {""}
        for relative in wanted:
            while relative not in keep:
                keep.add(relative)
                relative = os.path.dirname(relative)
        fd, name = self.below.parent(path)
        try:
            inside = open_listing(fd, name)
            try:
                prune(inside, keep)
            finally:
                os.close(inside)
        except OSError as error:
            raise FileError(f"a directory in {path!r} cannot be removed: {error.strerror}") from None
        finally:
            os.close(fd)

    def protect(self, path: str) -> None:
        """Take the write permission from ``path``, and from everything in it. Raises OSError."""
        fd, name = self.below.parent(path)
        try:
            take_write_permission(fd, name)
        finally:
            os.close(fd)

    def set_time(self, path: str, known: tuple[int, ...], time: int) -> Signature | None:
        """Set the mtime (ns) of a regular file whose signature is still ``known``: its signature then.

        None where it is not, or where that cannot be.
        """
        with suppress(OSError, OverflowError):
            fd, name = self.below.parent(path)
            try:
                st = os.stat(name, dir_fd=fd, follow_symlinks=False)
                # Under another name it may be a file of the user's, whose time is theirs.
                if signature.of(st) != known or not stat.S_ISREG(st.st_mode) or st.st_nlink > 1:
                    return None
                os.utime(name, ns=(st.st_atime_ns, time), dir_fd=fd, follow_symlinks=False)
                return signature.of(os.stat(name, dir_fd=fd, follow_symlinks=False))
            finally:
                os.close(fd)
        return None

    def displace(self, path: str, run_id: str) -> str:
        """Move what lies at ``path``, be it a link, to `.f0make/displaced/<run_id>/<path>`: the new place.

        "" when nothing was there. A place that is taken gets a numeric suffix.
        """
        return self._aside(path, f"{DISPLACED}/{run_id}")

    def fail_aside(self, path: str, run_id: str) -> str:
        """The same for an output of a failed step, to `.f0make/failed/<run_id>/<path>`."""
        return self._aside(path, f"{FAILED}/{run_id}")

    def restore(
        self,
        path: str,
        token: str,
        tree: Mapping[str, str] | None,
        blobs: Blobs,
        have: Mapping[str, str] | None = None,
        marks: Marks | None = None,
    ) -> Written:
        """Bring the output ``path`` back, with its times and rights; see `Restorer.output`."""
        from f0make.files.times_and_modes import NO_MARKS
        from f0make.workspace.restore import Restorer

        if self._restorer is None or self._restorer.blobs is not blobs:
            if self._restorer is not None:
                self._restorer.close()
            self._restorer = Restorer(self.below, self.state, blobs)
        return self._restorer.output(path, token, tree, marks or NO_MARKS, have)

    def _aside(self, path: str, base: str) -> str:
        from f0make.workspace.displace import move_aside

        self.state.exist()
        moved = move_aside(self.below, path, self.state, base)
        return f"{STATE}/{moved}" if moved else ""

    def _may_follow(self, path: str, st: os.stat_result) -> bool:
        """A link may be followed that is ours, or of whom the workspace belongs to, and that no result has brought."""
        if self._owners is None:
            self._owners = {os.geteuid(), 0, os.fstat(self.below.fd).st_uid}
        return st.st_uid in self._owners and not (self._brought is not None and self._brought(path))
