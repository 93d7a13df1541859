"""Making an attempt ready to go: the bundle, and room for its outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from f0make import STATE
from f0make.engine.attempt_records import bundle_of
from f0make.engine.attempts import retries_of
from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.output_files import Outputs
from f0make.engine.rerender import CannotAttempt, for_attempt
from f0make.engine.run_state import RunState
from f0make.engine.slot_pool import SlotPool
from f0make.errors import UsageError
from f0make.model import Instance
from f0make.options import RunOptions
from f0make.store.log_names import log_name
from f0make.worker.bundle import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.code.code_bases import CodeBases
    from f0make.files.content_cache import Seen
    from f0make.workset import StepCode, Workset


class Preparation:
    """Makes the attempts of one run. ``store`` is the directory of the blob store, None where there is none.

    ``seen`` tells the signatures that the content of an input rests on.
    """

    def __init__(
        self,
        state: RunState,
        session: Workset,
        options: RunOptions,
        outputs: Outputs,
        pool: SlotPool,
        backend: LazyBackend,
        *,
        run_id: str,
        store: str | None,
        seen: Callable[[str], Sequence[Seen]],
    ) -> None:
        self._state = state
        self._session = session
        self._options = options
        self._outputs = outputs
        self._pool = pool
        self._backend = backend
        self._run_id = run_id
        self._store = store
        self._seen = seen
        self._bases: CodeBases | None = None
        directory = os.path.join(session.workspace, STATE)
        self._logs = os.path.join(directory, "logs")
        self._scratch = os.path.join(directory, "run")

    def prepare(self, node: int) -> Bundle:
        """Make room for the outputs of ``node``, note the start in the log, and return the bundle to submit.

        Raises CannotAttempt, ProtectedOutput and OSError.
        """
        state, session = self._state, self._session
        instance = state.graph.instances[node]
        bundle, instance = self._bundle(node, instance)
        bundle.host = self._pool.place_of(node)
        self._pool.keyed(node, bundle.host)
        travels = self._backend.travels(bundle)
        if travels:
            self._pack(bundle, state.verdicts[node].inputs)
        if bundle.host:
            self._keep_here(bundle)
        facts = session.code.get(instance.name)
        if facts is not None:
            self._with_interpreter(bundle, instance, facts)
        retries = retries_of(instance, self._options.retries)
        if bundle.attempt == 1 and retries:
            from f0make.engine.retention import forget_attempts

            forget_attempts(bundle.log, retries)
        self._look_at_inputs(node)
        self._outputs.guard(instance.outputs, node in state.selection.forced)
        self._outputs.clear(instance.outputs, here=not travels)
        session.store.append_begin(
            {"instance": instance.name, "token": bundle.token, "outputs": [o.path for o in instance.outputs]}
        )
        state.attempts.begin(instance, bundle, facts)
        return bundle

    def _bundle(self, node: int, instance: Instance) -> tuple[Bundle, Instance]:
        """The bundle of the next attempt, and ``instance`` as it is in that. Raises CannotAttempt."""
        state, session, options = self._state, self._session, self._options
        number = state.attempts.next_number(instance.name)
        cpus = state.ready.demands[node].cpu
        fewer = bool(instance.keyed) and cpus < state.ready.resources(instance).get("cpu", 1)
        if number > 1 or fewer:
            instance = for_attempt(session, instance, number, cpus if fewer else None)
        state.attempts.started += 1
        context, foreign = self._context(node, instance)
        bundle = bundle_of(
            instance,
            token=f"{self._run_id}/{state.attempts.started}",
            attempt=number,
            workspace=session.workspace,
            store=self._store if instance.cache else None,
            cpus=cpus,
            log=f"{self._logs}/{log_name(session.store.recipe, instance.name)}",
            scratch=self._scratch,
            context=context,
            foreign_keys=foreign,
        )
        if instance.step.secrets and session.secrets is not None:
            try:
                bundle.secrets = session.secrets.variables(instance)
            except UsageError as error:
                raise CannotAttempt(str(error)) from None
        if options.strict or options.audit:
            bundle.guard = "strict" if options.strict else "audit"
            bundle.allow = instance.step.allow
        return bundle, instance

    def _context(self, node: int, instance: Instance) -> tuple[dict[str, Any], dict[str, str]]:
        """What a python step sees of the context, and the keys of it that it must not read -> who sets them."""
        if instance.step.type != "python":
            return {}, {}
        from f0make.engine.context_keys import foreign_keys

        return self._state.contexts.view(node), foreign_keys(self._state, self._session, node)

    def _look_at_inputs(self, node: int) -> None:
        """Note the signatures of the inputs that were not looked at when ``node`` was decided: they were brought back."""
        verdict, contents = self._state.verdicts[node], self._session.contents
        for path in verdict.inputs:
            if path not in verdict.seen:
                contents.token(path)
                verdict.seen[path] = self._seen(path)

    def _with_interpreter(self, bundle: Bundle, instance: Instance, facts: StepCode) -> None:
        """Say which interpreter runs the step of ``bundle``, and which files its code lies in."""
        if self._bases is None:
            from f0make.code.code_bases import CodeBases

            self._bases = CodeBases(self._session.workspace, os.environ, {})
        found = self._bases.interpreter(instance)
        bundle.code = list(facts.files)
        bundle.own_python = not found.declared
        # What was found here says nothing of a host.
        bundle.python = found.path if found.declared or not bundle.host else ""

    def _pack(self, bundle: Bundle, inputs: Mapping[str, str]) -> None:
        from f0make.backends import bundle_sources

        session = self._session
        code = session.code.get(bundle.instance)
        bundle_sources.fill(bundle, inputs, session.contents, code.sources if code is not None else {})

    def _keep_here(self, bundle: Bundle) -> None:
        from f0make.backends import bundle_sources

        bundle.stays = bundle_sources.stays(bundle, self._session.store.made.get, self._session.contents)
