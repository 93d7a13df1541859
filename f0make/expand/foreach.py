"""`foreach` -> the variables of each instance, in order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping

from f0make.allowance import INSTANCE, ROW, TEXT, VALUE, VARIABLE, WAY_OUT, scaled
from f0make.errors import Problem
from f0make.expand.expansion_facts import Facts, Unlistable
from f0make.expand.fields import has_template
from f0make.expand.globs import Glob, capture
from f0make.expand.problem_collector import full_key
from f0make.expand.step_state import OUTPUTS, StepState
from f0make.expand.tables import delimiter_of, parse_table
from f0make.model import Foreach, Step
from f0make.recipe.check_foreach import range_of
from f0make.regex.bounded import Unbounded
from f0make.template.render_text import Scope, Template, TemplateError
from f0make.template.template_values import Broken, to_text, to_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

MAX_INSTANCES = 1_000_000
"""Of one step; more is a mistake that would only fill the memory."""

Values: TypeAlias = "list[tuple[Any, ...]]"
"""One tuple for each step through an entry: a value for each of its variables."""

Match = Callable[[Glob], list[str]]


class ForeachExpander:
    """Expands the `foreach` of one step; faults go to the problems of its first stage."""

    def __init__(
        self,
        state: StepState,
        facts: Facts,
        wildcards: Mapping[str, str],
        match: Match,
        charge: Callable[[int], None],
    ) -> None:
        self.state = state
        self.step: Step = state.plan.step
        self.facts = facts
        self.wildcards = wildcards
        self.match = match
        self.charge = charge
        self.problems = state.problems[OUTPUTS]

    def expand(self, scope: Scope) -> list[dict[str, Any]] | None:
        """The variables of every instance; None when something is wrong (reported)."""
        step = self.step
        if not step.foreach:
            return [{}]
        sources: list[Values] = []
        for entry in step.foreach:
            values = self._values(entry, scope)
            if values is None:
                return None
            if not values and entry.kind == "glob" and entry.after is None and not entry.optional:
                self.state.unmatched.foreach = (f"{entry.key}.glob", str(entry.values[0]))
            elif not values:
                self.state.warn(
                    OUTPUTS, f"step {step.name}: {_source(entry)} gives nothing, so it has no instances"
                )
            sources.append(values)
        names = [name for entry in step.foreach for name in entry.variables]
        if step.combine == "zip":
            if len({len(values) for values in sources}) > 1:
                shown = ", ".join(
                    f"{', '.join(e.variables)} has {len(v)}"
                    for e, v in zip(step.foreach, sources, strict=True)
                )
                self.problems.at(step, "combine", f"`zip` needs lists of one length, but {shown}")
                return None
            self._charge(len(sources[0]), len(names))
            rows = [tuple(itertools.chain.from_iterable(row)) for row in zip(*sources, strict=True)]
            return [dict(zip(names, row, strict=True)) for row in rows]
        count = 1
        for values in sources:
            count *= len(values)
        most = scaled(MAX_INSTANCES)
        if count > most:
            text = f"this makes {count:,} instances, more than {most:,}"
            self.problems.at(step, "foreach", text, WAY_OUT)
            return None
        self._charge(count, len(names))
        if len(names) == 1:
            name = names[0]
            return [{name: row[0]} for row in sources[0]]
        return [
            dict(zip(names, itertools.chain.from_iterable(row), strict=True))
            for row in itertools.product(*sources)
        ]

    def _charge(self, instances: int, variables: int) -> None:
        """Take what so many ``instances`` with so many ``variables`` need, before they are made."""
        self.charge(instances * (INSTANCE + VARIABLE * variables))

    def _values(self, entry: Foreach, scope: Scope) -> Values | None:
        kinds = {"list": self._list, "range": self._range, "glob": self._glob, "table": self._table}
        try:
            return kinds[entry.kind](entry, scope)
        except TemplateError as error:
            self.problems.template(self.step, error)
        except Broken:
            self.state.broken = True
        return None

    def _compile(self, text: str, key: str) -> Template:
        template = Template(text, key, self.state.plan.odd_steps)
        for error in template.unknown(("config", "env", "steps")):
            raise error
        return template

    def _text(self, entry: Foreach, scope: Scope) -> str:
        text = str(entry.values[0])
        return self._compile(text, f"{entry.key}.{entry.kind}").render(scope) if has_template(text) else text

    def _list(self, entry: Foreach, scope: Scope) -> Values | None:
        width = len(entry.variables)
        rows: Values = []
        for number, item in enumerate(entry.values):
            key = f"{entry.key}[{number}]"
            if not has_template(item):
                rows.append((item,) if isinstance(item, str) else tuple(item))
            elif isinstance(item, list):
                rows.append(
                    tuple(self._compile(str(t), f"{key}[{n}]").render(scope) for n, t in enumerate(item))
                )
            elif width == 1:
                rows += [(text,) for text in self._compile(item, key).texts(scope)]
            else:
                rows += _rows_of(self._compile(item, key).value(scope), width)
            if rows and len(rows[-1]) != width:
                names = ", ".join(entry.variables)
                self.problems.at(
                    self.step, key, f"expected {width} values for {names}, found {len(rows[-1])}"
                )
                return None
        self.charge(VALUE * len(rows))
        return rows

    def _range(self, entry: Foreach, scope: Scope) -> Values | None:
        text = self._text(entry, scope)
        try:
            first, last = range_of(text)
        except ValueError as error:
            self.problems.at(self.step, f"{entry.key}.range", str(error))
            return None
        # As in a shell's {01..10}: a leading zero asks for numbers of one width.
        ends = [end.strip() for end in text.split("..")]
        padded = any(re.match(r"-?0\d", end) for end in ends)
        width = max(map(len, ends)) if padded else 0
        self.charge((last + 1 - first) * (VALUE + width))
        return [(str(number).zfill(width),) for number in range(first, last + 1)]

    def _table(self, entry: Foreach, scope: Scope) -> Values | None:
        path = self._text(entry, scope)
        key = f"{entry.key}.table"
        delimiter = delimiter_of(path)
        if delimiter is None:
            self.problems.at(self.step, key, f"{path!r} is no table by its name", "expected .csv or .tsv")
            return None
        try:
            text = self.facts.read_text(path)
        except FileNotFoundError:
            self.problems.at(self.step, key, f"the table {path!r} does not exist")
            return None
        except UnicodeDecodeError as error:
            self.problems.at(self.step, key, f"the table {path!r} is not UTF-8 (byte {error.start})")
            return None
        except OSError as error:
            reason = error.strerror or "unknown error"
            why = reason if reason.startswith("is ") else f"cannot be read: {reason}"
            self.problems.at(self.step, key, f"the table {path!r} {why}")
            return None
        except ValueError:
            self.problems.at(self.step, key, f"the table {path!r} cannot be read: no path holds a NUL byte")
            return None
        several = entry.variables if len(entry.variables) > 1 else ()
        rows, faults = parse_table(text, path, delimiter, entry.columns, several)
        for fault in faults:
            self.problems.add(Problem(fault.message, fault.where, full_key(self.step, key), fault.hint))
        if faults:
            return None
        self.charge(len(text) + len(rows) * (VALUE + ROW) + sum(map(len, rows)) * TEXT)
        return [tuple(row[name] for name in several) for row in rows] if several else [(row,) for row in rows]

    def _glob(self, entry: Foreach, scope: Scope) -> Values | None:
        key = f"{entry.key}.glob"
        text = str(entry.values[0])
        captured: set[str] = set()
        if has_template(text):
            template = Template(text, key, self.state.plan.odd_steps)
            for error in template.unknown((*entry.variables, "config", "env", "steps")):
                raise error
            out = []
            for part in template.parts:
                if isinstance(part, str):
                    out.append(part)
                elif part.bare in entry.variables:
                    captured.add(part.bare or "")
                    out.append(capture(part.bare or ""))
                else:
                    out.append(template.convert(part, scope, to_text))
            text = "".join(out)
        for name in entry.variables:
            if name not in captured:
                self.problems.at(
                    self.step, key, f"the glob holds no ${{{{ {name} }}}}, so it gives {name!r} no value"
                )
                return None
        try:
            glob = Glob(text, self.wildcards)
        except re.error as error:
            self.problems.at(self.step, key, f"a wildcard in it is no regular expression: {error}")
            return None
        found: set[tuple[str, ...]] = set()
        try:
            for path in self.match(glob):
                if path in self.facts.dangling:
                    self.state.unmatched.dangling.append((key, path))
                values = glob.match(path)
                if values is not None:
                    found.add(tuple(values[name] for name in entry.variables))
        except Unbounded as error:
            self.problems.unbounded(self.step, key, error)
            return None
        except Unlistable as error:
            self.problems.at(self.step, key, str(error), error.hint)
            return None
        self.charge(VALUE * len(found))
        return sorted(found)


def _rows_of(value: Any, width: int) -> Values:
    """What an expression for several variables comes to: one row, or a list of rows."""
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (list, tuple)) for item in value):
            return [tuple(to_texts(item)) for item in value]
        return [tuple(to_texts(value))]
    return [tuple(part.strip() for part in to_text(value).split(","))]


def _source(entry: Foreach) -> str:
    text = entry.values[0] if entry.values and entry.kind != "list" else ""
    return f"the {entry.kind} of {', '.join(entry.variables)}" + (f" ({text})" if text else "")
