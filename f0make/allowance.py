"""How much a recipe may come to before a step of it runs, in one place for all that multiplies.

What an opening makes (instances, paths, texts, edges) is charged to one `Allowance` in bytes, by what the objects take. That is the
same on every machine, so `validate` and `run` agree. The verbs that look are bounded in time and memory as well, whatever they do
(`cli/bounded.py`); `place` is how they know whose fault it is. `F0MAKE_LIMITS` multiplies these limits and all others.
"""

from __future__ import annotations

import os

from f0make.errors import Problem, RecipeError, UsageError, Where

ENVIRONMENT = "F0MAKE_LIMITS"

MOST_HELD = 280_000_000
"""Bytes of all instances, their paths and texts, and what each needs. 100,000 instances with a command, an input and an
output take a fourth of it to a third; what a plan and a drawing add to them keeps below 500 MB."""

INSTANCE = 900
"""Bytes of an instance without its texts: the object, its lists, its variables, its place in the graph."""
PATH = 160
"""Bytes of an output or of an input of its own: the text's head, the object, its entries in tables, an edge."""
EDGE = 40
"""Bytes of an input that other instances have too: a reference here, one in the graph each way."""
TEXT = 60
"""Bytes of the head of any text, and its place in a list or map."""
VALUE = 120
"""Bytes of a value of `foreach`: its text and the tuple around it."""

VARIABLE = 40
"""Bytes of a variable of an instance."""
ROW = 200
"""Bytes of a row of a table without its cells."""

WAY_OUT = f"make fewer or shorter ones, or set {ENVIRONMENT}=4 in the environment for four times as much of everything"

_factor: list[float] = []


def factor() -> float:
    """What `F0MAKE_LIMITS` multiplies every limit by; 1 where it is not set. Raises UsageError for no number from 1 on."""
    if not _factor:
        text = os.environ.get(ENVIRONMENT, "") or "1"
        if not (text.isascii() and text.isdecimal() and len(text) <= 6 and int(text)):
            raise UsageError(f"{ENVIRONMENT}={text[:20]}: expected a whole number from 1, such as 4")
        _factor.append(int(text))
    return _factor[0]


def scaled(limit: int) -> int:
    """``limit`` as it holds here. Raises UsageError as `factor`."""
    return int(limit * factor())


class Place:
    """What is being worked on: a file, or a step of a recipe."""

    __slots__ = ("key", "where")

    def __init__(self) -> None:
        self.where: Where | None = None
        self.key = ""

    def at(self, where: Where | None, key: str = "") -> None:
        """From now on it is this."""
        self.where, self.key = where, key


place = Place()


class Allowance:
    """What one expansion may still hold. Code that makes many of something calls `charge`."""

    __slots__ = ("_account", "_before", "_left", "_most", "_settled", "_taken", "_wheres")

    def __init__(self) -> None:
        self._most = self._left = self._settled = scaled(MOST_HELD)
        self._account = ("", "")
        self._taken: dict[tuple[str, str], int] = {}
        """By step and stage."""
        self._before = 0
        """What the stage took the last time."""
        self._wheres: dict[str, Where] = {}

    def begin(self, step: str, stage: str, where: Where) -> None:
        """What is made from now on is made for ``stage`` of ``step``, and replaces what that has made before."""
        self.goes_to(step, stage, where)
        self._before = self._taken.pop(self._account, 0)
        self._free(self._before)

    def goes_to(self, step: str, stage: str, where: Where) -> None:
        """What is made from now on is made for ``stage`` of ``step``, beside what that has made before."""
        self._settle()
        self._account = step, stage
        self._wheres[step] = where
        place.at(where, step)

    def as_before(self) -> None:
        """The stage keeps what it made the last time."""
        self._settle()
        self._free(self._taken.pop(self._account, 0))
        self.charge(self._before)

    def release(self, stage: str) -> None:
        """Everything of ``stage`` is made anew, of all steps."""
        self._settle()
        for account in [account for account in self._taken if account[1] == stage]:
            self._free(self._taken.pop(account))

    def charge(self, amount: int) -> None:
        """Take ``amount`` bytes. Raises RecipeError at the step that has taken the most."""
        self._left -= amount
        if self._left < 0:
            self._settle()
            raise RecipeError([self._problem()])

    def _settle(self) -> None:
        """Put what was charged into the account at hand: once for each, not for every instance."""
        self._taken[self._account] = self._taken.get(self._account, 0) + self._settled - self._left
        self._settled = self._left

    def _free(self, amount: int) -> None:
        self._left += amount
        self._settled += amount

    def _problem(self) -> Problem:
        by_step: dict[str, int] = {}
        for (step, _), amount in self._taken.items():
            by_step[step] = by_step.get(step, 0) + amount
        worst = max(by_step, key=lambda step: by_step[step])
        share = by_step[worst] / sum(by_step.values())
        of = "" if share > 0.995 else f", {share:.0%} of it for this step"
        most = self._most // 1_000_000
        text = f"the instances of this recipe, their paths and texts need more than {most:,} MB of memory{of}"
        return Problem(text, self._wheres.get(worst), worst, WAY_OUT)


def size_of(value: object) -> int:
    """Bytes of a rendered ``value``: text, a number, lists and maps of such."""
    if isinstance(value, str):
        return TEXT + len(value)
    if isinstance(value, dict):
        return TEXT + sum(TEXT + size_of(item) for item in value.values())
    return TEXT + sum(map(size_of, value)) if isinstance(value, list) else 0
