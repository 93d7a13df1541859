"""Annotations of python steps: aliases, enums and dates are understood from the source, and what is not is an error."""

from __future__ import annotations

from tests.support.f0 import F0

IMPORTS = """\
from __future__ import annotations
import datetime as dt
import enum
import typing as t
from decimal import Decimal
from enum import Enum, IntEnum, auto
from pathlib import Path as P
from typing import Annotated, Literal, NewType, Optional, TypeAlias, Union
from kinds import Colour as Paint, Count as Number, Level
import kinds
import numpy_of_mine as np
"""

KINDS = """\
from enum import Enum, Flag, auto
from typing import NewType
Count = int
Deep = Count
Level = NewType("Level", Deep)
class Base(str, Enum):
    pass
class Colour(Base):
    RED = "r"
    BLUE = "b"
class Bits(Flag):
    A = auto()
    B = auto()
    C = auto()
class Odd(Enum):
    ONE = object()
"""


GOOD: list[tuple[str, str, str | list[str], str]] = [
    ("Count = int", "Count", "10", "10"),
    ("Counts: TypeAlias = 'int'", "Counts", "10", "10"),
    ("Maybe = Union[int, None]", "Maybe", "null", "None"),
    ("Perhaps = t.Optional[int]", "'Perhaps'", "3", "3"),
    ("Both = int | str", "list[Both]", ["3", "x"], "[3, 'x']"),
    ("Id = NewType('Id', float)", "Id", "3", "3.0"),
    ("class Size(IntEnum):\n    SMALL = 1\n    BIG = 2", "Size", "2", "<Size.BIG: 2>"),
    ("class Height(enum.Enum):\n    LOW = auto()\n    TOP = auto()", "Height | None", "2", "<Height.TOP: 2>"),
    ("", "Paint", "b", "<Colour.BLUE: 'b'>"),
    ("", "kinds.Bits", "4", "<Bits.C: 4>"),
    ("", "Number", "10", "10"),
    ("", "kinds.Count", "10", "10"),
    ("", "Level", "10", "10"),
    ("", "dt.date", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("Day = dt.date", "t.Optional[Day]", "2026-01-31", "datetime.date(2026, 1, 31)"),
    ("", "dt.datetime", "2026-01-31T10:00:00", "datetime.datetime(2026, 1, 31, 10, 0)"),
    ("", "dt.timedelta", "5m", "datetime.timedelta(seconds=300)"),
    ("", "P", "a/b", "PosixPath('a/b')"),
    ("", "Decimal", "1.10", "Decimal('1.10')"),
    ("", "Annotated[Number, 'metres']", "10", "10"),
    ("", "Literal['a', 2]", "2", "2"),
    ("", "t.Tuple[Number, ...]", ["1", "2"], "(1, 2)"),
    ("", "object", "1", "'1'"),
]

BAD: list[tuple[str, str, str, str]] = [
    ("Count = int", "Count", "ten", "'ten' is not an integer"),
    ("", "Paint", "RED", "the value of Colour.RED is 'r'"),
    ("", "Paint", "green", "'green' is not one of r, b"),
    ("", "dt.date", "31.1.2026", "is not a date such as 2026-01-31"),
    ("", "np.ndarray", "1", "the annotation 'np.ndarray' (steps.py:{line}) is not understood"),
    ("class Point:\n    x: int", "Point", "1", "the annotation 'Point' (steps.py:{line}) is not understood"),
    ("A = B\nB = A", "list[A]", "1", "is not understood"),
    ("A = B\nB = A", "A", "1", "is not understood"),
    ("", "kinds.Odd", "1", "is not understood"),
    ("", "t.Callable[[int], str]", "1", "is not understood"),
    ("", "kinds.Nothing", "1", "is not understood"),
    ("", "3 + 4", "1", "is not understood"),
    ("", "'list['", "1", "is not understood"),
]


def recipe(*lines: str) -> str:
    """A step that calls `steps.f` with these arguments."""
    args = "".join(f"      {line}\n" for line in lines)
    return f"steps:\n  - name: s\n    module: steps\n    function: f\n    args:\n{args}    outputs: out\n"


def module(f0: F0, cases: list[tuple[str, str]]) -> int:
    """Write a function that says what it got, one parameter for each (preparation, annotation); its own line."""
    f0.write("numpy_of_mine.py", "raise SystemExit('this was imported')\n")
    f0.write("kinds.py", KINDS)
    before = list(dict.fromkeys(before for before, _ in cases if before))
    text = "\n".join(
        [
            IMPORTS.replace(
                "import numpy_of_mine as np\n", "if t.TYPE_CHECKING:\n    import numpy_of_mine as np\n"
            ),
            *before,
        ]
    )
    parameters = ", ".join(f"n{number}: {annotation}" for number, (_, annotation) in enumerate(cases))
    f0.write(
        "steps.py",
        f"{text}\ndef f({parameters}):\n    open('out', 'w').write('\\n'.join(map(repr, locals().values())))\n",
    )
    return text.count("\n") + 2


def test_the_step_gets_the_real_values(f0: F0) -> None:
    module(f0, [case[:2] for case in GOOD])
    lines: list[str] = []
    for number, (_, _, value, _) in enumerate(GOOD):
        lines += (
            [f"n{number}: {value}"]
            if isinstance(value, str)
            else [f"n{number}:", *(f"  - {one}" for one in value)]
        )
    f0.write("r.yaml", recipe(*lines))
    result = f0("run", "r.yaml")
    assert result.code == 0, result.stderr
    for found, (before, annotation, value, expected) in zip(f0.read("out").split("\n"), GOOD, strict=True):
        assert found == expected, (before, annotation, value)


def test_what_does_not_fit_or_is_not_understood_is_an_error(f0: F0) -> None:
    line = module(f0, [case[:2] for case in BAD])
    f0.write("r.yaml", recipe(*(f"n{number}: {case[2]}" for number, case in enumerate(BAD))))
    result = f0("validate", "r.yaml")
    assert result.code == 2
    for said, (number, case) in zip(result.stderr.splitlines(), enumerate(BAD), strict=True):
        assert said.startswith(f"r.yaml:{6 + number}:"), said
        assert case[3].format(line=line) in said, (case, said)


def test_what_no_recipe_gives_need_not_be_understood(f0: F0) -> None:
    f0.write(
        "steps.py",
        "def f(n: int, thing: Unknown = None, *, ctx: Strange):\n    open('out', 'w').write(repr(n))\n",
    )
    f0.write("steps.py", "from __future__ import annotations\n" + f0.read("steps.py"))
    f0.write("r.yaml", recipe("n: 1"))
    assert f0("run", "r.yaml").code == 0
    assert f0.read("out") == "1"


def test_params_of_a_base_class_are_read_in_their_own_module(f0: F0) -> None:
    f0.write(
        "base.py",
        "from scriptlets.core.base import BaseScriptlet\nCount = int\nclass Base(BaseScriptlet):\n    class Params:\n        n: Count\n",
    )
    f0.write(
        "steps.py",
        "from base import Base\nCount = str\nclass f(Base):\n    def run(self, ctx, params):\n        open('out', 'w').write(repr(params['n']))\n        return 0\n",
    )
    f0.write("r.yaml", recipe("n: 10"))
    assert f0("run", "r.yaml").code == 0
    assert f0.read("out") == "10"
