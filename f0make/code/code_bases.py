"""The code bases of a workspace: one for each search path that its python steps have."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from f0make.code.code_digest import CodeBase
from f0make.code.interpreter import Interpreter, chosen, search_path
from f0make.model import TEMPLATE_OPEN, Instance, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CodeBases:
    """Knows the interpreters of python steps in ``workspace``, and what each of them would import.

    Steps inherit ``environ``. ``cache`` as for `CodeBase`.
    """

    def __init__(self, workspace: str, environ: Mapping[str, str], cache: MutableMapping[str, Any]) -> None:
        self._workspace = workspace
        self._environ = environ
        self._cache = cache
        self._chosen: dict[str | None, Interpreter] = {}
        self._paths: dict[Interpreter, list[str]] = {}
        self._bases: dict[tuple[Interpreter, str], CodeBase] = {}

    def interpreter(self, instance: Instance) -> Interpreter:
        """The interpreter that ``instance`` runs in on this machine."""
        found = self._chosen.get(instance.python)
        if found is None:
            found = chosen(instance.python, self._workspace, self._environ)
            self._chosen[instance.python] = found
        return found

    def of_step(self, step: Step) -> CodeBase:
        """The same for a ``step`` that has no instances yet, as far as its text tells."""
        plain = {name: value for name, value in step.env.items() if TEMPLATE_OPEN not in value}
        python = step.python if step.python is None or TEMPLATE_OPEN not in step.python else None
        return self.of(Instance(step.name, step, {}, [], [], env=plain, python=python))

    def of(self, instance: Instance) -> CodeBase:
        """The code base for the interpreter and the PYTHONPATH of ``instance``."""
        interpreter = self.interpreter(instance)
        more = instance.env.get("PYTHONPATH", self._environ.get("PYTHONPATH", ""))
        base = self._bases.get((interpreter, more))
        if base is None:
            path = self._paths.get(interpreter)
            if path is None:
                path = self._paths[interpreter] = search_path(interpreter)
            entries = [os.path.join(self._workspace, entry) for entry in more.split(os.pathsep) if entry]
            base = CodeBase(self._workspace, [self._workspace, *entries, *path], self._cache)
            self._bases[interpreter, more] = base
        return base
