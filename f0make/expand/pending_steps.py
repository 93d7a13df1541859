"""Which steps must wait because what they need is made by steps that have no instances yet."""

from __future__ import annotations

import re

from f0make.expand.globs import ANY, ONE, SOME, Symbols, crosses, glob_symbols, overlap
from f0make.expand.stages import Stages
from f0make.expand.step_plan import PathPlan
from f0make.expand.step_state import StepState
from f0make.model import Output
from f0make.regex.bounded import Bounded
from f0make.regex.captures import DEFAULT_WILDCARD


class Waiting:
    """The steps that wait, and what they may come to make."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self._shapes: list[tuple[StepState, Symbols, Bounded]] = []
        for state in stages.states.values():
            if state.after is not None:
                self._add(state)

    def _add(self, state: StepState) -> None:
        for plan in state.plan.outputs:
            for symbols in self._symbols(plan):
                self._shapes.append((state, symbols, Bounded(_as_regex(symbols), re.DOTALL)))

    def _symbols(self, plan: PathPlan) -> list[Symbols]:
        """The path as a pattern, expressions as whatever they may come to; for a directory also what is in it."""
        out: list[str] = []
        if plan.template is None:
            out.extend(plan.path)
        else:
            for part in plan.template.parts:
                if isinstance(part, str):
                    out.extend(part)
                elif part.bare is None:
                    out.append(ANY)
                else:
                    wildcard = self.stages.recipe.wildcards.get(part.bare, DEFAULT_WILDCARD)
                    out.append(ANY if crosses(wildcard) else SOME)
        if out and out[-1] == "/":
            out.pop()
        while out[:2] == [".", "/"]:
            del out[:2]
        return [out, [*out, "/", ANY]] if plan.decl.text.endswith("/") else [out]

    def may_be_read(self, output: Output, maker: str) -> bool:
        """Whether an instance that does not exist yet may need ``output`` of step ``maker``.

        That is one of a step that waits, or of a pattern step that one of these may ask for.
        """
        path: Symbols = list(output.path)
        inside: Symbols = [*path, "/", ANY]
        for state in self.stages.states.values():
            if state.after is None and not state.plan.pattern:
                continue
            if maker in state.plan.step.depends_on:
                return True
            for plan in state.plan.inputs:
                read = self._read(plan)
                if overlap(read, path) or overlap([*read, "/", ANY], path):
                    return True
                if output.directory and overlap(read, inside):
                    return True
        return False

    def _read(self, plan: PathPlan) -> Symbols:
        """What an input may come to, as a pattern that is rather too wide."""
        if plan.template is None and not plan.glob:
            return list(plan.path)
        parts = plan.template.parts if plan.template is not None else [plan.decl.text]
        out: list[str] = []
        for sign in self.stages.paths.relative("".join(p if isinstance(p, str) else "\0" for p in parts)):
            out.append(ANY if sign in "\0*?[" else sign)
            if sign == "[":
                break
        return out

    def awaited(self, path: str) -> str | None:
        """The step that must finish before one that may make ``path`` has instances."""
        for state, _, regex in self._shapes:
            if regex.fullmatch(path):
                return state.after
        return None

    def grown(self, state: StepState) -> bool:
        """Whether a glob of ``state`` looks for what a step with `after:` makes, which may come to nothing."""
        shapes = [
            symbols
            for other in self.stages.states.values()
            if any(entry.after is not None for entry in other.plan.step.foreach)
            for plan in other.plan.outputs
            for symbols in self._symbols(plan)
        ]
        return any(
            overlap(symbols, glob_symbols(glob)) for symbols in shapes for glob in state.globs.values()
        )

    def may_make(self, path: str) -> bool:
        """Whether a waiting step may make ``path``, something in it, or a file that it matches as a glob."""
        symbols = [ANY if sign in "*?[" else sign for sign in path]
        return any(
            overlap(shape, symbols) or overlap(shape, [*symbols, "/", ANY]) for _, shape, _ in self._shapes
        )

    def spread(self) -> None:
        """Hold back every step that needs what a waiting step makes, until no more follow."""
        globs = any(state.globs for state in self.stages.states.values())
        changed = bool(self._shapes) or (globs and bool(self.stages.made.directories()))
        while changed:
            changed = False
            for state in self.stages.states.values():
                if state.after is not None:
                    continue
                after = self._blocker(state)
                if after is not None:
                    self.stages.withhold(state, after)
                    self._add(state)
                    changed = True

    def _blocker(self, state: StepState) -> str | None:
        """The step that must finish before something that ``state`` needs has instances."""
        for name in {name for instance in state.instances for name in instance.depends_on}:
            other = self.stages.states.get(name)
            if other is not None and other.after is not None:
                return other.after
        paths = {path for instance in state.instances for path in instance.inputs}
        for path in paths & self.stages.waiting.keys():
            return self.stages.waiting[path]
        inside = self._inside(state)
        if inside is not None:
            return inside
        for other, symbols, regex in self._shapes:
            if other is state or self._needed_first(state, other.after):
                continue
            if any(overlap(symbols, glob_symbols(glob)) for glob in state.globs.values()):
                return other.after
            if any(regex.fullmatch(path) and self._open(path) for path in paths):
                return other.after
        return None

    def _open(self, path: str) -> bool:
        """Whether nothing is known to make ``path`` and it is no file of the user's."""
        if self.stages.made.owner(path) is not None:
            return False
        facts = self.stages.facts
        return not facts.exists(path) or facts.made_by(path) is not None

    def _inside(self, state: StepState) -> str | None:
        """A step in whose output directory a glob of ``state`` looks: what is in there is known when it is done."""
        for glob in state.globs.values():
            symbols: Symbols | None = None
            for directory in self.stages.made.directories():
                if not (directory + "/").startswith(glob.prefix) and not glob.prefix.startswith(
                    directory + "/"
                ):
                    continue
                owner = self.stages.made.owner(directory)
                if owner is None or owner == state.name or owner in self.stages.finished:
                    continue
                symbols = symbols or glob_symbols(glob)
                if overlap(symbols, [*directory, "/", ANY]) and not self._needed_first(state, owner):
                    return owner
        return None

    def _needed_first(self, state: StepState, after: str | None) -> bool:
        """Whether ``after`` needs ``state``, which then cannot wait for it."""
        seen: set[str] = set()
        left = [after]
        while left:
            name = left.pop()
            if name is None or name in seen or name not in self.stages.states:
                continue
            if name == state.name:
                return True
            seen.add(name)
            left += self._needs(self.stages.states[name])
        return False

    def _needs(self, state: StepState) -> list[str]:
        names = {name for instance in state.instances for name in instance.depends_on}
        paths = {path for instance in state.instances for path in instance.inputs}
        owners = {self.stages.made.owner(path) for path in paths}
        waited = {entry.after for entry in state.plan.step.foreach}
        return [name for name in {*names, *owners, *waited} if name is not None]


def _as_regex(symbols: Symbols) -> str:
    signs = {SOME: "[^/]*", ANY: ".*", ONE: "[^/]"}
    return "".join(signs.get(symbol) or re.escape(symbol) for symbol in symbols)
