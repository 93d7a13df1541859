"""What becomes of an instance when an attempt of it has come back."""

from __future__ import annotations

from f0make.engine.attempts import Attempt, retries_of
from f0make.engine.check_result import ResultCheck
from f0make.engine.commit_result import Commit
from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.node_state import State
from f0make.engine.output_files import Outputs
from f0make.engine.run_state import RunState, Stop, StopReason
from f0make.engine.slot_pool import SlotPool
from f0make.options import Reporter
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.governor.base import Governing
    from f0make.workset import Workset

MOST_CHANGES = 2
"""How often an instance runs again because an input changed under it."""


class Completion:
    """Turns outcomes into records, failures and further attempts. ``retries`` is that of `--retries`."""

    def __init__(
        self,
        state: RunState,
        session: Workset,
        outputs: Outputs,
        check: ResultCheck,
        commit: Commit,
        *,
        pool: SlotPool,
        backend: LazyBackend,
        governor: Governing,
        reporter: Reporter,
        retries: int | None,
    ) -> None:
        self._state = state
        self._session = session
        self._outputs = outputs
        self._check = check
        self._commit = commit
        self._pool = pool
        self._backend = backend
        self._governor = governor
        self._reporter = reporter
        self._retries = retries

    def take(self, outcome: Outcome) -> None:
        """An attempt has come back: settle its instance, or let that run again, and let the backend go on."""
        attempt = self._state.attempts.of(outcome.token)
        if attempt is not None:
            self._account(attempt, outcome)
            if not self._state.interrupted:
                node = self._state.graph.by_name[attempt.instance.name]
                try:
                    self._judge(node, attempt, outcome)
                except OSError as error:
                    self._state.fail_by_error(node, error)
        if not outcome.ok and not outcome.lost:
            # It starts nothing more until it is told whether the run goes on.
            if self._state.stopping:
                self._backend.made().recall()
            else:
                self._backend.made().go_on()

    def abandon(self) -> None:
        """Every step was ended: put aside what was half made."""
        for attempt in self._state.attempts.open():
            self._discard(attempt)
            self._state.decide_again(self._state.graph.by_name[attempt.instance.name])

    def _account(self, attempt: Attempt, outcome: Outcome) -> None:
        state = self._state
        state.ready.end(state.graph.by_name[attempt.instance.name])
        attempt.cost = self._governor.ended(outcome)
        self._pool.ended(outcome)
        state.results.tally.ran(outcome)
        if outcome.ok:
            state.ready.learn(attempt.instance, outcome.seconds)

    def _judge(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        """Settle ``node`` by ``outcome``, or let it run again. Raises OSError."""
        if outcome.lost and self._backend.travels(attempt.bundle):
            self._lost(node, attempt, outcome)
        elif outcome.lost or self._spared(outcome):
            self._discard(attempt, failed=False)
            if outcome.lost:
                attempt.number -= 1  # It never started.
            self._state.enqueue(node)
        elif outcome.ok:
            self._succeeded(node, attempt, outcome)
        else:
            self._failed(node, attempt, outcome)

    def _spared(self, outcome: Outcome) -> bool:
        """Whether the attempt ended through what f0make did to it."""
        return not outcome.ok and (self._backend.excuses(outcome) or self._governor.spared(outcome))

    def _lost(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        """It ended through no fault of the step, somewhere else; perhaps because an input was no longer there."""
        name, host = attempt.instance.name, attempt.bundle.host
        if host and outcome.unfit:
            why = f"{host}: {outcome.message}"
            if not self._pool.ban(node, host):
                self._discard(attempt, failed=False)
                self._tell_failure(node, attempt, outcome, why)
                return
            self._reporter.note(f"{name}: {why}; it runs elsewhere")
        changed = self._check.changed_input(node, attempt, outcome)
        if changed:
            self._void(node, attempt, outcome, f"input {changed} changed while {name} ran")
        else:
            self._discard(attempt, failed=False)
            self._state.enqueue(node)

    def _failed(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        instance = attempt.instance
        edited = self._check.changed_code(attempt)
        if edited and not outcome.disk_full and attempt.changes < MOST_CHANGES:
            self._void(node, attempt, outcome, f"{edited} changed while {instance.name} ran")
            return
        self._discard(attempt, keep=not outcome.disk_full)
        retries = retries_of(instance, self._retries)
        if outcome.disk_full:
            text = f"no space left on device ({instance.name}: {outcome.message})"
            self._state.end(StopReason(Stop.DISK_FULL, text))
        elif attempt.failures < retries:
            attempt.failures += 1
            from f0make.engine.retention import keep_attempt

            keep_attempt(attempt.bundle.log, attempt.number)
            self._reporter.note(
                f"{instance.name}: {outcome.message}; attempt {attempt.number + 1} of {retries + 1}"
            )
            self._state.retry(node, instance.retry_delay)
            return
        self._tell_failure(node, attempt, outcome, outcome.message)

    def _succeeded(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        state, name = self._state, attempt.instance.name
        instance, verdict = state.graph.instances[node], state.verdicts[node]
        changed = self._check.changed_input(node, attempt, outcome)
        edited = None if changed else self._check.changed_code(attempt)
        if changed or edited:
            what = f"input {changed}" if changed else edited
            self._void(node, attempt, outcome, f"{what} changed while {name} ran")
            return
        problem = self._check.objection(attempt, outcome, verdict.inputs)
        if problem:
            self._discard(attempt)
            self._tell_failure(node, attempt, outcome, problem)
            return
        if outcome.strays:
            from f0make.worker.guard.watch_step import described

            self._reporter.note(f"{name}: {described(outcome.strays)}")
        if outcome.message:
            self._reporter.note(f"{name}: {outcome.message}")
        self._outputs.date(instance, outcome)
        record = self._commit.commit(attempt, outcome, verdict.inputs)
        self._outputs.protect(instance.outputs)
        if record.get("writes") or record.get("missing_reads"):
            from f0make.engine.context_keys import remember_writes

            for text in remember_writes(state, self._session, node, record):
                self._reporter.note(text)
        self._reporter.output(name, attempt.bundle.log, False)
        verdict.parts, verdict.inputs, verdict.changes, verdict.seen = {}, {}, [], {}
        state.settle(node, State.RAN, verdict.reason, outcome=outcome, cost=attempt.cost)
        state.attempts.over(attempt)

    def _void(self, node: int, attempt: Attempt, outcome: Outcome, why: str) -> None:
        """The result rests on an input that has changed meanwhile: decide again, from what the inputs hold now."""
        attempt.changes += 1
        failed = attempt.changes > MOST_CHANGES
        self._discard(attempt, failed=failed)
        if failed:
            self._state.fail(node, why, outcome, attempt.cost)
            return
        self._reporter.note(f"{why}; it runs again")
        self._state.decide_again(node)

    def _tell_failure(self, node: int, attempt: Attempt, outcome: Outcome, why: str) -> None:
        self._reporter.output(attempt.instance.name, attempt.bundle.log, True)
        self._state.fail(node, why, outcome, attempt.cost)

    def _discard(self, attempt: Attempt, keep: bool = True, failed: bool = True) -> None:
        """Put aside what the attempt left, and close it in the log.

        Without ``keep`` it is removed: a file cut off by a full disk must not go on filling it. Not ``failed``:
        it ended through no fault of the step, or was never started.
        """
        attempt.open = False
        self._outputs.set_aside([path for path, _ in attempt.bundle.outputs], keep)
        closing: dict[str, Any] = {"instance": attempt.instance.name, "token": attempt.bundle.token}
        self._session.store.append_fail(closing if failed else {**closing, "lost": True})
