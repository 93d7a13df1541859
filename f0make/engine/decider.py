"""Gathering the facts about one instance and deciding it; the same for a plan and for a run."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from f0make.cache.blobs import BlobCorrupt, BlobMissing
from f0make.context import ALL_KEYS
from f0make.engine.discovered_tokens import Discovered
from f0make.engine.promised_tokens import Tokens
from f0make.engine.temp_leases import users
from f0make.engine.visible_contexts import Contexts
from f0make.errors import RecipeError, UsageError
from f0make.fast_dataclass import dataclass, field
from f0make.files.content_digest import blobs_of
from f0make.model import Instance, Output
from f0make.plan.decide import Change, Record, differences, matching, out_of_place, reason_to_run
from f0make.plan.key import Parts, declared_parts, key_of
from f0make.store.validate_record import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.files.content_cache import Seen
    from f0make.workset import Workset


class Kind(Enum):
    """What is to be done with an instance whose needs are settled."""

    CURRENT = "current"
    RESTORE = "restore"
    RUN = "run"
    ASKED = "asked"
    """Nobody knows yet: a cache that is far away was asked about ``key``; to be decided again."""
    BLOCKED = "blocked"
    """It cannot run: something it reads is not there. ``reason`` says what."""


@dataclass(slots=True)
class Verdict:
    """The decision for one instance, with the facts it rests on."""

    kind: Kind
    reason: str
    key: str = ""
    parts: Parts = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    record: Record | None = None
    wrong: list[Output] = field(default_factory=list)
    """Outputs that are not on disk as the record says (RESTORE: to be restored)."""
    changes: list[Change] = field(default_factory=list)
    seen: dict[str, Sequence[Seen]] = field(default_factory=dict)
    """RUN: each input -> the signatures that it had when it was hashed, of all that its content rests on."""
    known: set[str] = field(default_factory=set)
    """What the results that are known of this key have discovered."""
    disputed: bool = False
    """Several of them fit what is there, and differ: what comes of running counts from then on."""
    imported: bool = False
    """The record came from a shared cache and is not in this workspace's log yet."""


_GAIN = {Kind.CURRENT: 4, Kind.RESTORE: 3, Kind.ASKED: 2, Kind.RUN: 1, Kind.BLOCKED: 0}
"""Of several places that may run an instance, the one whose fingerprint gives most counts."""


