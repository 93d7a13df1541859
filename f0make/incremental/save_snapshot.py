"""Writing what a good run leaves for the next one: its snapshot, and beside it the expanded graph."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from f0make.ascii_json import dumper
from f0make.files import sealed_files
from f0make.files.times_and_modes import RIGHTS, Marks
from f0make.incremental import eligibility, packed_lists
from f0make.incremental.affected import listing
from f0make.incremental.missing_outputs import may_come_back
from f0make.incremental.pack_instance import pack
from f0make.incremental.path_index import EVERYBODY, direct, made, owners_of
from f0make.incremental.write_snapshot import Files, discovered_by, place_of, write
from f0make.store import snapshot
from f0make.store.snapshot import WRITER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.files.stat_cache import Row
    from f0make.incremental.eligibility import Reason
    from f0make.model import Instance, Recipe
    from f0make.options import RunOptions
    from f0make.recipe_graph.graph_inputs import GraphInputs
    from f0make.run_records import RunResults
    from f0make.workset import StepCode, Workset


def save(
    workset: Workset,
    recipe: Recipe,
    inputs: GraphInputs,
    results: RunResults,
    options: RunOptions,
    recipe_path: str,
    targets: Sequence[str],
) -> Reason | None:
    """Write the snapshot of a full run that left everything as it should be; why not, when it cannot be vouched for.

    Raises OSError when it cannot be written.
    """
    request = snapshot.request_of_run(options, recipe_path, list(targets))
    against = eligibility.against_snapshot(options) or eligibility.against_recipe_snapshot(
        recipe, sealed_files.possible()
    )
    if request is None or against is not None:
        return against or eligibility.BACKEND
    finished = _Finished(workset, inputs, results)
    rows = finished.rows()
    if rows is None:
        return eligibility.UNSURE
    present = {path: row for path, row in rows.items() if row[0]}
    paths = sorted(present)
    files = Files(paths, [present[path][0] for path in paths], [present[path][1] or "" for path in paths])
    index: dict[str, Any] | None = None
    data: list[bytes] = []
    uses_context = results.uses_context or bool(workset.setters)
    against = eligibility.against_graph(options) or eligibility.against_recipe_graph(
        recipe, uses_context, bool(workset.store.damage)
    )
    try:
        packed = pack(finished.instances) if against is None else None
    except ValueError:
        packed, against = None, eligibility.UNPACKABLE
    if packed is not None:
        steps, data = packed
        index = finished.index(steps, data, files)
    elif finished.always_dirty:
        return against
    skipped = len(finished.skipped)
    head = {
        "writer": WRITER,
        "id": os.urandom(8),
        "request": request,
        "place": place_of(workset.workspace, rows),
        **files.head(),
        "absent": sorted(path for path, row in rows.items() if row[0] is None),
        "always_dirty": bool(finished.always_dirty),
        "no_graph": str(against or ""),
        "counts": {"current": len(finished.instances) - skipped, "skipped": skipped},
        "saved": finished.saved(),
        "recipe": recipe_path,
        "known_as": workset.store.recipe,
    }
    write(workset.workspace, head, finished.events(), index, data, files.tokens)
    return None


class _Finished:
    """The instances of a run that is over, numbered as in its snapshot."""

    def __init__(self, workset: Workset, inputs: GraphInputs, results: RunResults) -> None:
        self._workset = workset
        self._graph = workset.graph
        self._inputs = inputs
        self._results = results
        self._root = workset.workspace.rstrip("/") + "/"
        self._nodes = [n for n in sorted(results.wanted) if n < len(self._graph.instances)]
        self.instances = [self._graph.instances[n] for n in self._nodes]
        self.skipped = [k for k, n in enumerate(self._nodes) if n in results.skipped]
        self.always_dirty = [k for k, i in enumerate(self.instances) if i.fingerprint or i.always]
        self._spared = [workset.store.spared(i.name) for i in self.instances]

    def rows(self) -> dict[str, Row] | None:
        """What is known of every path that the answer rests on; None when some of it is not sure."""
        contents, inputs = self._workset.contents, self._inputs
        asked = contents.asked
        own = {contents.full(o.path) for i in self.instances for o in i.outputs}
        codes = {code.digest: code for code in self._workset.code.values()}
        if any(code.changed(own) is not None for code in codes.values()):
            return None  # It was read when the run began.
        for path in inputs.files.union(*(i.inputs for i in self.instances)):
            if path not in asked:
                contents.token(path)
        for path in {o.path for i in self.instances for o in i.outputs}:
            if path not in asked:
                contents.own(path)
        for path in inputs.files:
            seen = asked[path][0] if path in asked else None
            if seen is not None and inputs.changed(path, seen) and contents.full(path) not in own:
                return None  # A recipe, a table or a module that has changed since it was read.
        rows = contents.rows()
        for path, row in (*inputs.directories.items(), *inputs.links.items()):
            if contents.signature(path) != row[0]:
                return None
            rows[path] = row
        for path in inputs.ends - rows.keys():
            rows[path] = contents.listed(path) or (None, None, False)
        if contents.wavering or any(row[2] for row in rows.values()):
            return None
        return {path.removeprefix(self._root): row for path, row in rows.items()}

    def index(self, steps: list[Any], rows: list[bytes], files: Files) -> dict[str, Any]:
        """Tables over all instances, of which ``steps`` and ``rows`` are the packed form; ``files`` get their owners."""
        workset, instances = self._workset, self.instances
        self._own(files)
        return {
            "rows": array("Q", accumulate(map(len, rows), initial=0)).tobytes(),
            "marks": sealed_files.marks(rows),
            "steps": steps,
            "needed_by": self._needed_by(),
            "code": _code(workset.code, instances) if workset.code else ({}, []),
            "log": workset.store.mark(),
            "warnings": workset.notes,
            "through": {path: list(names) for path, names in self._graph.through.items()},
            "test_meta": dict(workset.test_meta),
            "plain": self._plain(files),
            **files.index(),
            "names": "\0".join(i.name for i in instances),
            "temps": {o.path: k for k, i in enumerate(instances) for o in i.outputs if o.temp},
            "skipped": self.skipped,
            "always_dirty": self.always_dirty,
            "listings": {
                path.removeprefix(self._root): listing(os.path.join(workset.workspace, path))
                for path in self._inputs.directories
            },
            "seconds": array("d", [seconds for seconds, _ in self._spared]).tobytes(),
            "energy": array("d", [energy for _, energy in self._spared]).tobytes(),
        }

    def saved(self) -> tuple[float, float]:
        """(seconds, kWh) that the last runs of all instances took."""
        return round(sum(s for s, _ in self._spared), 6), sum(e for _, e in self._spared)

    def events(self) -> bytes:
        """What a run that finds nothing to do says of each instance."""
        text, skipped = dumper(), self._results.skipped
        lines = []
        for node, instance in zip(self._nodes, self.instances, strict=True):
            status, reason = "current", "gathers" if instance.step.type == "gather" else "up to date"
            if node in skipped:
                status, reason = "skipped", skipped[node]
            # As `json.dumps` writes it; only a name can hold what needs its care.
            event = f'"status": "{status}", "reason": "{reason}", "seconds": 0'
            lines.append(f'{{"event": "step", "step": {text(instance.name)}, {event}}}')
        return "\n".join(lines).encode("ascii")

    def _needed_by(self) -> tuple[bytes, bytes]:
        """Who needs whom; the numbers behind those of the instances are barriers."""
        barriers = [n for n in sorted(self._graph.barriers) if n in self._results.wanted]
        nodes = [*self._nodes, *barriers]
        number = {n: k for k, n in enumerate(nodes)}
        users = self._graph.needed_by
        return packed_lists.pack([[number[u] for u in users[n] if u in number] for n in nodes])

    def _own(self, files: Files) -> None:
        """Note whom each of ``files`` concerns."""
        inputs = self._inputs
        discovered = {
            k: found
            for k, n in enumerate(self._nodes)
            if (found := discovered_by(self._results, self._graph, n))
        }
        known = direct(enumerate(self.instances), discovered, self._workset.contents.via)
        general = {
            path.removeprefix(self._root) for path in (*inputs.files, *inputs.directories, *inputs.links)
        }
        # What was missing when the graph was made and is made by it now was expected to come.
        general -= {path for path in inputs.missing_dependencies if made(known.get(path, ()))}
        for path, owners in zip(files.paths, owners_of(files.paths, known), strict=True):
            files.owners.append(owners | {EVERYBODY} if path in general or not owners else owners)

    def _plain(self, files: Files) -> bytes:
        """1 for each instance whose outputs may be put back without deciding anything, 0 for the others."""
        plain = bytearray(map(may_come_back, self.instances))
        for k in self.skipped:
            plain[k] = 0
        signatures = dict(zip(files.paths, files.signatures, strict=True))
        for k, n in enumerate(self._nodes):
            if plain[k] and not self._as_recorded(n, signatures):
                plain[k] = 0
        return bytes(plain)

    def _as_recorded(self, node: int, signatures: Mapping[str, Any]) -> bool:
        """Whether the outputs of ``node`` still have the times and rights of their record: they come back with those."""
        record = self._results.record(node)
        if record is None or not record.get("times"):
            return True  # made just now, or recorded without
        for output in self._graph.instances[node].outputs:
            signature, marks = signatures.get(output.path), Marks(record, output.path)
            if signature is None:
                continue
            time, mode = marks.time(), marks.mode()
            if time not in (None, signature[1]) or mode not in (None, signature[4] & RIGHTS):
                return False
        return True


def _code(
    known: Mapping[str, StepCode], instances: Iterable[Instance]
) -> tuple[dict[str, int], list[tuple[str, dict[str, bytes]]]]:
    """Instance -> its code, and what each code is: digest and sources."""
    found: dict[str, int] = {}
    kinds: dict[str, int] = {}
    listed: list[tuple[str, dict[str, bytes]]] = []
    for instance in instances:
        code = known.get(instance.name)
        if code is not None:
            number = kinds.setdefault(code.digest, len(listed))
            if number == len(listed):
                listed.append((code.digest, dict(code.sources)))
            found[instance.name] = number
    return found, listed
