"""Whether what an attempt has come to may count: inputs and code that changed meanwhile, reads that nothing ordered."""

from __future__ import annotations

import os
from collections.abc import Mapping

from f0make.engine.attempts import Attempt
from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.promised_tokens import Tokens
from f0make.engine.run_state import RunState
from f0make.store.validate_record import valid_discovery, valid_place
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import Workset


class ResultCheck:
    """Looks at outcomes; changes nothing."""

    def __init__(self, state: RunState, session: Workset, tokens: Tokens, backend: LazyBackend) -> None:
        self._state = state
        self._session = session
        self._tokens = tokens
        self._backend = backend

    def changed_code(self, attempt: Attempt) -> str | None:
        """A module of the step that is not what it was when its key was made, None when all are."""
        root = self._session.workspace.rstrip("/") + "/"
        own = [root + path for path, _ in attempt.bundle.outputs]
        path = attempt.code.changed(own) if attempt.code is not None else None
        if path is None:
            return None
        return path.removeprefix(root)

    def changed_input(self, node: int, attempt: Attempt, outcome: Outcome) -> str | None:
        """An input whose signature is not what it was when it was hashed for the decision, None when all are.

        Not only the contents count: one that changed and changed back may have been read in between.
        """
        contents = self._session.contents
        for path, seen in self._state.verdicts[node].seen.items():
            for name, signature in seen:
                if contents.signature(name) != signature and not contents.only_linked(name, signature):
                    return path
        inputs = self._state.verdicts[node].inputs
        started = int(outcome.started * 1e9)
        for path in self.discovered(attempt, outcome, inputs):
            # What another step made is known by its record; of other files only the clock can tell. A directory that
            # was listed and that results are put in changes with every one of them.
            graph = self._state.graph
            if not graph.is_made(path) and not (path[-1:] == "/" and graph.holds(path[:-1])):
                signature = contents.signature(path)
                if signature is not None and signature[2] > started:
                    return path
        return None

    def discovered(self, attempt: Attempt, outcome: Outcome, inputs: Mapping[str, str]) -> list[str]:
        """What the step discovered beyond what it declares and what its key has, as far as a file can have that name."""
        if not outcome.discovered:
            return []
        bundle = attempt.bundle
        own = {path for path, _ in bundle.outputs}
        root = self._session.workspace
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

    def absent(self, attempt: Attempt, outcome: Outcome) -> list[str]:
        """Where the step looked for modules in vain, but for what its key has, and where something is now."""
        if not outcome.absent:
            return []
        root = self._session.workspace
        watched = attempt.code.watched_missing if attempt.code is not None else ()
        keyed = {os.path.relpath(path, root) for path in watched}
        return [
            path
            for path in dict.fromkeys(outcome.absent)
            if path not in keyed and valid_place(path) and self._tokens.of(path) is None
        ]

    def objection(self, attempt: Attempt, outcome: Outcome, inputs: Mapping[str, str]) -> str | None:
        """Why a result that looks good must not count; None when nothing speaks against it."""
        node = self._state.graph.by_name[attempt.instance.name]
        required = attempt.instance.ctx_has_keys
        if required:
            there = {*self._state.contexts.view(node), *(write["key"] for write in outcome.writes)}
            absent = [key for key in required if key not in there]
            if absent:
                return f"the context has no {absent[0]!r}, which success.ctx_has_keys asks for"
        if outcome.missing_reads:
            from f0make.engine.context_keys import foreign_keys, unseen

            foreign = foreign_keys(self._state, self._session, node)
            for key in outcome.missing_reads:
                if key in foreign:
                    return unseen(key, foreign[key])
        for path in self.discovered(attempt, outcome, inputs):
            maker = self._state.graph.unrelated_maker(node, path)
            if maker is not None:
                return f"it reads {path}, which {maker} makes: add {path} to its inputs"
        if self._backend.travels(attempt.bundle):
            own = {path for path, _ in attempt.bundle.outputs}
            for path in outcome.absent:
                if path.endswith(".py") and path not in own and self._tokens.of(path) is not None:
                    return f"it looked for {path}, which is here but was not sent there: add {path} to its inputs"
        return None
