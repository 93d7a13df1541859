"""For random graphs and edits: a run over the part that changed says and leaves what a run over the whole does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.errors import F0makeError
from f0make.options import Event, Silent
from f0make.session import Session
from f0make.store.record_store import Store
from tests.support.examples import examples
from tests.support.inline import InlineExecutor

SOURCES = ("x", "y", "z")
VOLATILE = (
    "seconds",
    "times",
    "cpu_seconds",
    "peak_mem",
    "read",
    "written",
    "run",
    "started",
    "saved_seconds",
    "token",
)
COMMANDS = {
    "cat": "cat {inputs} > {output}",
    "head": "head -c 1 {first} > {output}",  # often the same output for another input: early cutoff
    "strict": "if grep -q bad {inputs}; then exit 3; fi; cat {inputs} > {output}",
    "tree": "mkdir -p {output}/sub; cat {inputs} > {output}/all; cp {output}/all {output}/sub/$(wc -l < {output}/all)",
    "dep": "cat {inputs} src/hidden > {output}; echo '{output}: src/hidden' > {output}.d",
    "nosy": "cat {inputs} > {output}; echo '{output}: {other}' > {output}.d",
    "gather": "",
}


@dataclass
class World:
    """A recipe's steps and the contents of its source files."""

    steps: list[dict[str, Any]]
    sources: dict[str, str] = field(
        default_factory=lambda: {name: f"{name}\n" for name in (*SOURCES, "hidden")}
    )
    salts: dict[int, str] = field(default_factory=dict)

    def output(self, number: int) -> str:
        return f"out/{number}/" if self.steps[number]["command"] == "tree" else f"out/{number}"

    def reads(self, number: int) -> list[str]:
        found = []
        for needed in self.steps[number]["needs"]:
            if isinstance(needed, str):
                found.append(f"src/{needed}")
            elif self.steps[needed]["command"] != "gather":
                found.append(self.output(needed) + ("all" if self.steps[needed]["command"] == "tree" else ""))
        return found or ["src/x"]

    def recipe(self) -> str:
        lines = ["steps:"]
        for number, step in enumerate(self.steps):
            reads, output = self.reads(number), self.output(number).rstrip("/")
            lines += [f"  - name: s{number}", "    inputs:", *(f"      - {path}" for path in reads)]
            if step["glob"]:
                lines.append("      - src/*.more")
            if step["command"] == "gather":
                continue
            text = COMMANDS[step["command"]].format(
                inputs="${{ inputs }}" if step["glob"] else " ".join(reads),
                first=reads[0],
                output=output,
                other=f"out/{step['other']}",
            )
            lines += ["    outputs:", f"      - path: {self.output(number)}"]
            lines += [f"        {flag}: yes" for flag in ("temp", "protected") if step[flag]]
            lines += [
                "    run: |",
                f"      {text}",
                "    env:",
                f"      SALT: s{self.salts.get(number, '')}",
            ]
            if step["command"] in ("dep", "nosy"):
                lines.append(f"    depfile: {output}.d")
            lines += [f"    {flag}: {value}" for flag, value in step["more"]]
        return "\n".join(lines) + "\n"

    def write(self, place: Path) -> None:
        (place / "src").mkdir(exist_ok=True)
        for old in (place / "src").iterdir():
            if old.name not in self.sources:
                old.unlink()
        for name, text in self.sources.items():
            target = place / "src" / name
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
        recipe = place / "recipe.yaml"
        if not recipe.exists() or recipe.read_text() != self.recipe():
            recipe.write_text(self.recipe())


@st.composite
def worlds(draw: st.DrawFn) -> World:
    size = draw(st.integers(2, 7))
    steps: list[dict[str, Any]] = []
    rare = st.integers(0, 7).map(lambda n: n == 0)
    for number in range(size):
        pool = [*SOURCES, *range(number)]
        usual = st.sampled_from(["cat", "head", "strict", "tree", "dep"])
        command = draw(st.sampled_from(sorted(COMMANDS)) if draw(rare) else usual)
        more = (
            draw(st.sampled_from([("always", "yes"), ("when", "no"), ("cache", "no")]))
            if draw(rare)
            else None
        )
        steps.append(
            {
                "needs": draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True)),
                "command": command,
                "temp": False,
                "protected": draw(rare),
                "glob": draw(rare) and command != "head",
                "other": draw(st.integers(0, size - 1)),
                "more": [more] if more else [],
            }
        )
    for number in range(size):
        consumed = any(number in step["needs"] for step in steps)
        steps[number]["temp"] = consumed and draw(st.booleans())
    return World(steps)


EDITS = (
    *(
        "source",
        "source",
        "source",
        "revert",
        "bad",
        "revert",
        "touch",
        "delete",
        "alter",
        "add",
        "remove",
        "clear",
        "hidden",
    ),
    *("more", "less", "salt", "lost", "mode", "settle", "nothing", "dirtouch"),
)
edits = st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 6)), min_size=1, max_size=7)


