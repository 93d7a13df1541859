"""Several recipes of one workspace that share files and names of steps, one of which grows: whatever is edited, and in whatever
order they run, each run leaves what a run from scratch leaves, and takes nothing of another's for its own.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.inline import InlineExecutor

MAKE = """\
steps:
  - name: build
    inputs: src/x
    outputs: shared
    run: "echo {salt} > shared; cat src/x >> shared"
  - name: own
    inputs: shared
    outputs: own_{name}
    run: cp shared own_{name}
"""
GROW = """\
steps:
  - name: raw
    inputs: src/x
    outputs:
      - path: raw
        temp: yes
    run: cp src/x raw
  - name: build
    inputs:
      - src/parts
      - raw
    outputs: parts/
    run: mkdir parts; for p in $(cat src/parts); do echo $p > parts/$p; done
  - name: each
    foreach:
      p:
        glob: parts/${{ p }}
        after: build
    inputs:
      - parts/${{ p }}
      - raw
    outputs: each/${{ p }}
    run: "cat parts/${{ p }} raw > each/${{ p }}"
  - name: own
    inputs: ${{ steps.each.outputs }}
    outputs: all
    run: "cat /dev/null ${{ inputs }} > all"
"""
GATHER = """\
steps:
  - name: own
    inputs:
      - glob: own_*
        optional: yes
    outputs: gathered
    run: "cat /dev/null ${{ inputs }} > gathered"
"""


@dataclass
class World:
    """What the user's files hold, and what each file must hold after a run."""

    x: str = "x"
    parts: str = "a b"
    salts: tuple[str, str] = ("1", "2")

    def write(self, place: Path) -> None:
        (place / "src").mkdir(exist_ok=True)
        for name, text in {"src/x": self.x + "\n", "src/parts": self.parts + "\n"}.items():
            if not (place / name).exists() or (place / name).read_text() != text:
                (place / name).write_text(text)
        for name, salt in zip("ab", self.salts, strict=True):
            (place / f"{name}.yaml").write_text(MAKE.format(name=name, salt=salt))
        (place / "grow.yaml").write_text(GROW)
        (place / "gather.yaml").write_text(GATHER)

    def expected(self, recipe: str, place: Path) -> dict[str, str]:
        if recipe in "ab":
            text = f"{self.salts['ab'.index(recipe)]}\n{self.x}\n"
            return {"shared": text, f"own_{recipe}": text}
        if recipe == "grow":
            parts = sorted(self.parts.split())
            return {"all": "".join(f"{part}\n{self.x}\n" for part in parts)}
        present = [p.read_text() for p in sorted(place.glob("own_*"))]
        return {"gathered": "".join(present)}


edits = st.one_of(
    st.tuples(st.just("x"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("parts"), st.sampled_from(["a b", "", "b", "c a"])),
    st.tuples(st.just("salt"), st.sampled_from(["1", "2", "3"])),
    st.tuples(st.just("delete"), st.sampled_from(["shared", "own_a", "all", "raw", "each/a"])),
    st.tuples(st.just("run"), st.sampled_from(["a", "b", "grow", "gather"])),
)


@examples(15)
@given(st.lists(edits, min_size=2, max_size=8))
def test_runs_of_several_recipes_equal_runs_from_scratch(changes: list[tuple[str, str]]) -> None:
    world = World()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for kind, value in [
            ("run", "a"),
            ("run", "grow"),
            *changes,
            ("run", "b"),
            ("run", "a"),
            ("run", "grow"),
            ("run", "gather"),
        ]:
            if kind == "x":
                world.x = value
            elif kind == "parts":
                world.parts = value
            elif kind == "salt":
                world.salts = (value, world.salts[1])
            elif kind == "delete":
                (place / value).unlink(missing_ok=True)
            world.write(place)
            if kind != "run":
                continue
            expected = world.expected(value, place)
            result = InlineExecutor(str(place)).execute(f"{value}.yaml")
            assert result.status == "ok"
            assert {path: (place / path).read_text() for path in expected} == expected, (value, changes)
            assert not (place / "raw").exists()
            assert not (place / ".f0make" / "displaced").exists(), "nothing here is the user's"
            again = InlineExecutor(str(place)).execute(f"{value}.yaml")
            assert again.summary["ran"] == again.summary["restored"] == 0
