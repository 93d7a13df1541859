"""f0make's own quick data classes behave like the standard library's."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from f0make import lean
from f0make.errors import Where
from f0make.execution.bundle import Outcome


def make(module: Any, **how: bool) -> Any:
    """The same class made by either module."""

    class Thing:
        """What it is."""

        name: str
        size: int = 3
        parts: list[str] = module.field(default_factory=list)

        def twice(self) -> int:
            return 2 * self.size

    return module.dataclass(**how)(Thing)


@pytest.mark.parametrize("how", [{}, {"slots": True}, {"slots": True, "frozen": True}, {"frozen": True}])
def test_they_behave_like_the_standard_ones(how: dict[str, bool]) -> None:
    ours, theirs = make(lean, **how), make(dataclasses, **how)
    for kind, module in ((ours, lean), (theirs, dataclasses)):
        thing = kind("a", parts=["x"])
        assert (thing.name, thing.size, thing.parts, thing.twice()) == ("a", 3, ["x"], 6)
        assert thing == kind("a", 3, ["x"]) != kind("a", 4, ["x"])
        assert thing != ("a", 3, ["x"])
        assert kind("a").parts is not kind("a").parts
        assert module.replace(thing, size=5).size == 5
        assert [f.name for f in module.fields(kind)] == ["name", "size", "parts"]
        assert repr(thing).endswith("Thing(name='a', size=3, parts=['x'])")
        assert hasattr(thing, "__dict__") == (not how.get("slots"))
        for wrong in ({}, {"name": "a", "other": 1}):
            with pytest.raises(TypeError):
                kind(**wrong)
        if how.get("frozen"):
            with pytest.raises(AttributeError):
                thing.size = 4
        else:
            thing.size = 4
            assert thing.size == 4
            with pytest.raises(TypeError):
                hash(thing)


def test_the_standard_functions_take_them() -> None:
    thing = make(lean, slots=True)("a", parts=["x"])
    assert dataclasses.is_dataclass(thing)
    assert dataclasses.replace(thing, size=7).size == 7
    assert [f.name for f in dataclasses.fields(thing)] == ["name", "size", "parts"]
    assert dataclasses.asdict(thing) == {"name": "a", "size": 3, "parts": ["x"]}


def test_they_travel_and_can_be_keys() -> None:
    place = Where("a.yaml", 3, 4)
    assert pickle.loads(pickle.dumps(place)) == place
    assert {place: 1}[Where("a.yaml", 3, 4)] == 1
    outcome = Outcome("token", True, outputs={"a": "b"})
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_a_run_over_a_part_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys, f0make.executor, f0make.engine.run, f0make.partial.session, f0make.partial.renew\n"
        "slow = {'dataclasses', 'inspect', 'typer', 'rich', 'jinja2', 'yaml', 'strictyaml', 'loky', 'socket',"
        " 'subprocess', 'shutil', 'ssl', 'urllib', 'f0make.expand.expansion', 'f0make.recipe.load'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