def edit_world(world: World, edit: str, number: int) -> None:
    """Change the model."""
    name = SOURCES[number % len(SOURCES)]
    if edit == "source":
        world.sources[name] = f"{name} changed {number}\n" * (1 + number % 2)
    elif edit == "bad":
        world.sources[name] = "bad\n"
    elif edit in ("revert", "settle"):
        world.sources.update({n: f"{n}\n" for n in (*SOURCES, "hidden")})
    elif edit == "hidden":
        world.sources["hidden"] = f"hidden {number}\n"
    elif edit == "more":
        world.sources[f"{number}.more"] = f"more {number}\n"
    elif edit == "less":
        world.sources.pop(f"{number}.more", None)
    elif edit == "salt":
        world.salts[number % len(world.steps)] = str(number)
    elif edit == "lost":
        world.sources.pop(name, None)


def edit_place(world: World, place: Path, edit: str, number: int) -> None:
    """Do to the files what a person might do between two runs."""
    output = place / world.output(number % len(world.steps))
    source = place / "src" / SOURCES[number % len(SOURCES)]
    if edit == "touch" and source.exists():
        source.touch()
    elif edit == "mode" and source.exists():
        source.chmod(0o755 if number % 2 else 0o644)
    elif edit == "delete" and output.exists():
        shutil.rmtree(output) if output.is_dir() else output.unlink()
    elif edit == "alter" and not output.is_dir():
        output.parent.mkdir(exist_ok=True)
        output.unlink(missing_ok=True)
        output.write_text("by hand\n")
    elif edit == "add" and output.is_dir():
        (output / "foreign").write_text("by hand\n")
    elif edit == "remove" and (output / "all").exists():
        (output / "all").unlink()
    elif edit == "clear":
        shutil.rmtree(place / "out", ignore_errors=True)
    elif edit == "dirtouch":
        os.utime(place / "src")


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[Event] = []
        self.last: Event = {}
        self.notes: list[str] = []

    def step(self, event: Event) -> None:
        self.steps.append(event)

    def summary(self, event: Event) -> None:
        self.last = event

    def note(self, text: str) -> None:
        # Where to depends on the second: two runs within one move things to the same directory.
        self.notes.append(text.partition("; moved to ")[0])


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between any two runs."""
    return {name: v for name, v in value.items() if name not in VOLATILE}


def run_once(place: Path) -> dict[str, Any]:
    """One run; everything that two ways of running must agree on."""
    log = place / ".f0make" / "records.log"
    before = log.stat().st_size if log.exists() else 0
    told = Told()
    try:
        result = InlineExecutor(str(place), told, keep_going=True).execute("recipe.yaml")
    except F0makeError as error:
        return {"error": str(error)}
    lines = log.read_bytes()[before:].splitlines()
    written = []
    for line in lines:
        kind, _, text = line[9:].partition(b" ")
        if kind != b"header":
            written.append((kind.decode(), json.dumps(plain(json.loads(text)), sort_keys=True)))
    store = Store(str(place), readonly=True)
    made = dict(store.made)
    store.close()
    return {
        "status": (result.status, result.exit_code),
        "steps": result.steps,
        "events": sorted(json.dumps(plain(e), sort_keys=True) for e in told.steps),
        "summary": plain(told.last),
        "notes": sorted(told.notes),
        "log": sorted(written),
        "made": made,
        "files": {
            str(p.relative_to(place)): p.read_text()
            for p in sorted(place.rglob("*"))
            if p.is_file() and ".f0make" not in p.parts
        },
    }


def planned(place: Path) -> list[tuple[str, str, str]]:
    """The plan, which always goes the full way."""
    try:
        return [(p.instance.name, p.status, p.reason) for p in InlineExecutor(str(place)).plan("recipe.yaml")]
    except F0makeError as error:
        return [("", "", str(error))]


@examples(60)
@given(worlds(), edits)
def test_a_partial_run_equals_a_full_one(world: World, changes: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        part, whole = Path(directory) / "part", Path(directory) / "whole"
        part.mkdir()
        whole.mkdir()
        for edit, number in [("nothing", 0), ("nothing", 0), *changes, ("settle", 0), ("nothing", 0)]:
            edit_world(world, edit, number)
            for place in (part, whole):
                edit_place(world, place, edit, number)
                world.write(place)
            shutil.rmtree(whole / ".f0make" / "snapshots", ignore_errors=True)
            found, expected = run_once(part), run_once(whole)
            assert found == expected, (edit, number)
            assert planned(part) == planned(whole), (edit, number)


FLAT = (
    "steps:\n  - name: copy\n    foreach:\n      n:\n        range: 0..29\n"
    "    inputs: in/${{ n }}\n    outputs: out/${{ n }}\n    run: cp in/${{ n }} out/${{ n }}\n"
    "  - name: count\n    inputs:\n      - out/7\n      - out/8\n    outputs: out/count\n    run: cat out/7 out/8 | wc -l > out/count\n"
)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """30 copies and a count of two of them, up to date."""
    (tmp_path / "in").mkdir()
    for n in range(30):
        (tmp_path / "in" / str(n)).write_text(f"{n}\n")
    (tmp_path / "recipe.yaml").write_text(FLAT)
    assert InlineExecutor(str(tmp_path)).execute("recipe.yaml").status == "ok"
    return tmp_path


@pytest.fixture
def only_part(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes opening a whole recipe an error from here on."""

    def forbid() -> None:
        def refuse(*_: object, **__: object) -> Session:
            raise AssertionError("the whole recipe was opened")

        monkeypatch.setattr(Session, "open", refuse)

    return forbid


