"""Writing down what a successful attempt came to: in the log, and for others in a shared cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.engine.attempt_records import record_of
from f0make.engine.attempts import Attempt
from f0make.engine.check_result import ResultCheck
from f0make.engine.promised_tokens import Tokens
from f0make.engine.run_state import RunState
from f0make.files.sha import sha256
from f0make.model import Instance
from f0make.plan.decide import ABSENT, SETTLES
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.workset import Workset


class Commit:
    """Makes the records of one run. ``token_of`` tells what lies now where a record discovered something."""

    def __init__(
        self,
        state: RunState,
        session: Workset,
        tokens: Tokens,
        check: ResultCheck,
        *,
        run_id: str,
        blobs: Blobs | None,
        shared: ForPlatform | None,
        token_of: Callable[[str], str | None],
    ) -> None:
        self._state = state
        self._session = session
        self._tokens = tokens
        self._check = check
        self._run_id = run_id
        self._blobs = blobs
        self._shared = shared
        self._token_of = token_of
        self._saved_sources: set[str] = set()

    def commit(self, attempt: Attempt, outcome: Outcome, run_inputs: Mapping[str, str]) -> dict[str, Any]:
        """Write the result down (the caller flushes) and return its record."""
        instance, contents = attempt.instance, self._session.contents
        node = self._state.graph.by_name[instance.name]
        attempt.open = False
        for path, signature in outcome.signatures.items():
            token = outcome.outputs.get(path) or self._inside(outcome, path)
            if token is not None:
                contents.learn(path, signature[:5], token, signature[5])
        discovered = {
            p: self._tokens.of(p) or ABSENT for p in self._check.discovered(attempt, outcome, run_inputs)
        }
        # What other results of this key read and was not there for this one might have made it another.
        for path in self._state.verdicts[node].known - discovered.keys() - run_inputs.keys():
            if self._token_of(path) is None:
                discovered[path] = ABSENT
        discovered.update(dict.fromkeys(self._check.absent(attempt, outcome), ABSENT))
        if discovered:
            self._state.attempts.discovered[instance.name] = list(discovered)
        record = record_of(
            instance,
            self._state.verdicts[node],
            outcome,
            discovered,
            run_id=self._run_id,
            attempt=attempt.number,
            sources=self._keep_sources(instance),
            test_meta=self._session.test_meta,
        )
        if self._state.verdicts[node].disputed:
            record[SETTLES] = True
        record.update(attempt.cost)
        self._session.store.append_record(record)
        if self._shared is not None and outcome.stored and self._for_others(record):
            self._shared.put(record, instance, outcome.machine, outcome.python)
        return record

    def _for_others(self, record: dict[str, Any]) -> bool:
        """Whether the shared cache may have the result: on a server everybody would read what is not for others."""
        shared = self._shared
        if not record.get("modes") or shared is None or not shared.unrestricted:
            return True
        from f0make.files import times_and_modes
        from f0make.workspace import umask

        return not times_and_modes.has_private(record, umask.current())

    def _inside(self, outcome: Outcome, path: str) -> str | None:
        for root, tree in outcome.trees.items():
            if path.startswith(root + "/"):
                return tree.get(path[len(root) + 1 :])
        return None

    def _keep_sources(self, instance: Instance) -> dict[str, str]:
        """Keep the source of a python step's modules, so that `f0make why` can show an old line later."""
        facts = self._session.code.get(instance.name)
        if facts is None or self._blobs is None:
            return {}
        kept = {}
        for path, data in facts.sources.items():
            digest = sha256(data).hexdigest()
            if digest not in self._saved_sources:
                self._blobs.add_bytes(data)
                self._saved_sources.add(digest)
            kept[path] = digest
        return kept
