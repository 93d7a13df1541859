"""Writing what a good run leaves for the next one: its snapshot, and beside it the expanded graph."""

from __future__ import annotations

import marshal
import os
import stat
from array import array
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

from f0make.ascii_json import dumper
from f0make.command_table import options_of
from f0make.engine.decider import Kind
from f0make.engine.node_state import State
from f0make.fast_dataclass import dataclass, field
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.files.times_and_modes import RIGHTS, Marks
from f0make.incremental import packed_lists, string_table
from f0make.incremental.affected import listing
from f0make.incremental.missing_outputs import may_come_back
from f0make.incremental.pack_instance import pack
from f0make.incremental.packed_graph import INDEX_MAGIC
from f0make.incremental.path_index import EVERYBODY, direct, made, owners_of
from f0make.incremental.run_request import request_of_run
from f0make.store import snapshot
from f0make.store.snapshot import CHUNK, MAGIC, PATCH, PLAIN, SIZE, WRITER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.engine.run import Run
    from f0make.files.content_cache import Row
    from f0make.model import Instance
    from f0make.options import RunOptions
    from f0make.session import Session

KEPT = 16
"""Snapshots kept; each kind of request (recipe, targets, overrides) has its own."""


@dataclass(slots=True)
class Files:
    """Paths with what is known of each, sorted."""

    paths: list[str]
    signatures: list[Any]
    tokens: list[str]
    owners: list[Collection[int]] = field(default_factory=list)

    def head(self) -> dict[str, Any]:
        """What comparing them takes."""
        return {
            "paths": "\0".join(self.paths),
            "signatures": [
                marshal.dumps(self.signatures[n : n + CHUNK], PLAIN)
                for n in range(0, len(self.signatures), CHUNK)
            ],
        }

    def index(self) -> dict[str, Any]:
        """What attributing a change takes."""
        return {"owners": packed_lists.pack(self.owners)}


def keep(session: Session, run: Run, options: RunOptions, recipe_path: str, targets: list[str]) -> bool:
    """Write the snapshot of a full run that left everything as it should be; False when it cannot be vouched for.

    Raises OSError when it cannot be written.
    """
    if not sealed_files.possible() or any(step.secrets for step in session.recipe.steps):
        return False  # a snapshot knows nothing of secrets
    request = request_of_run(options, recipe_path, targets)
    progress = run.progress
    numbers = [n for n in sorted(progress.wanted) if progress.is_instance(n)]
    instances = [run.graph.instances[n] for n in numbers]
    rows = _rows(session, instances)
    if request is None or rows is None:
        return False
    root = session.workspace.rstrip("/") + "/"
    rows = {path.removeprefix(root): row for path, row in rows.items()}
    skipped = [k for k, n in enumerate(numbers) if progress.state[n] is State.SKIPPED]
    compiled = _compile(session, run, options, numbers, skipped)
    restless = [k for k, i in enumerate(instances) if i.fingerprint or i.always]
    if compiled is None and restless:
        return False
    present = {path: row for path, row in rows.items() if row[0]}
    paths = sorted(present)
    files = Files(paths, [present[path][0] for path in paths], [present[path][1] or "" for path in paths])
    spared = [session.store.spared(i.name) for i in instances]
    index: dict[str, Any] | None = None
    data: list[bytes] = []
    if compiled is not None:
        data = compiled.pop("data")
        index = {**_finish(session, run, compiled, files, numbers, restless, skipped), **_times(spared)}
    head = {
        "writer": WRITER,
        "id": os.urandom(8),
        "request": request,
        "place": place_of(session.workspace, rows),
        **files.head(),
        "absent": sorted(path for path, row in rows.items() if row[0] is None),
        "restless": bool(restless),
        "counts": {"current": len(instances) - len(skipped), "skipped": len(skipped)},
        "saved": (round(sum(s for s, _ in spared), 6), sum(e for _, e in spared)),
        "recipe": recipe_path,
        "known_as": session.store.recipe,
    }
    write(session.workspace, head, _events(run, numbers), index, data, files.tokens)
    return True


def place_of(workspace: str, rows: Mapping[str, Row]) -> str:
    """The real path of ``workspace`` where what ``rows`` say holds only there, else nothing.

    That is so as soon as a link is absolute, or leads out of the workspace: from another place it leads elsewhere.
    """
    for path, row in rows.items():
        if path[:1] == "/" or (
            row[0] is not None and stat.S_ISLNK(row[0][4]) and _is_absolute(workspace, path)
        ):
            return os.path.realpath(workspace)
    return ""