def statuses(place: Path, **options: Any) -> dict[str, str]:
    """What became of everything that is not current."""
    result = InlineExecutor(str(place), **options).execute("recipe.yaml")
    return {name: state for name, state in result.steps.items() if state != "current"}


def test_one_change_opens_no_recipe(flat: Path, only_part: Callable[[], None]) -> None:
    only_part()
    (flat / "in/5").write_text("another\n")
    assert statuses(flat) == {"copy[n=5]": "ran"}
    (flat / "in/7").write_text("two\nlines\n")
    assert statuses(flat) == {"copy[n=7]": "ran", "count": "ran"}
    assert statuses(flat) == {}
    (flat / "out/9").unlink()
    (flat / "in/3").touch()
    assert statuses(flat) == {"copy[n=9]": "restored"}
    shutil.rmtree(flat / "out")
    assert len(statuses(flat)) == 31
    assert statuses(flat) == {}


def test_many_signatures_become_a_new_snapshot(
    flat: Path, only_part: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from f0make.incremental import update_snapshot

    only_part()
    monkeypatch.setattr(update_snapshot, "WORTH_A_FILE", 0)
    for n in (1, 2):
        (flat / f"in/{n}").write_text("another\n")
        assert statuses(flat) == {f"copy[n={n}]": "ran"}
    assert not list((flat / ".f0make/snapshots").glob("*.new"))
    assert statuses(flat) == {}


def test_a_damaged_snapshot_costs_a_full_run_only(flat: Path) -> None:
    (flat / "in/5").write_text("another\n")
    assert statuses(flat) == {"copy[n=5]": "ran"}
    (name,) = (flat / ".f0make/snapshots").glob("*[!w]")
    whole = name.read_bytes()
    patch = name.with_name(name.name + ".new")
    for at in (10, len(whole) // 2, len(whole) - 3):
        name.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        (flat / "in/6").write_text(f"{at}\n")
        (flat / "in/29").write_text(f"{at}\n")
        assert statuses(flat) == {"copy[n=6]": "ran", "copy[n=29]": "ran"}
        assert statuses(flat) == {}
    patch.write_bytes(b"nonsense")
    (flat / "in/6").write_text("last\n")
    assert statuses(flat) == {"copy[n=6]": "ran"}


def test_a_lost_log_is_no_longer_vouched_for(flat: Path) -> None:
    (flat / ".f0make/records.log").write_bytes(b"")
    (flat / "in/7").write_text("another\n")
    assert len(statuses(flat, no_cache=True)) == 31


def test_a_later_attempt_is_rendered_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "steps:\n  - name: try\n    inputs: x\n    outputs: y\n    retries: 2\n"
        "    run: test ${{ attempt }} = 2 && cp x y\n"
    )
    for text in ("one\n", "two\n"):
        (tmp_path / "x").write_text(text)
        assert statuses(tmp_path) == {"try": "ran"}
        assert (tmp_path / "y").read_text() == text


def test_lost_files_are_put_back_by_several(
    flat: Path, only_part: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from f0make.workspace import refill_many

    only_part()
    monkeypatch.setattr(refill_many, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(refill_many, "_PIECE", 3)
    (flat / "in/3").chmod(0o755)
    assert statuses(flat) == {"copy[n=3]": "ran"}
    before = {path.name: (path.read_bytes(), path.stat().st_mode) for path in (flat / "out").iterdir()}
    blobs = sorted((flat / ".f0make/cache/cas").glob("*/*"))
    shutil.rmtree(flat / "out")
    blobs[5].chmod(0o644)
    blobs[5].write_bytes(b"damaged")
    found = statuses(flat)
    assert sorted(set(found.values())) == ["ran", "restored"]
    assert list(found.values()).count("ran") <= 2
    assert {p.name: (p.read_bytes(), p.stat().st_mode) for p in (flat / "out").iterdir()} == before
    assert not list((flat / ".f0make").glob("run/*"))
    assert statuses(flat) == {}
