"""A world of several recipes that share files and names of steps; one grows, with a temp output, also by nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .base import Facts, World, clear, put

SHARE = """\
steps:
  - name: build
    inputs: src/x
    outputs: shared
    run: "echo {salt} > shared; cat src/x >> shared"
  - name: own
    {comment}
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
  - name: build
    foreach:
      f:
        glob: own_${{ f }}
        optional: yes
    inputs: own_${{ f }}
    outputs:
      - path: half/${{ f }}
        temp: yes
    run: head -n 1 own_${{ f }} > half/${{ f }}
  - name: end
    inputs: ${{ steps.build.outputs }}
    outputs: ends
    run: "cat /dev/null ${{ inputs }} > ends"
"""
MAKES = {
    "a.yaml": ("shared", "own_a"),
    "b.yaml": ("shared", "own_b"),
    "grow.yaml": ("raw", "parts", "each", "all"),
    "gather.yaml": ("gathered", "half", "ends"),
}
TEMPS = {"grow.yaml": ("raw",), "gather.yaml": ("half/a", "half/b")}


class Recipes(World):
    """See the module."""

    outputs = tuple(sorted({name for names in MAKES.values() for name in names}))

    def build(self) -> None:
        """Four recipes and two sources."""
        (self.place / "src").mkdir()
        put(self.place / "src/x", "x\n")
        put(self.place / "src/parts", "a b\n")
        for name in "ab":
            put(self.place / f"{name}.yaml", SHARE.format(name=name, salt=1, comment="description: own"))
        put(self.place / "grow.yaml", GROW)
        put(self.place / "gather.yaml", GATHER)
        self._next: str | None = None

    def mend(self) -> None:
        """Have what every recipe needs."""
        for name in ("x", "parts"):
            if not (self.place / "src" / name).is_file():
                clear(self.place / "src" / name)
                put(self.place / "src" / name, "a\n")

    def recipe(self) -> str:
        """Any, or again that of before."""
        last = self._next
        if last is None or self.dice.random() < 0.6:
            self._next = self.dice.choice(tuple(MAKES))
        self.note("recipe: the same again" if self._next == last else "recipe: another")
        return str(self._next)

    def makes(self, recipe: str) -> tuple[str, ...]:
        """Its own; what other recipes made are files like any."""
        return MAKES[recipe]

    def temps(self, recipe: str) -> tuple[str, ...]:
        """What is removed at the end."""
        return TEMPS.get(recipe, ())

    def edits(self) -> list[Callable[[], str]]:
        """Sources, recipes and outputs."""
        x, parts = self.place / "src/x", self.place / "src/parts"
        outputs = ("shared", "own_a", "own_b", "all", "each/a", "parts/a", "gathered", "ends")
        return [
            *[self._x] * 2,
            *[self._parts] * 3,
            *[self._salt] * 2,
            self._comment,
            self._add,
            lambda: self.touch(x),
            lambda: self.rights(x),
            lambda: self.back(x),
            lambda: self.sly(x, "z\n"),
            lambda: self.back(parts),
            *[lambda: self.lose(self.dice.choice(outputs))] * 2,
        ]

    def _x(self) -> str:
        text = self.dice.choice("xyz")
        put(self.place / "src/x", text + "\n")
        self.note("write")
        return f"x is {text}"

    def _parts(self) -> str:
        text = self.dice.choice(("a b", "", "b", "c a"))
        put(self.place / "src/parts", text + "\n")
        self.note("growth: other instances" if text else "growth: none")
        return f"parts are {text!r}"

    def _recipe(self, change: Callable[[str], str], kind: str) -> str:
        name = self.dice.choice("ab")
        path = self.place / f"{name}.yaml"
        put(path, change(path.read_text()))
        self.note(kind)
        return f"{kind} in {name}"

    def _salt(self) -> str:
        new = self.dice.choice("123")

        def change(text: str) -> str:
            before, _, rest = text.partition("echo ")
            return f"{before}echo {new}{rest[1:]}"

        return self._recipe(change, "recipe: command")

    def _comment(self) -> str:
        new = self.dice.choice(("# a comment", "description: another", "priority: 2"))

        def change(text: str) -> str:
            lines = text.split("\n")
            lines[6] = "    " + new
            return "\n".join(lines)

        return self._recipe(change, "recipe: what is in no key")

    def _add(self) -> str:
        """A file of the user's in an output directory."""
        directory = self.place / self.dice.choice(("parts", "each"))
        if not directory.is_dir():
            return self.nothing()
        put(directory / "foreign", "by hand\n")
        self.note("output: foreign file in its directory")
        return f"add {directory.name}/foreign"

    def facts(self, recipe: str, names: Iterable[str]) -> dict[str, Facts]:
        """From the sources alone."""
        path = self.place / "src/x"
        x = (path.read_text(), path.stat().st_mode & 0o100)
        parts = tuple(sorted((self.place / "src/parts").read_text().split()))
        found: dict[str, Facts] = {}
        for name in names:
            if recipe in ("a.yaml", "b.yaml"):
                salt = (self.place / recipe).read_text().partition("echo ")[2][:1]
                shared = (salt, x[0])
                found[name] = ("shared", salt, x) if name == "build" else (recipe, shared)
            elif recipe == "grow.yaml":
                kinds: dict[str, Facts] = {"raw": x, "build": (x, parts), "own": (x[0], parts)}
                found[name] = (recipe, name, kinds.get(name, x))
            else:
                owns = tuple((f.name, f.read_text()) for f in sorted(self.place.glob("own_*")))
                own = tuple(one for one in owns if name == f"build[f={one[0][4:]}]")
                found[name] = (recipe, name, own if name.startswith("build") else owns)
        return found
