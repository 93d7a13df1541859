"""Arguments of python steps: signatures read from source, text converted to the annotated types."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.code.check_python import check_python_step
from f0make.code.code_digest import CodeBase
from f0make.code.params import Signature, convert_args, read_signature
from f0make.code.rebuild import rebuild
from f0make.errors import Problem, Where
from f0make.model import Instance, Step


def signature(tmp_path: Path, source: str, function: str = "run", **others: str) -> Signature:
    found = look(tmp_path, source, function, **others)
    assert isinstance(found, Signature), found
    return found


def look(tmp_path: Path, source: str, function: str = "run", **others: str) -> Signature | Problem:
    for name, text in {"step": source, **others}.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_signature(CodeBase(str(tmp_path), [str(tmp_path)], {}), "step", function)


def where(key: str) -> Where:
    return Where("recipe.yaml", 1, len(key))


IMPORTS = """\
import pathlib
import typing
import numpy
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Mapping, Optional, Sequence, Union
"""


def typed(annotation: str, value: Any) -> Any:
    """The value that a function with ``x: annotation`` would be called with."""
    with tempfile.TemporaryDirectory() as directory:
        found = signature(Path(directory), f"{IMPORTS}def run(x: {annotation}): pass\n")
    values, problems = convert_args(found, {"x": value}, where)
    if problems:
        raise ValueError("; ".join(str(problem) for problem in problems))
    assert json.loads(json.dumps(values)) == values
    return rebuild(values["x"])


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("int", "3", 3),
        ("int", "-1_000", -1000),
        ("int", 4, 4),
        ("float", "1e3", 1000.0),
        ("float", "3", 3.0),
        ("bool", "yes", True),
        ("bool", "False", False),
        ("bool", "OFF", False),
        ("str", "3", "3"),
        ("str", "", ""),
        ("'int'", "3", 3),
        ("list[int]", ["1", "2"], [1, 2]),
        ("typing.List[float]", ["1"], [1.0]),
        ("list", ["1"], ["1"]),
        ("Sequence[str]", [], []),
        ("tuple[int, str]", ["1", "2"], (1, "2")),
        ("tuple[int, ...]", ["1", "2", "3"], (1, 2, 3)),
        ("set[int]", ["2", "1", "2"], {1, 2}),
        ("frozenset[str]", ["a"], frozenset({"a"})),
        ("dict[str, int]", {"a": "1"}, {"a": 1}),
        ("dict[int, list[bool]]", {"1": ["no"]}, {1: [False]}),
        ("Mapping", {"a": "1"}, {"a": "1"}),
        ("Optional[int]", "3", 3),
        ("Optional[int]", "", None),
        ("int | None", "Null", None),
        ("Optional[str]", "", ""),
        ("Optional[str]", "none", "none"),
        ("str | None", "null", None),
        ("Union[int, str]", "3", 3),
        ("int | str", "x", "x"),
        ("Literal['fast', 'slow']", "slow", "slow"),
        ("Literal[1, 2]", "2", 2),
        ("Literal[True, None]", "null", None),
        ("Path", "a/b", Path("a/b")),
        ("pathlib.Path | None", "a", Path("a")),
        ("list[Path]", ["a"], [Path("a")]),
        ("Annotated[int, 'metres']", "3", 3),
        ("Any", {"a": ["1"]}, {"a": ["1"]}),
        ("Decimal", "3", Decimal("3")),
        ("Any", {"!path": "x"}, {"!path": "x"}),
        ("dict[str, Path]", {"!path": "x"}, {"!path": Path("x")}),
        ("int = None", "null", None),
    ],
)
def test_conversion(annotation: str, value: Any, expected: Any) -> None:
    result = typed(annotation, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        ("int", "three", "'three' is not an integer"),
        ("int", "3.0", "'3.0' is not an integer"),
        ("int", "", "is not an integer"),
        ("int", ["3"], "a list is not an integer"),
        ("int", True, "is not an integer"),
        ("float", "fast", "'fast' is not a number"),
        ("bool", "maybe", "'maybe' is not yes or no"),
        ("str", ["a"], "a list is not one text"),
        ("list[int]", "3", "'3' is not a list (list[int])"),
        ("list[int]", ["1", "x"], "args.x[1]"),
        ("dict[str, list[int]]", {"a": ["1", "?"]}, "args.x.a[1]"),
        ("tuple[int, int]", ["1"], "1 items where tuple[int, int] has 2"),
        ("Optional[int]", "three", "'three' is not an integer"),
        ("int | float", "three", "'three' is not int | float"),
        ("Literal['fast', 'slow']", "fats", "did you mean 'fast'?"),
        ("dict[str, int]", ["a"], "a list is not a map"),
    ],
)
def test_what_does_not_convert(annotation: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"^recipe\.yaml") as caught:
        typed(annotation, value)
    assert words in str(caught.value)


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)
def test_without_annotation_values_come_through_unchanged(value: Any) -> None:
    values, problems = convert_args(Signature({"x": ["any"]}), {"x": value}, where)
    assert not problems
    assert rebuild(json.loads(json.dumps(values["x"]))) == value


@given(st.dictionaries(st.sampled_from(["!path", "!map", "!tuple", "a"]), st.text(), max_size=2))
def test_maps_that_look_marked_come_through_unchanged(value: dict[str, str]) -> None:
    assert typed("dict[str, str]", value) == value
    assert typed("list[dict]", [value]) == [value]


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(ValueError, match="!strange"):
        rebuild([{"!strange": 1}])


def test_plain_function(tmp_path: Path) -> None:
    found = signature(tmp_path, "def run(ctx, a, b: int = 3, *args, c: bool, d=None): pass")
    assert found.types == {"a": ["any"], "b": ["int"], "c": ["bool"], "d": ["any"]}
    assert found.required == ["a", "c"]
    assert found.context
    assert found.open is None
    _, problems = convert_args(found, {"ctx": "x", "bb": "1", "a": "1"}, where)
    assert [problem.key for problem in problems] == ["args.ctx", "args.bb", "args"]
    assert "given by f0make" in problems[0].message
    assert "did you mean 'b'" in problems[1].hint or "known: a, b, c, d" in problems[1].hint
    assert "'c' is missing" in problems[2].message


def test_keyword_arguments_take_any_name(tmp_path: Path) -> None:
    found = signature(tmp_path, "def run(**kw: int): pass")
    values, problems = convert_args(found, {"x": "1", "y": "two"}, where)
    assert values == {"x": 1}
    assert [problem.key for problem in problems] == ["args.y"]


def test_position_only_parameters_cannot_be_given(tmp_path: Path) -> None:
    found = look(tmp_path, "def run(a, /): pass")
    assert isinstance(found, Problem)
    assert "by position only" in found.message
    assert signature(tmp_path, "def run(a=1, /, b=2): pass").types == {"b": ["any"]}


SCRIPTLET = """
from scriptlets.core.base import BaseScriptlet
from typing import ClassVar
class Mid(BaseScriptlet):
    class Params:
        size: int
        name: str = "x"
        limit: ClassVar[int] = 3
        plain = 2
        _hidden = 1