def _is_absolute(workspace: str, link: str) -> bool:
    try:
        return os.readlink(os.path.join(workspace, link))[:1] == "/"
    except OSError:
        return True  # gone since: nothing is known of it


def _rows(session: Session, instances: list[Instance]) -> dict[str, Row] | None:
    """What is known of every path that the answer rests on; None when some of it is not sure."""
    contents = session.contents
    asked = contents.asked
    own = {contents.full(o.path) for i in instances for o in i.outputs}
    codes = {facts.digest: facts for facts in session.code.values()}
    if any(facts.changed(own) is not None for facts in codes.values()):
        return None  # It was read when the run began.
    for path in session.watched_files.union(*(i.inputs for i in instances)):
        if path not in asked:
            contents.token(path)
    for path in {o.path for i in instances for o in i.outputs}:
        if path not in asked:
            contents.own(path)
    for path in session.watched_files:
        seen = asked[path][0] if path in asked else None
        if seen is not None and seen[2] > session.opened_ns and contents.full(path) not in own:
            return None  # A recipe, a table or a module that has changed since it was read.
    rows = contents.rows()
    for path, row in (*session.directory_rows.items(), *session.link_rows.items()):
        if contents.signature(path) != row[0]:
            return None
        rows[path] = row
    for path in session.ends - rows.keys():
        rows[path] = contents.listed(path) or (None, None, False)
    return None if contents.wavering or any(row[2] for row in rows.values()) else rows


def _compile(
    session: Session, run: Run, options: RunOptions, numbers: list[int], skipped: list[int]
) -> dict[str, Any] | None:
    """The instances of the graph in packed form; None where a partial run could not do what a full one does."""
    if run.contexts.writes or run.attempts.missing_reads or session.setters or session.recipe.budget:
        return None
    limited = any(options.value(field) for field in options_of(value="budget"))
    if options.energy or limited or session.store.damage:
        return None
    if any(entry.after for step in session.recipe.steps for entry in step.foreach):
        return None  # the graph may grow
    instances = [run.graph.instances[n] for n in numbers]
    try:
        steps, rows = pack(instances)
    except ValueError:
        return None
    node = {n: k for k, n in enumerate(numbers)}
    barriers = [n for n in sorted(run.graph.barriers) if n in run.progress.wanted]
    node.update((n, k) for k, n in enumerate(barriers, len(numbers)))
    users = run.graph.needed_by
    return {
        "data": rows,
        "rows": array("Q", accumulate(map(len, rows), initial=0)).tobytes(),
        "marks": sealed_files.marks(rows),
        "steps": steps,
        "needed_by": packed_lists.pack(
            [[node[u] for u in users[n] if u in node] for n in (*numbers, *barriers)]
        ),
        "code": _code(session, instances) if session.code else ({}, []),
        "log": session.store.mark(),
        "warnings": session.notes,
        "through": {path: list(names) for path, names in run.graph.through.items()},
        "test_meta": dict(session.recipe.test_meta),
    }


def _code(
    session: Session, instances: list[Instance]
) -> tuple[dict[str, int], list[tuple[str, dict[str, bytes]]]]:
    """Instance -> its code, and what each code is: digest and sources."""
    found: dict[str, int] = {}
    kinds: dict[str, int] = {}
    listed: list[tuple[str, dict[str, bytes]]] = []
    for instance in instances:
        facts = session.code.get(instance.name)
        if facts is not None:
            number = kinds.setdefault(facts.digest, len(listed))
            if number == len(listed):
                listed.append((facts.digest, dict(facts.sources)))
            found[instance.name] = number
    return found, listed


