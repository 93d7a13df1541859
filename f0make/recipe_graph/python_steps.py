"""The python steps of a recipe: their arguments as their code wants them, and what that code comes to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from f0make import STATE
from f0make.errors import Problem, RecipeError
from f0make.fast_dataclass import replace
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.code.code_bases import CodeBases
    from f0make.code.code_digest import CodeFacts
    from f0make.model import Instance, Step

MAGIC = b"f0make code 2\n"


class PythonSteps:
    """The code of python steps in a workspace. What was read of each module is kept from run to run.

    ``watch`` is told of files that the code rests on.
    """

    def __init__(self, workspace: str, watch: Callable[[Iterable[str]], None]) -> None:
        self._workspace = workspace
        self._watch = watch
        self.code: dict[str, CodeFacts] = {}
        """Instance -> what its code comes to."""
        self.setters: dict[str, set[str]] = {}
        """Context key -> instances whose code sets it by a literal name."""
        self._rendered: dict[str, dict[str, Any]] = {}
        """Instance -> its arguments before they got the types that its code asks for."""
        self._cache: dict[str, Any] = {}

    def load(self) -> None:
        """Read what earlier runs have kept."""
        data = sealed_files.read(self._file())
        loaded = sealed_files.unseal(MAGIC, data) if data else None
        if isinstance(loaded, dict):
            self._cache = loaded

    def save(self) -> None:
        """Keep what is known of modules."""
        if self._cache and sealed_files.possible():
            write_atomic(self._file(), sealed_files.seal(MAGIC, self._cache))

    def check(self, instances: Iterable[Instance], later: Sequence[Step]) -> dict[str, list[Problem]]:
        """Convert the arguments of the python steps among ``instances`` and take their code's digest; imports nothing.

        Returns what is wrong, by instance; of steps that come ``later`` what is the same for all they will have.
        """
        instances = [i for i in instances if i.module is not None]
        if not instances and not later:
            return {}
        from f0make.code.check_python import check_step

        problems: dict[str, list[Problem]] = {}
        bases = self._bases()
        for step in later:
            problems[step.name] = check_step(bases.of_step(step), step)[2]
        for instance in instances:
            base = bases.of(instance)
            self._rendered[instance.name] = instance.args
            typed, facts, problems[instance.name] = check_step(base, instance)
            instance.args = typed
            known = base.shape(instance.module or "")
            for key in known[1].definitions.get(instance.function or "", {}).get("sets", ()) if known else ():
                self.setters.setdefault(key, set()).add(instance.name)
            self._note(instance, facts)
        return problems

    def code_of(self, instance: Instance) -> CodeFacts | None:
        """What the code of ``instance`` comes to now, read anew when a file of it has changed.

        None for a step without code. Raises RecipeError for code that is wrong now.
        """
        facts = self.code.get(instance.name)
        if facts is None or facts.changed() is None:
            return facts
        from f0make.code.check_python import check_step

        rendered = replace(instance, args=self._rendered[instance.name])
        typed, facts, problems = check_step(self._bases().of(instance), rendered)
        if problems:
            raise RecipeError(problems)
        instance.args = typed
        self._note(instance, facts)
        return facts

    def interpreter(self) -> Callable[[Instance], str]:
        """A function: instance -> absolute path of the interpreter that its `python` names."""
        bases = self._bases()
        return lambda instance: bases.interpreter(instance).path

    def _note(self, instance: Instance, facts: CodeFacts) -> None:
        self.code[instance.name] = facts
        self._watch(facts.files)
        self._watch(facts.watched_missing)

    def _bases(self) -> CodeBases:
        from f0make.code.code_bases import CodeBases

        return CodeBases(self._workspace, os.environ, self._cache)

    def _file(self) -> str:
        return os.path.join(self._workspace, STATE, "code")
