"""Attempts: making one ready to go, checking what it came to, and writing it down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from f0make import STATE
from f0make.engine.attempt_records import bundle_of, record_of
from f0make.engine.rerender import CannotAttempt, for_attempt
from f0make.errors import UsageError
from f0make.fast_dataclass import dataclass, field
from f0make.files.sha import sha256
from f0make.model import Instance
from f0make.plan.decide import ABSENT, SETTLES
from f0make.store.log_names import log_name
from f0make.store.validate_record import valid_discovery, valid_place
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.code.code_bases import CodeBases
    from f0make.engine.run import Run
    from f0make.workset import StepCode

MOST_CHANGES = 2
"""How often an instance runs again because an input changed under it."""


@dataclass(slots=True)
class Attempt:
    """The attempts of one instance in this run; ``bundle`` is the newest."""

    instance: Instance
    bundle: Bundle
    number: int = 0
    failures: int = 0
    changes: int = 0
    code: StepCode | None = None
    """What the python code was keyed as."""
    open: bool = False
    """Between the start and the outcome."""
    cost: dict[str, Any] = field(default_factory=dict)
    """Energy and carbon of the newest attempt, where they are measured."""


def unseen(key: str, step: str) -> str:
    """What is wrong with a read of ``key``, which ``step`` sets without being an ancestor of the reader."""
    return f"it read the context key {key!r}, which step {step!r} sets: add {step!r} to its depends_on"


class Attempts:
    """Every instance that was started in this run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._by_name: dict[str, Attempt] = {}
        self._by_token: dict[str, Attempt] = {}
        self.missing_reads: dict[str, set[str]] = {}
        """Instance name -> context keys that it asked for and that were not there."""
        self.discovered: dict[str, list[str]] = {}
        """Instance name -> what its attempt in this run discovered, where that is anything."""
        self._saved_sources: set[str] = set()
        self._bases: CodeBases | None = None
        self.started = 0
        """How many were."""
        state = os.path.join(run.session.workspace, STATE)
        self._logs = os.path.join(state, "logs")
        self._scratch = os.path.join(state, "run")

    def of(self, token: str) -> Attempt | None:
        """The attempt with ``token``, None when it is not (or not any more) expected."""
        attempt = self._by_token.pop(token, None)
        return attempt if attempt is not None and attempt.open else None

    def open(self) -> list[Attempt]:
        """Attempts without an outcome."""
        return [attempt for attempt in self._by_name.values() if attempt.open]

    def resources(self, instance: Instance) -> dict[str, float | int]:
        """What the next attempt of ``instance`` asks for; a later one may ask for more than the first."""
        known = self._by_name.get(instance.name)
        if known is None:
            return instance.resources
        with suppress(CannotAttempt):
            return for_attempt(self._run.session, instance, known.number + 1).resources
        return instance.resources

    def host_of(self, instance: str) -> str:
        """The host of the newest attempt of ``instance``, empty for this machine."""
        attempt = self._by_name.get(instance)
        return attempt.bundle.host if attempt is not None else ""

    def cost(self, instance: str) -> dict[str, Any]:
        """Energy and carbon of the newest attempt of ``instance``, empty where they are not measured."""
        attempt = self._by_name.get(instance)
        return attempt.cost if attempt is not None else {}

    def retries(self, instance: Instance) -> int:
        """How many failures are followed by another attempt."""
        override = self._run.options.retries
        return instance.retries if override is None else override

    def prepare(self, node: int, context: dict[str, Any], foreign: dict[str, str]) -> Bundle:
        """Make room for the outputs, note the start in the log, and return the bundle to submit.

        Raises CannotAttempt, and OSError.
        """
        run = self._run
        instance = run.graph.instances[node]
        known = self._by_name.get(instance.name)
        number = known.number + 1 if known else 1
        cpus = run.demands[node].cpu
        fewer = bool(instance.keyed) and cpus < self.resources(instance).get("cpu", 1)
        if known is not None and number > 1 and run.governor is not None:
            run.governor.account.waive(known.cost)
        if number > 1 or fewer:
            instance = for_attempt(run.session, instance, number, cpus if fewer else None)
        self.started += 1
        token = f"{run.run_id}/{self.started}"
        bundle = bundle_of(
            instance,
            token=token,
            attempt=number,
            workspace=run.session.workspace,
            store=run.blobs.directory if run.blobs is not None and instance.cache else None,
            cpus=cpus,
            log=f"{self._logs}/{log_name(run.session.store.recipe, instance.name)}",
            scratch=self._scratch,
            context=context,
            foreign_keys=foreign,
        )
        if instance.step.secrets and run.session.secrets is not None:
            try:
                bundle.secrets = run.session.secrets.variables(instance)
            except UsageError as error:
                raise CannotAttempt(str(error)) from None
        if run.farm is not None:
            bundle.host = run.farm.place_of(node)
            run.farm.keyed(node, bundle.host)
            if bundle.host:
                self._pack(bundle, run.verdicts[node].inputs)
                self._keep_here(bundle)
        elif run.elsewhere:
            self._pack(bundle, run.verdicts[node].inputs)
        if run.options.strict or run.options.audit:
            bundle.guard = "strict" if run.options.strict else "audit"
            bundle.allow = instance.step.allow
        facts = run.session.code.get(instance.name)
        if facts is not None:
            self._with_interpreter(bundle, instance, facts)
        if number == 1 and self.retries(instance):
            from f0make.engine.retention import forget_attempts

            forget_attempts(bundle.log, self.retries(instance))
        self._look_at_inputs(node)
        run.outputs.guard(instance.outputs, node in run.decider.forced)
        run.outputs.clear(instance.outputs, here=not bundle.host and not run.elsewhere)
        run.session.store.append_begin(
            {"instance": instance.name, "token": token, "outputs": [o.path for o in instance.outputs]}
        )
        attempt = known or Attempt(instance, bundle)
        attempt.bundle, attempt.number, attempt.open, attempt.code = bundle, number, True, facts
        self._by_name[instance.name] = self._by_token[token] = attempt
        return bundle

    def _look_at_inputs(self, node: int) -> None:
        """Note the signatures of the inputs that were not looked at when ``node`` was decided: they were brought back."""
        verdict, contents = self._run.verdicts[node], self._run.session.contents
        for path in verdict.inputs:
            if path not in verdict.seen:
                contents.token(path)
                verdict.seen[path] = self._run.decider.seen(path)

    def _with_interpreter(self, bundle: Bundle, instance: Instance, facts: StepCode) -> None:
        """Say which interpreter runs the step of ``bundle``, and which files its code lies in."""
        if self._bases is None:
            from f0make.code.code_bases import CodeBases

            self._bases = CodeBases(self._run.session.workspace, os.environ, {})
        found = self._bases.interpreter(instance)
        bundle.code = list(facts.files)
        bundle.own_python = not found.declared
        # What was found here says nothing of a host.
        bundle.python = found.path if found.declared or not bundle.host else ""

    def _pack(self, bundle: Bundle, inputs: Mapping[str, str]) -> None:
        from f0make.backends import bundle_sources

        session = self._run.session
        code = session.code.get(bundle.instance)
        bundle_sources.fill(bundle, inputs, session.contents, code.sources if code is not None else {})

    def _keep_here(self, bundle: Bundle) -> None:
        from f0make.backends import bundle_sources

        bundle.stays = bundle_sources.stays(
            bundle, self._run.session.store.made.get, self._run.session.contents
        )

    def discard(self, attempt: Attempt, keep: bool = True, failed: bool = True) -> None:
        """Put aside what the attempt left, and close it in the log.

        Without ``keep`` it is removed: a file cut off by a full disk must not go on filling it. Not ``failed``:
        it ended through no fault of the step, or was never started.
        """
        attempt.open = False
        run = self._run
        run.outputs.set_aside([path for path, _ in attempt.bundle.outputs], keep)
        closing: dict[str, Any] = {"instance": attempt.instance.name, "token": attempt.bundle.token}
        run.session.store.append_fail(closing if failed else {**closing, "lost": True})

    def changed_code(self, attempt: Attempt) -> str | None:
        """A module of the step that is not what it was when its key was made, None when all are."""
        root = self._run.session.workspace.rstrip("/") + "/"
        own = [root + path for path, _ in attempt.bundle.outputs]
        path = attempt.code.changed(own) if attempt.code is not None else None
        if path is None:
            return None
        return path.removeprefix(root)

    def changed_input(self, node: int, attempt: Attempt, outcome: Outcome) -> str | None:
        """An input whose signature is not what it was when it was hashed for the decision, None when all are.

        Not only the contents count: one that changed and changed back may have been read in between.
        """
        run = self._run
        contents = run.session.contents
        for path, seen in run.verdicts[node].seen.items():
            for name, signature in seen:
                if contents.signature(name) != signature and not contents.only_linked(name, signature):
                    return path
        inputs = run.verdicts[node].inputs
        started = int(outcome.started * 1e9)
        for path in self._discovered(attempt, outcome, inputs):
            # What another step made is known by its record; of other files only the clock can tell. A directory that
            # was listed and that results are put in changes with every one of them.
            if not run.graph.is_made(path) and not (path[-1:] == "/" and run.graph.holds(path[:-1])):
                signature = run.session.contents.signature(path)
                if signature is not None and signature[2] > started:
                    return path
        return None

    def _discovered(self, attempt: Attempt, outcome: Outcome, inputs: Mapping[str, str]) -> list[str]:
        """What the step discovered beyond what it declares and what its key has, as far as a file can have that name."""
        if not outcome.discovered:
            return []
        bundle = attempt.bundle
        own = {path for path, _ in bundle.outputs}
        root = self._run.session.workspace
        keyed = {os.path.relpath(path, root) for path in attempt.code.files} if attempt.code else set()
        trees = [path + "/" for path, directory in bundle.outputs if directory]
        trees += [path + "/" for path, token in inputs.items() if token.endswith("/")]
        return [
            path
            for path in dict.fromkeys(outcome.discovered)
            if path not in inputs
            and path not in own
            and path not in keyed
            and not path.startswith(tuple(trees))
            and valid_discovery(path)
        ]

    def _absent(self, attempt: Attempt, outcome: Outcome) -> list[str]:
        """Where the step looked for modules in vain, but for what its key has, and where something is now."""
        if not outcome.absent:
            return []
        root = self._run.session.workspace
        watched = attempt.code.watched_missing if attempt.code is not None else ()
        keyed = {os.path.relpath(path, root) for path in watched}
        return [
            path
            for path in dict.fromkeys(outcome.absent)
            if path not in keyed and valid_place(path) and self._run.tokens.of(path) is None
        ]

    def objection(self, attempt: Attempt, outcome: Outcome, inputs: Mapping[str, str]) -> str | None:
        """Why a result that looks good must not count; None when nothing speaks against it."""
        run = self._run
        node = run.graph.by_name[attempt.instance.name]
        required = attempt.instance.ctx_has_keys
        if required:
            there = {*run.contexts.view(node), *(write["key"] for write in outcome.writes)}
            absent = [key for key in required if key not in there]
            if absent:
                return f"the context has no {absent[0]!r}, which success.ctx_has_keys asks for"
        if outcome.missing_reads:
            foreign = run.foreign(node)
            for key in outcome.missing_reads:
                if key in foreign:
                    return unseen(key, foreign[key])
        for path in self._discovered(attempt, outcome, inputs):
            maker = run.graph.unrelated_maker(node, path)
            if maker is not None:
                return f"it reads {path}, which {maker} makes: add {path} to its inputs"
        if attempt.bundle.host or run.elsewhere:
            own = {path for path, _ in attempt.bundle.outputs}
            for path in outcome.absent:
                if path.endswith(".py") and path not in own and run.tokens.of(path) is not None:
                    return f"it looked for {path}, which is here but was not sent there: add {path} to its inputs"
        return None

    def commit(self, attempt: Attempt, outcome: Outcome, run_inputs: Mapping[str, str]) -> dict[str, Any]:
        """Write the result down (the caller flushes) and return its record."""
        run = self._run
        instance, contents = attempt.instance, run.session.contents
        node = run.graph.by_name[instance.name]
        attempt.open = False
        for path, signature in outcome.signatures.items():
            token = outcome.outputs.get(path) or self._inside(outcome, path)
            if token is not None:
                contents.learn(path, signature[:5], token, signature[5])
        discovered = {p: run.tokens.of(p) or ABSENT for p in self._discovered(attempt, outcome, run_inputs)}
        # What other results of this key read and was not there for this one might have made it another.
        for path in run.verdicts[node].known - discovered.keys() - run_inputs.keys():
            if run.decider.discovered.token_of(path) is None:
                discovered[path] = ABSENT
        discovered.update(dict.fromkeys(self._absent(attempt, outcome), ABSENT))
        if discovered:
            self.discovered[instance.name] = list(discovered)
        record = record_of(
            instance,
            run.verdicts[node],
            outcome,
            discovered,
            run_id=run.run_id,
            attempt=attempt.number,
            sources=self._keep_sources(instance),
            test_meta=run.session.test_meta,
        )
        if run.verdicts[node].disputed:
            record[SETTLES] = True
        record.update(attempt.cost)
        run.session.store.append_record(record)
        if run.decider.shared is not None and outcome.stored and self._for_others(record):
            run.decider.shared.put(record, instance, outcome.machine, outcome.python)
        return record

    def _for_others(self, record: dict[str, Any]) -> bool:
        """Whether the shared cache may have the result: on a server everybody would read what is not for others."""
        shared = self._run.decider.shared
        if not record.get("modes") or shared is None or not shared.unrestricted:
            return True
        from f0make.files import times_and_modes
        from f0make.workspace import umask

        return not times_and_modes.has_private(record, umask.current())

    def over(self, attempt: Attempt) -> None:
        """Nothing more will be asked about ``attempt``: of a million instances none should keep its bundle."""
        self._by_name.pop(attempt.instance.name, None)

    def _inside(self, outcome: Outcome, path: str) -> str | None:
        for root, tree in outcome.trees.items():
            if path.startswith(root + "/"):
                return tree.get(path[len(root) + 1 :])
        return None

    def _keep_sources(self, instance: Instance) -> dict[str, str]:
        """Keep the source of a python step's modules, so that `f0make why` can show an old line later."""
        facts = self._run.session.code.get(instance.name)
        if facts is None or self._run.blobs is None:
            return {}
        kept = {}
        for path, data in facts.sources.items():
            digest = sha256(data).hexdigest()
            if digest not in self._saved_sources:
                self._run.blobs.add_bytes(data)
                self._saved_sources.add(digest)
            kept[path] = digest
        return kept