def _finish(
    session: Session,
    run: Run,
    compiled: dict[str, Any],
    files: Files,
    numbers: list[int],
    restless: list[int],
    skipped: list[int],
) -> dict[str, Any]:
    """The index of ``compiled``."""
    instances = [run.graph.instances[n] for n in numbers]
    discovered = {k: found for k, n in enumerate(numbers) if (found := discovered_by(run, n))}
    known = direct(enumerate(instances), discovered, session.contents.via)
    root = session.workspace.rstrip("/") + "/"
    general = {
        path.removeprefix(root)
        for path in (*session.watched_files, *session.directory_rows, *session.link_rows)
    }
    # What was missing when the graph was made and is made by it now was expected to come.
    general -= {path for path in session.asked_in_vain if made(known.get(path, ()))}
    for path, owners in zip(files.paths, owners_of(files.paths, known), strict=True):
        files.owners.append(owners | {EVERYBODY} if path in general or not owners else owners)
    plain = bytearray(map(may_come_back, instances))
    for k in skipped:
        plain[k] = 0
    signatures = dict(zip(files.paths, files.signatures, strict=True))
    for k, n in enumerate(numbers):
        if plain[k] and not _as_recorded(run, n, signatures):
            plain[k] = 0
    return {
        **compiled,
        "plain": bytes(plain),
        **files.index(),
        "names": "\0".join(i.name for i in instances),
        "temps": {o.path: k for k, i in enumerate(instances) for o in i.outputs if o.temp},
        "skipped": skipped,
        "restless": restless,
        "listings": {
            path.removeprefix(root): listing(os.path.join(session.workspace, path))
            for path in session.directory_rows
        },
    }


def _as_recorded(run: Run, node: int, signatures: Mapping[str, Any]) -> bool:
    """Whether the outputs of ``node`` still have the times and rights of their record: they come back with those."""
    verdict = run.verdicts.get(node)
    record = verdict.record if verdict is not None else None
    if record is None or not record.get("times"):
        return True  # made just now, or recorded without
    for output in run.graph.instances[node].outputs:
        signature, marks = signatures.get(output.path), Marks(record, output.path)
        if signature is None:
            continue
        time, mode = marks.time(), marks.mode()
        if time not in (None, signature[1]) or mode not in (None, signature[4] & RIGHTS):
            return False
    return True


def _times(spared: list[tuple[float, float]]) -> dict[str, bytes]:
    """What the last run of each instance took, for the index."""
    return {
        "seconds": array("d", [seconds for seconds, _ in spared]).tobytes(),
        "energy": array("d", [energy for _, energy in spared]).tobytes(),
    }


def discovered_by(run: Run, node: int) -> Iterable[str]:
    """The paths that the present result of ``node`` discovered."""
    verdict = run.verdicts.get(node)
    if verdict is not None and verdict.kind is not Kind.RUN and verdict.record is not None:
        found: Iterable[str] = verdict.record.get("discovered", ())
        return found
    return run.attempts.discovered.get(run.graph.instances[node].name, ())


def _events(run: Run, numbers: list[int]) -> bytes:
    """What a run that finds nothing to do says of each instance."""
    text = dumper()
    lines = []
    for node in numbers:
        instance = run.graph.instances[node]
        status, reason = "current", "gathers" if instance.step.type == "gather" else "up to date"
        if run.progress.state[node] is State.SKIPPED:
            status = "skipped"
            reason = run.progress.why_doomed(node) if node in run.progress.doom else "when"
        # As `json.dumps` writes it; only a name can hold what needs its care.
        event = f'"status": "{status}", "reason": "{reason}", "seconds": 0'
        lines.append(f'{{"event": "step", "step": {text(instance.name)}, {event}}}')
    return "\n".join(lines).encode("ascii")


def write(
    workspace: str,
    head: dict[str, Any],
    events: bytes,
    index: dict[str, Any] | None,
    rows: list[bytes],
    tokens: list[str],
) -> None:
    """Write a snapshot; without ``index`` one that a partial run cannot start from. Raises OSError."""
    name = os.path.join(workspace, snapshot.name_of(head["request"]))
    packed, pieces = b"", list[bytes]()
    if index is not None:
        index["tokens"], pieces = string_table.pack(tokens, sum(map(len, rows)))
        packed = sealed_files.seal(INDEX_MAGIC, index)
    head["events"] = (len(events), sealed_files.mark(events))
    head["index"] = (len(events), len(packed)) if packed else None
    head["rows"] = len(events) + len(packed)
    first = sealed_files.seal(MAGIC, head)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    start = [MAGIC, len(first).to_bytes(SIZE, "big"), first]
    write_atomic(name, b"".join([*start, events, packed, *rows, *pieces]))
    try:
        os.unlink(name + PATCH)
    except FileNotFoundError:
        pass
    _prune(os.path.dirname(name))


def _prune(directory: str) -> None:
    names = [os.path.join(directory, name) for name in os.listdir(directory) if not name.endswith(PATCH)]
    if len(names) > KEPT:
        names.sort(key=os.path.getmtime)
        for name in names[: len(names) - KEPT]:
            os.unlink(name)
            if os.path.exists(name + PATCH):
                os.unlink(name + PATCH)
