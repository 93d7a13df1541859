"""The record log and its index: what every key produced, what lies where, what was begun and not ended."""

from __future__ import annotations

from f0make.store import state_dir
from f0make.store.instance_identity import UNKNOWN
from f0make.store.journal import Journal
from f0make.store.recorded_facts import Record, RecordedFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Store(RecordedFacts):
    """The durable state of ``workspace``. One writer (the process with the workspace lock), any number of readers.

    What is appended is of ``recipe`` unless it says otherwise; this object sees it at once, others after `flush`.
    With ``readonly`` nothing is written; a workspace without state is then an empty store. Raises StateError when
    `.f0make` cannot be used or was written by a newer f0make. Damage never raises: see `damage`.
    """

    def __init__(self, workspace: str, readonly: bool = False, recipe: str = UNKNOWN) -> None:
        if readonly:
            state_dir.check(workspace)
        else:
            state_dir.prepare(workspace)
        super().__init__(Journal(workspace, readonly), recipe)
        self._owner = {"recipe": recipe} if recipe != UNKNOWN else {}
        self.workspace = workspace
        self.readonly = readonly

    def append_begin(self, payload: dict[str, Any]) -> None:
        """Note that an attempt starts; needs ``instance``, may hold anything (``outputs``, ``token``, …)."""
        self._journal.append("begin", {**self._owner, **payload})

    def append_record(self, record: Record) -> None:
        """Add a success, of ``recipe`` whatever ``record`` says. Needs ``key`` and ``instance``; ``outputs`` become `made`."""
        self._journal.append("record", {**record, **self._owner})

    def append_fail(self, payload: dict[str, Any]) -> None:
        """Note that an attempt failed or was undone after a crash; needs ``instance``."""
        self._journal.append("fail", {**self._owner, **payload})

    def append_made(self, paths: dict[str, str], instance: str, key: str = "") -> None:
        """Note what f0make left at ``paths`` (path -> token) for ``instance``.

        With ``key``, the newest record of that key becomes the `latest` of the instance.
        """
        if paths or key:
            about = {**self._owner, "instance": instance, "paths": paths}
            self._journal.append("made", {**about, "key": key} if key else about)

    def append_gone(self, paths: list[str]) -> None:
        """Note that f0make left nothing at ``paths`` any more."""
        if paths:
            self._journal.append("gone", {"paths": list(paths)})

    def forget(self, key: str, variant: str | None = None) -> None:
        """Remove the records of ``key`` (only the one with `variant_of` it equal to ``variant``)."""
        instances = sorted({(r.get("recipe", UNKNOWN), r["instance"]) for r in self.find(key)})
        if instances:
            payload = {"key": key, "instances": list(map(list, instances))}
            self._journal.append("forget", payload if variant is None else {**payload, "variant": variant})

    def mark(self) -> tuple[bytes, int]:
        """How far the log has come, for `holds`."""
        return self._journal.mark()

    def holds(self, mark: tuple[bytes, int]) -> bool:
        """Whether everything that stood in the log at `mark` still does."""
        header, size = self._journal.mark()
        return header == mark[0] and size >= mark[1]

    def flush(self) -> None:
        """Write everything appended since the last time, at once.

        Raises OSError (ENOSPC, EDQUOT, EFBIG, EIO, …; ``filename`` is the log); the log then ends where it
        ended before, and the next flush tries again.
        """
        self._journal.flush()

    def sync(self) -> None:
        """Flush, then wait until the disk has it (fdatasync). Raises OSError."""
        self._journal.flush()
        self._journal.sync()

    def close(self) -> None:
        """Flush (unless that has failed before), bring the index file up to date, let go.

        A log with damaged lines, of an older format, or that is mostly superseded, is rewritten. Raises OSError
        when the flush fails.
        """
        journal = self._journal
        try:
            if not self.readonly and not journal.failed:
                journal.flush()
                if journal.damaged_lines or journal.outdated or journal.index.mostly_superseded:
                    from f0make.store.rewrite_log import rewrite

                    rewrite(journal)
                journal.save_index()
        finally:
            journal.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