class Decider:
    """Decides instances one by one, in an order in which what they need comes first."""

    def __init__(
        self,
        session: Workset,
        tokens: Tokens,
        contexts: Contexts,
        blobs: Blobs | None,
        shared: ForPlatform | None,
        fingerprints: Callable[[Instance], Sequence[list[str]] | None],
    ) -> None:
        self.session = session
        self.tokens = tokens
        self.contexts = contexts
        self.blobs = blobs
        self.shared = shared
        self.fingerprints = fingerprints
        self.forced: set[int] = set()
        self.nothing_known = False
        """There is no record of anything, none will come while this decides, and every input was seen to be there:
        no key can be found, so none is made."""
        self._never: Verdict | None = None
        tokens.link_text = self._link_text
        self.discovered = Discovered(tokens)
        """What lies now where records discovered something."""

    def decide(self, index: int) -> Verdict:
        """The verdict on the instance ``index``; reads files and records, changes nothing."""
        instance = self.session.graph.instances[index]
        if instance.step.type == "gather":
            return Verdict(Kind.CURRENT, "gathers")
        inputs: dict[str, str] = {}
        for path in instance.inputs:
            if self.tokens.unknown and self.tokens.doubtful(path):
                return Verdict(Kind.RUN, self._unless_new(instance, f"input {path} will be made again"))
            token = "" if self.nothing_known else self.tokens.of(path)
            if token is None:
                return Verdict(Kind.BLOCKED, f"input {path} does not exist")
            maker = self._unforeseen(index, path)
            if maker is not None:
                return Verdict(Kind.BLOCKED, maker)
            inputs[path] = token
        variants = self.fingerprints(instance) if instance.fingerprint else ([],)
        if variants is None:
            reason = self._unless_new(instance, "its fingerprint was never taken")
            return Verdict(Kind.RUN, reason, inputs=inputs)
        if self.nothing_known and index not in self.forced and not instance.always:
            return self._never_ran(instance)
        found: Verdict | None = None
        for texts in variants:
            try:
                parts = self.parts_of(instance, texts)
            except RecipeError as error:
                return Verdict(Kind.BLOCKED, str(error.problems[0]), inputs=inputs)
            except UsageError as error:
                return Verdict(Kind.RUN, f"{error}, so its key cannot be known", inputs=inputs)
            verdict = self._decide_by(index, instance, inputs, parts)
            if found is None or _GAIN[verdict.kind] > _GAIN[found.kind]:
                found = verdict
            if found.kind is Kind.CURRENT:
                break
        return found or Verdict(Kind.RUN, "its fingerprint is not known yet", inputs=inputs)

    def _unless_new(self, instance: Instance, reason: str) -> str:
        """``reason``, but for what never ran that alone."""
        store = self.session.store
        known = store.stats(instance.name) is not None or store.last_fail(instance.name) is not None
        return reason if known else reason_to_run(None, [])

    def parts_of(self, instance: Instance, texts: Sequence[str]) -> Parts:
        """The parts of the key of ``instance`` whose fingerprint commands give ``texts``.

        Raises RecipeError for code that cannot be read, and UsageError for a secret that is not there.
        """
        facts = self.session.code_of(instance)
        parts = declared_parts(instance, facts.digest if facts else None, texts)
        if instance.step.secrets and self.session.secrets is not None:
            parts.update(self.session.secrets.parts(instance))
        return parts

    def _decide_by(self, index: int, instance: Instance, inputs: dict[str, str], parts: Parts) -> Verdict:
        verdict = Verdict(Kind.RUN, "", key_of(parts, inputs), parts, inputs)
        if index in self.forced:
            verdict.reason = "forced"
        elif instance.always:
            verdict.reason = "always runs"
        else:
            self._look_up(index, instance, verdict)
        if verdict.kind is Kind.RUN:
            promised = self.tokens.promised
            verdict.seen = {path: self.seen(path) for path in inputs if path not in promised}
        return verdict

    def seen(self, path: str) -> Sequence[Seen]:
        """The signatures of all that the content of the input ``path`` rests on, links among its directories included."""
        contents = self.session.contents
        found = contents.seen(path)
        names = self.session.graph.through.get(path)
        if not names:
            return found
        above = ((name, contents.signature(name)) for name in names)
        return [*found, *((name, sig) for name, sig in above if sig is not None and stat.S_ISLNK(sig[4]))]

    def _unforeseen(self, index: int, path: str) -> str | None:
        """Why the input ``path`` must not be read: what it leads to is made by a step that need not be done yet."""
        for name in self.session.contents.via(path):
            maker = self.session.graph.unrelated_maker(index, name)
            if maker is not None:
                return f"input {path} leads to {name}, which {maker} makes: add {name} to its inputs"
        return None

    def _never_ran(self, instance: Instance) -> Verdict:
        """The verdict while nothing is known, which is the same for all unless one of them has failed."""
        if self.session.store.failures:
            verdict = Verdict(Kind.RUN, "")
            self._explain(instance, verdict)
            return verdict
        if self._never is None:
            self._never = Verdict(Kind.RUN, "")
            self._explain(instance, self._never)
        return self._never

    def value_of(self, index: int) -> Callable[[str], tuple[bool, Any]]:
        """How the instance ``index`` sees the context: key -> (there, value).

        A key that only steps which are no ancestors set counts as there: a record of a read that missed it
        must not stand in for the error that the read is now.
        """
        view: dict[str, Any] | None = None

        def value(key: str) -> tuple[bool, Any]:
            nonlocal view
            if view is None:
                view = self.contexts.view(index)
            if key == ALL_KEYS:
                return True, sorted(view)
            return key in view or key in self.contexts.foreign(index), view.get(key)

        return value

    def _look_up(self, index: int, instance: Instance, verdict: Verdict) -> None:
        """Find a record for the key and compare it with what is on disk; fills in ``verdict``."""
        value_of = self.value_of(index)
        declared = [(output.path, output.directory) for output in instance.outputs]

        def holding(records: Iterable[Record]) -> Record | None:
            found = [record for record in records if fits(record, declared)]
            for record in found:
                verdict.known.update(record.get("discovered", ()))
            best, disputed = matching(found, self.discovered.token_of, value_of)
            verdict.disputed = verdict.disputed or disputed
            return best

        record = holding(self.session.store.find(verdict.key))
        if record is None and self.shared is not None and not verdict.disputed:
            self.shared.at(verdict.key, instance)
            found = self.shared.find(verdict.key)
            if found is None:
                verdict.kind = Kind.ASKED
                return
            record = holding(found)
            verdict.imported = record is not None
            if record is not None and record.get("modes"):
                from f0make.files import times_and_modes
                from f0make.workspace import umask

                record = times_and_modes.tamed(record, umask.current())
        if record is None:
            self._explain(instance, verdict)
            if verdict.disputed:
                verdict.reason = "several recorded results fit what is there now, and differ"
            return
        verdict.record = record
        here = {output.path: self.tokens.on_disk(output.path) for output in instance.outputs}
        verdict.wrong = out_of_place(record, instance.outputs, here.__getitem__)
        verdict.wrong += [
            o for o in instance.outputs if here[o.path] is None and self._unreadable(index, o, record)
        ]
        if not verdict.wrong:
            verdict.kind, verdict.reason = Kind.CURRENT, "up to date"
            return
        first = verdict.wrong[0].path
        present = here[first] is not None
        restorable = self.restorable(record, verdict.wrong)
        if restorable is None:
            verdict.kind = Kind.ASKED
        elif restorable:
            ours = present and self.session.store.made.get(first) == here[first]
            what = "holds another result" if ours else "was altered" if present else "is missing"
            verdict.kind, verdict.reason = Kind.RESTORE, f"output {first} {what}"
        else:
            verdict.reason = (
                f"output {first} {'differs' if present else 'is missing'} and is not in the cache"
            )

    def _unreadable(self, index: int, output: Output, record: Record) -> bool:
        """Whether ``output``, which is temp and gone, is or holds a link that others read, and nobody knows where it led."""
        if not output.temp:
            return False
        entries = record.get("trees", {}).get(output.path, {})
        tokens = {output.path: record["outputs"][output.path]}
        tokens.update((f"{output.path}/{relative}", token) for relative, token in entries.items())
        links = {
            path
            for path, token in tokens.items()
            if token[:1] == "@" and self._link_text(token[1:65]) is None
        }
        if not links:
            return False
        graph = self.session.graph
        return any(
            path == link or path.startswith(link + "/")
            for user in users(graph, index)
            for written in graph.instances[user].inputs
            for path in (written, *graph.through.get(written, ()))
            for link in links
        )

    def _explain(self, instance: Instance, verdict: Verdict) -> None:
        latest = self.session.store.latest(instance.name)
        found = {path: self.discovered.token_of(path) for path in (latest or {}).get("discovered", {})}
        verdict.changes = differences(latest, verdict.parts, verdict.inputs, found)
        verdict.changes = self._with_code(instance, latest, verdict.changes)
        verdict.reason = reason_to_run(latest, verdict.changes)
        if not verdict.changes and self.session.store.last_fail(instance.name) is not None:
            verdict.reason = "its last run failed"
        elif latest and not verdict.changes and (latest.get("reads") or latest.get("missing_reads")):
            verdict.reason = "what it reads of the context changed"

    def _with_code(self, instance: Instance, latest: Record | None, changes: list[Change]) -> list[Change]:
        """Put the changed line of code in the place of the changed digest, where the old code is known."""
        if latest is None or not any(change.part == "code" for change in changes):
            return changes
        from f0make.plan.code_changes import code_changes

        facts = self.session.code[instance.name]
        lines = code_changes(latest.get("sources", {}), facts.sources, self._old_source)
        if not lines:
            return changes
        at = next(n for n, change in enumerate(changes) if change.part == "code")
        return changes[:at] + lines + changes[at + 1 :]

    def _link_text(self, digest: str) -> str | None:
        data = self._old_source(digest)
        return None if data is None else os.fsdecode(data)

    def _old_source(self, digest: str) -> bytes | None:
        try:
            return self.blobs.read(digest) if self.blobs is not None else None
        except (OSError, BlobMissing, BlobCorrupt):
            return None

    def restorable(self, record: Record, outputs: list[Output], wait: bool = False) -> bool | None:
        """Whether the cache holds everything that ``outputs`` need.

        None while a cache that is far away is asked for it (not if ``wait``: then its answer is waited for).
        """
        if self.blobs is None:
            return False
        missing = [
            digest
            for output in outputs
            for digest in blobs_of(record["outputs"][output.path], record.get("trees", {}).get(output.path))
            if not self.blobs.has(digest)
        ]
        if not missing or self.shared is None:
            return not missing
        brought = self.shared.bring(record["key"], missing)
        if brought is None and wait:
            self.shared.wait(record["key"])
            brought = self.shared.bring(record["key"], missing)
        return brought
