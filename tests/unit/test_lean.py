"""f0make's own quick data classes behave like the standard library's."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from f0make import fast_dataclass
from f0make.errors import Where
from f0make.worker.bundle import Outcome


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


def test_without_eq_a_thing_equals_itself_only() -> None:
    for module in (fast_dataclass, dataclasses):
        kind = make(module, slots=True, frozen=True, eq=False)
        thing = kind("a")
        assert thing == thing != kind("a")
        assert {thing: 1}[thing] == 1


@pytest.mark.parametrize("how", [{}, {"slots": True}, {"slots": True, "frozen": True}, {"frozen": True}])
def test_they_behave_like_the_standard_ones(how: dict[str, bool]) -> None:
    ours, theirs = make(fast_dataclass, **how), make(dataclasses, **how)
    for kind, module in ((ours, fast_dataclass), (theirs, dataclasses)):
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
    thing = make(fast_dataclass, slots=True)("a", parts=["x"])
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


def run_slow(place: Path, slow: str, nothing_to_do: bool = False) -> list[str]:
    """Run a recipe in ``place``; which of the modules ``slow`` that has imported before its answer."""
    recipe = "steps:\n  - name: copy\n    inputs: a\n    outputs: b\n    run: cp a b\n"
    if not (place / "recipe.yaml").exists():
        (place / "recipe.yaml").write_text(recipe)
    code = (
        "import sys\n"
        "from f0make.noop import look\n"
        "argv = ['run', 'recipe.yaml', '-q']\n"
        "found = look(argv)\n"
        f"assert found is True or not {nothing_to_do}\n"
        "if found is not True:\n"
        "    from f0make.cli.app import main\n"
        "    assert main(argv, found or None) == 0\n"
        f"print(*sorted(set({slow.split()!r}) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.split()


SLOW = (
    "dataclasses inspect typing hashlib pickle typer rich jinja2 strictyaml loky subprocess shutil ssl urllib"
)


def test_a_run_in_which_one_file_changed_imports_nothing_that_is_slow(tmp_path: Path) -> None:
    slow = f"{SLOW} json re shlex yaml f0make.expand.expansion f0make.recipe.load_recipe f0make.worker.runner"

    def run() -> list[str]:
        return run_slow(tmp_path, slow)

    for text in ("one", "two"):
        (tmp_path / "a").write_text(text)
        run()
        time.sleep(0.05)
        run()  # Whatever was too young to be trusted is settled now.
    (tmp_path / "a").write_text("three")
    assert run() == []
    assert (tmp_path / "b").read_text() == "three"


def test_a_first_run_imports_nothing_that_is_slow(tmp_path: Path) -> None:
    """Another process asks strictyaml, if there is a core for it."""
    (tmp_path / "a").write_text("one")
    slow = set(SLOW.split()) - (set() if len(os.sched_getaffinity(0)) > 1 else {"strictyaml"})
    assert run_slow(tmp_path, " ".join(slow)) == []
    assert (tmp_path / "b").read_text() == "one"


def test_a_run_with_nothing_to_do_knows_of_no_other_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    others = (
        "enum f0make.errors f0make.options f0make.incremental f0make.incremental.eligibility f0make.workset"
    )
    run_slow(tmp_path, others)
    time.sleep(0.05)
    run_slow(tmp_path, others)
    assert run_slow(tmp_path, others, nothing_to_do=True) == []