"""


def test_scriptlet_with_params(tmp_path: Path) -> None:
    found = signature(tmp_path, SCRIPTLET, "Mid")
    assert found.scriptlet
    assert found.types == {"size": ["int"], "name": ["str"], "plain": ["any"]}
    assert found.required == ["size"]


def test_scriptlet_without_params_takes_anything(tmp_path: Path) -> None:
    source = "from scriptlets.core.base import BaseScriptlet as Base\nclass Hello(Base):\n    def run(self, ctx, params): pass"
    found = signature(tmp_path, source, "Hello", scriptlets__core__base="class BaseScriptlet: pass")
    assert convert_args(found, {"message": "3", "all": ["1"]}, where) == ({"message": "3", "all": ["1"]}, [])


@pytest.mark.parametrize(
    "imports",
    [
        "from pkg.mid import Mid",
        "from pkg import mid",
        "import pkg.mid",
        "import pkg.mid as mid",
        "from pkg.mid import *",
    ],
)
def test_bases_and_params_in_another_module(tmp_path: Path, imports: str) -> None:
    base = {
        "from pkg import mid": "mid.Mid",
        "import pkg.mid": "pkg.mid.Mid",
        "import pkg.mid as mid": "mid.Mid",
    }
    name = base.get(imports, "Mid")
    source = f"{imports}\nclass Last({name}):\n    class Params({name}.Params):\n        size: float = 2\n        more: bool\n"
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("", encoding="utf-8")
    found = signature(tmp_path, source, "Last", pkg__mid=SCRIPTLET)
    assert found.types == {"size": ["float"], "name": ["str"], "plain": ["any"], "more": ["bool"]}
    assert found.required == ["more"]
    inherited = signature(tmp_path, f"{imports}\nclass Last({name}): pass", "Last", pkg__mid=SCRIPTLET)
    assert inherited.required == ["size"]


def test_dataclass_params(tmp_path: Path) -> None:
    source = (
        "class S(BaseScriptlet):\n    @dataclass\n    class Params:\n        a: int = field(repr=False)\n"
        "        b: list = field(default_factory=list)\n        c: int = field(default=3)\n"
    )
    assert signature(tmp_path, source, "S").required == ["a"]


def test_functions_from_elsewhere(tmp_path: Path) -> None:
    found = signature(tmp_path, "from other import work as run", other="def work(n: int): pass")
    assert found.types == {"n": ["int"]}
    assert signature(tmp_path, "from other import *", "work", other="def work(n: int): pass").types == {
        "n": ["int"]
    }
    conditional = "try:\n    from fast import run\nexcept ImportError:\n    def run(n: int): pass"
    assert signature(tmp_path, conditional).types == {"n": ["int"]}


@pytest.mark.parametrize(
    "source",
    [
        "import functools\nrun = functools.partial(print, 1)",
        "from numpy_of_mine import run",
        "from numpy_of_mine import *",
        "def __getattr__(name): return print",
        "from numpy_of_mine import Base\nclass run(Base): pass",
        "from third import Params\nclass run(BaseScriptlet):\n    class Params(Params):\n        x: int",
    ],
)
def test_what_cannot_be_seen_is_not_checked(tmp_path: Path, source: str) -> None:
    found = signature(tmp_path, source)
    assert convert_args(found, {"x": "three"}, where) == ({"x": "three"}, [])


def test_circles_of_imports_and_bases_end(tmp_path: Path) -> None:
    signature(tmp_path, "from other import run", other="from step import run")
    assert isinstance(look(tmp_path, "class run(run): pass"), (Signature, Problem))
    for params in ("Params", "A.Params", "B.Params"):
        source = f"class A(BaseScriptlet):\n    class Params({params}):\n        pass\nclass B(A): pass"
        assert isinstance(look(tmp_path, source, "A"), Signature)


@pytest.mark.parametrize(
    ("source", "function", "words"),
    [
        ("def count_words(): pass", "count_wrods", "did you mean 'count_words'?"),
        ("def a(): pass\nclass B: pass", "zzz", "known: B, a"),
        ("import json", "json", "is a module"),
        ("class Plain:\n    def run(self, ctx, params): pass", "Plain", "not derived from BaseScriptlet"),
    ],
)
def test_functions_that_are_none(tmp_path: Path, source: str, function: str, words: str) -> None:
    found = look(tmp_path, source, function)
    assert isinstance(found, Problem)
    assert words in str(found)


def step(args: dict[str, Any], module: str = "step", function: str = "run") -> Step:
    marks = {
        "": (1, 1, 9),
        "module": (3, 13, 3),
        "function": (4, 15, 4),
        "args": (5, 5, 8),
        "args.count": (6, 14, 6),
    }
    return Step(
        name="count", file="r.yaml", marks=marks, type="python", module=module, function=function, args=args
    )


def check(tmp_path: Path, of: Step | Instance) -> tuple[dict[str, Any], list[str]]:
    (tmp_path / "step.py").write_text("def run(count: int, name='x'): pass", encoding="utf-8")
    (tmp_path / "bad.py").write_text("def run(:", encoding="utf-8")
    values, facts, problems = check_python_step(of, str(tmp_path), [str(tmp_path)], {})
    assert bool(facts.digest) == (not facts.problems and "${{" not in (of.module or ""))
    return values, [str(problem) for problem in problems]


def test_problems_have_their_places(tmp_path: Path) -> None:
    assert check(tmp_path, step({"count": "3"})) == ({"count": 3}, [])
    _, (message,) = check(tmp_path, step({"count": "three"}))
    assert message.startswith("r.yaml:6:14: args.count: step 'count': 'three' is not an integer")
    _, (message,) = check(tmp_path, step({}))
    assert message.startswith("r.yaml:5:5: args: ")
    _, (message,) = check(tmp_path, step({}, module="stepp"))
    assert message.startswith("r.yaml:3:13: module: ")
    assert "did you mean 'step'?" in message
    _, (message,) = check(tmp_path, step({}, function="runn"))
    assert message.startswith("r.yaml:4:15: function: ")
    _, (message,) = check(tmp_path, step({}, module="bad"))
    assert message.startswith("bad.py:1:9: ")


def test_templates_wait_for_their_instance(tmp_path: Path) -> None:
    written = step({"count": "${{ n }}", "nmae": "${{ n }}"})
    values, (message,) = check(tmp_path, written)
    assert values == {}
    assert "unknown argument 'nmae'" in message
    assert check(tmp_path, step({}, module="${{ m }}")) == ({}, [])
    written = step({"count": "${{ n }}"})
    instance = Instance(
        "count[n=x]", written, {"n": "x"}, [], [], args={"count": "x"}, module="step", function="run"
    )
    _, (message,) = check(tmp_path, instance)
    assert message.startswith("r.yaml:6:14: args.count: step 'count[n=x]': 'x' is not an integer")


def test_a_list_that_a_template_made_longer_has_one_place(tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text("def run(sizes: list[int]): pass", encoding="utf-8")
    written = step({"sizes": ["${{ config.sizes }}", "x"]})
    written.marks.update({"args.sizes": (7, 5, 9), "args.sizes[0]": (8, 9, 8), "args.sizes[1]": (9, 9, 9)})
    for values, line in ((["1", "two", "x"], 7), (["1", "x"], 9)):
        instance = Instance(
            "count", written, {}, [], [], args={"sizes": values}, module="step", function="run"
        )
        _, _, problems = check_python_step(instance, str(tmp_path), [str(tmp_path)], {})
        assert problems[0].where is not None
        assert problems[0].where.line == line
