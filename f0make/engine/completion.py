"""What becomes of an instance when an attempt of it has come back."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.engine.attempts import MOST_CHANGES, Attempt, unseen
from f0make.engine.node_state import State
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.engine.run import Run


class Judge:
    """Turns outcomes into records, failures and further attempts for ``run``."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def judge(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        """Settle ``node`` by ``outcome``, or let it run again. Raises OSError."""
        run = self._run
        if outcome.lost and (run.elsewhere or run.farm is not None):
            self._lost(node, attempt, outcome)
        elif outcome.lost or self._spared(outcome):
            run.attempts.discard(attempt, failed=False)
            if outcome.lost:
                attempt.number -= 1  # It never started.
            run.enqueue(node)
        elif outcome.ok:
            self._succeeded(node, attempt, outcome)
        else:
            self._failed(node, attempt, outcome)

    def _spared(self, outcome: Outcome) -> bool:
        """Whether the attempt ended through what f0make did to it."""
        run = self._run
        if outcome.ok:
            return False
        if run.suspension is not None and run.suspension.excuses(outcome):
            return True
        return run.governor is not None and run.governor.spared(outcome)

    def _lost(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        """It ended through no fault of the step, somewhere else; perhaps because an input was no longer there."""
        run = self._run
        if run.farm is not None and outcome.unfit and outcome.host:
            name, why = attempt.instance.name, f"{outcome.host}: {outcome.message}"
            if not run.farm.ban(node, outcome.host):
                run.attempts.discard(attempt, failed=False)
                run.reporter.output(name, attempt.bundle.log, True)
                run.fail(node, why, outcome)
                return
            run.reporter.note(f"{name}: {why}; it runs elsewhere")
        changed = run.attempts.changed_input(node, attempt, outcome)
        if changed:
            self._void(node, attempt, outcome, f"input {changed} changed while {attempt.instance.name} ran")
        else:
            run.attempts.discard(attempt, failed=False)
            run.enqueue(node)

    def _failed(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        run = self._run
        instance = attempt.instance
        edited = run.attempts.changed_code(attempt)
        if edited and not outcome.disk_full and attempt.changes < MOST_CHANGES:
            self._void(node, attempt, outcome, f"{edited} changed while {instance.name} ran")
            return
        run.attempts.discard(attempt, keep=not outcome.disk_full)
        retries = run.attempts.retries(instance)
        if outcome.disk_full:
            run.disk_full = f"no space left on device ({instance.name}: {outcome.message})"
        elif attempt.failures < retries:
            attempt.failures += 1
            from f0make.engine.retention import keep_attempt

            keep_attempt(attempt.bundle.log, attempt.number)
            run.reporter.note(
                f"{instance.name}: {outcome.message}; attempt {attempt.number + 1} of {retries + 1}"
            )
            run.again(node, instance.retry_delay)
            return
        run.reporter.output(instance.name, attempt.bundle.log, True)
        run.fail(node, outcome.message, outcome)

    def _succeeded(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        run = self._run
        instance, inputs = run.graph.instances[node], run.verdicts[node].inputs
        changed = run.attempts.changed_input(node, attempt, outcome)
        edited = None if changed else run.attempts.changed_code(attempt)
        if changed or edited:
            what = f"input {changed}" if changed else edited
            self._void(node, attempt, outcome, f"{what} changed while {instance.name} ran")
            return
        problem = run.attempts.objection(attempt, outcome, inputs)
        if problem:
            run.attempts.discard(attempt)
            run.reporter.output(instance.name, attempt.bundle.log, True)
            run.fail(node, problem, outcome)
            return
        if outcome.strays:
            from f0make.worker.guard.watch_step import described

            run.reporter.note(f"{instance.name}: {described(outcome.strays)}")
        if outcome.message:
            run.reporter.note(f"{instance.name}: {outcome.message}")
        run.outputs.date(instance, outcome)
        record = run.attempts.commit(attempt, outcome, inputs)
        run.outputs.protect(instance.outputs)
        self.remember_writes(node, record)
        run.reporter.output(instance.name, attempt.bundle.log, False)
        verdict = run.verdicts[node]
        verdict.parts, verdict.inputs, verdict.changes, verdict.seen = {}, {}, [], {}
        run.settle(node, State.RAN, verdict.reason, outcome=outcome)
        run.attempts.over(attempt)

    def _void(self, node: int, attempt: Attempt, outcome: Outcome, why: str) -> None:
        """The result rests on an input that has changed meanwhile: decide again, from what the inputs hold now."""
        run = self._run
        attempt.changes += 1
        failed = attempt.changes > MOST_CHANGES
        run.attempts.discard(attempt, failed=failed)
        if failed:
            run.fail(node, why, outcome)
            return
        run.reporter.note(f"{why}; it runs again")
        run.progress.state[node] = State.WAITING
        run.progress.queue(node)

    def remember_writes(self, node: int, record: Mapping[str, Any]) -> None:
        """Take the context writes of ``record``, the result of ``node``, into the run's context."""
        run = self._run
        instance = run.graph.instances[node]
        run.contexts.settle(node, instance.step.name, record.get("writes", ()))
        if record.get("missing_reads"):
            run.attempts.missing_reads[instance.name] = set(record["missing_reads"])
        self._late_readers(node, record)

    def _late_readers(self, writer: int, record: Mapping[str, Any]) -> None:
        """A key was read, and missing, before a step that is no ancestor of the reader set it: an error."""
        run = self._run
        state = run.progress.state
        keys = {write["key"] for write in record.get("writes", ())}
        if not keys:
            return
        for name, missing in run.attempts.missing_reads.items():
            reader = run.graph.by_name[name]
            clash = keys & missing
            if clash and reader != writer and state[reader].good and writer not in run.contexts.above(reader):
                run.session.store.forget(run.verdicts[reader].key)
                run.counts[state[reader]] -= 1
                run.counts[State.FAILED] += 1
                state[reader] = State.FAILED
                run.failing = run.failing or not run.options.keep_going
                run.steps[name] = State.FAILED.value
                step = run.graph.instances[writer].step.name
                run.reporter.note(f"{name}: {unseen(sorted(clash)[0], step)}; its result is not kept")
