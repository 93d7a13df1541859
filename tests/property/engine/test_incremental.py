"""For random graphs and random edits: an incremental run equals a run from scratch, and nothing needless runs."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from f0make.noop import look
from f0make.store import snapshot
from tests.support.examples import examples
from tests.support.inline import InlineExecutor

SOURCES = ("x", "y", "z")
COMMANDS = {
    "cat": "cat {inputs} > {output}",
    "sort": "sort -u {inputs} > {output}",
    "head": "head -c 1 {inputs} > {output}",  # often the same output for another input: early cutoff
    "count": "cat {inputs} | wc -c > {output}",
    "tree": "mkdir {output}; cat {inputs} > {output}/all; echo {name} > {output}/name",
}


@dataclass
class World:
    """A recipe's steps and the contents of its source files."""

    steps: list[dict[str, object]]
    sources: dict[str, str] = field(default_factory=lambda: {name: f"{name}\n" for name in SOURCES})

    def output(self, number: int) -> str:
        return f"out/{number}/" if self.steps[number]["command"] == "tree" else f"out/{number}"

    def reads(self, number: int) -> list[str]:
        found = []
        for needed in self.steps[number]["needs"]:  # type: ignore[attr-defined]
            if isinstance(needed, str):
                found.append(f"src/{needed}")
            else:
                found.append(self.output(needed) + ("all" if self.steps[needed]["command"] == "tree" else ""))
        return found

    def recipe(self) -> str:
        lines = ["steps:"]
        for number, step in enumerate(self.steps):
            text = COMMANDS[str(step["command"])].format(
                inputs=" ".join(self.reads(number)), output=self.output(number).rstrip("/"), name=number
            )
            lines += [f"  - name: s{number}", "    inputs:"]
            lines += [f"      - {path}" for path in self.reads(number)]
            temp = "\n        temp: yes" if step["temp"] else ""
            lines += ["    outputs:", f"      - path: {self.output(number)}{temp}"]
            lines += [f"    run: {text}", "    env:", f"      SALT: s{step['salt']}"]
        return "\n".join(lines) + "\n"

    def write(self, place: Path) -> None:
        (place / "src").mkdir(exist_ok=True)
        for name, text in self.sources.items():
            target = place / "src" / name
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
        (place / "recipe.yaml").write_text(self.recipe())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    size = draw(st.integers(1, 6))
    steps = []
    for number in range(size):
        pool = [*SOURCES, *range(number)]
        needs = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))
        command = draw(st.sampled_from(sorted(COMMANDS)))
        if command == "head":
            needs = needs[:1]
        steps.append({"needs": needs, "command": command, "salt": 0, "temp": False})
    for number in range(size):
        consumed = any(number in step["needs"] for step in steps)
        steps[number]["temp"] = consumed and draw(st.booleans()) and draw(st.booleans())
    return World(steps)


edits = st.lists(
    st.tuples(
        st.sampled_from(
            ["source", "revert", "touch", "delete", "alter", "add", "salt", "unsalt", "nothing", "clear"]
        ),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=6,
)


def apply(world: World, place: Path, edit: str, number: int) -> None:
    """Do one thing that a person might do between two runs."""
    name = SOURCES[number % len(SOURCES)]
    number %= len(world.steps)
    output = place / world.output(number)
    if edit == "source":
        world.sources[name] = f"{name} changed {number}\n"
    elif edit == "revert":
        world.sources[name] = f"{name}\n"
    elif edit == "touch":
        (place / "src" / name).touch()
    elif edit == "delete" and output.exists():
        shutil.rmtree(output) if output.is_dir() else output.unlink()
    elif edit == "alter" and output.is_file():
        output.write_text("by hand\n")
    elif edit == "add" and output.is_dir():
        (output / "foreign").write_text("by hand\n")
    elif edit == "salt":
        world.steps[number]["salt"] = number + 1
    elif edit == "unsalt":
        world.steps[number]["salt"] = 0
    elif edit == "clear":
        shutil.rmtree(place / "out", ignore_errors=True)


def results(world: World, place: Path) -> dict[str, str]:
    """Every file of every output that must be there."""
    found = {}
    for number, step in enumerate(world.steps):
        path = place / world.output(number)
        if step["temp"]:
            assert not path.exists(), path
        elif path.is_dir():
            found.update({str(p.relative_to(place)): p.read_text() for p in path.rglob("*") if p.is_file()})
        else:
            found[world.output(number)] = path.read_text()
    return found


def keys(world: World, contents: dict[str, str]) -> dict[str, tuple[object, ...]]:
    """What each step's result depends on, computed from the model, not from f0make."""
    return {
        f"s{n}": (
            world.output(n),
            str(step["command"]),
            step["salt"],
            *((p, contents[p]) for p in world.reads(n)),
        )
        for n, step in enumerate(world.steps)
    }


def simulate(world: World) -> dict[str, str]:
    """Contents of every source and every output as a run from scratch makes them (the model)."""
    contents = {f"src/{name}": text for name, text in world.sources.items()}
    for number, step in enumerate(world.steps):
        texts = [contents[path] for path in world.reads(number)]
        joined = "".join(texts)
        made = {
            "cat": joined,
            "tree": joined,
            "sort": "".join(sorted(set(joined.splitlines(keepends=True)))),
            "head": joined[:1],
            "count": f"{len(joined)}\n",
        }[str(step["command"])]
        contents[world.output(number) + ("all" if step["command"] == "tree" else "")] = made
    return contents


@examples(40)
@given(worlds(), edits)
def test_incremental_equals_scratch_and_nothing_needless_runs(
    world: World, changes: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "work"
        place.mkdir()
        seen: dict[str, set[tuple[object, ...]]] = {}
        for edit, number in [("nothing", 0), *changes, ("nothing", 0)]:
            apply(world, place, edit, number)
            world.write(place)
            fast = _fast_answer(place)
            result = InlineExecutor(str(place)).execute("recipe.yaml")
            assert result.status == "ok", result
            if fast:
                assert set(result.steps.values()) == {"current"}
            scratch = Path(directory) / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            world.write(scratch)
            assert InlineExecutor(str(scratch), no_cache=True).execute("recipe.yaml").status == "ok"
            assert results(world, place) == results(world, scratch)
            needed = keys(world, simulate(world))
            for name, status in result.steps.items():
                known = seen.setdefault(name, set())
                if status == "ran":
                    assert needed[name] not in known, (name, edit)
                known.add(needed[name])


def _fast_answer(place: Path) -> bool:
    """Whether the snapshot vouches that there is nothing to do."""
    import os

    before = os.getcwd()
    os.chdir(place)
    try:
        request = snapshot.request_of({"recipe": "recipe.yaml"})
        assert request is not None
        seen = snapshot.look(request)
        return seen is not None and seen.nothing_to_do
    finally:
        os.chdir(before)


def test_the_fast_way_is_taken_when_nothing_changed(tmp_path: Path, monkeypatch: object) -> None:
    world = World([{"needs": ["x"], "command": "cat", "salt": 0, "temp": False}])
    world.write(tmp_path)
    for _ in range(2):
        assert InlineExecutor(str(tmp_path)).execute("recipe.yaml").status == "ok"
    assert _fast_answer(tmp_path)
    assert look(["run", "-C", str(tmp_path), "recipe.yaml", "-q"]) is True
    (tmp_path / "src/x").write_text("q\n")
    assert look(["run", "-C", str(tmp_path), "recipe.yaml", "-q"]) is not True
