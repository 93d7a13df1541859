"""A world of code: modules and headers that shadow each other on search paths, plug-ins, modules of computed names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .base import RECIPE, Facts, World, clear, put

TEXT = """\
steps:
  - name: near
    module: steps.near
    function: make
    outputs: out/near
  - name: path
    module: steps.path
    function: make
    outputs: out/path
    env:
      PYTHONPATH: first:second
  - name: named
    module: steps.named
    function: make
    inputs: which
    outputs: out/named
  - name: plugs
    module: steps.plugs
    function: make
    outputs: out/plugs
  - name: header
    outputs: out/header
    depfile: header.d
    run: |
      for d in inc1 inc2; do [ ! -f $d/t.h ] || break; done
      cp $d/t.h out/header
      echo "out/header: $d/t.h" > header.d
  - name: end
    inputs:
      - out/near
      - out/path
      - out/named
      - out/plugs
      - out/header
    outputs: out/end
    run: cat out/near out/path out/named out/plugs out/header > out/end
"""
STEPS = {
    "near": "import helper\nimport queue\n\ndef make():\n"
    "    with open('out/near', 'w') as file:\n        print(helper.VALUE, getattr(queue, 'VALUE', 'library'), file=file)\n",
    "path": "import importlib\n\ndef make():\n    shade = importlib.import_module('shade')\n"
    "    with open('out/path', 'w') as file:\n        print(shade.VALUE, file=file)\n",
    "named": "import importlib\n\ndef make():\n    with open('which') as file:\n        name = file.read().strip()\n"
    "    plug = importlib.import_module('plug_' + name)\n"
    "    with open('out/named', 'w') as file:\n        print(plug.VALUE, file=file)\n",
    "plugs": "import importlib\nimport pkgutil\nimport plugs\n\ndef make():\n"
    "    found = [m.name for m in pkgutil.iter_modules(plugs.__path__)]\n"
    "    values = [importlib.import_module('plugs.' + name).VALUE for name in sorted(found)]\n"
    "    with open('out/plugs', 'w') as file:\n        print(values, file=file)\n",
}
MODULES = {
    "near": ("helper.py", "helper/__init__.py", "queue.py"),
    "path": ("first/shade.py", "first/shade/__init__.py", "second/shade.py", "shade.py"),
    "named": ("plug_a.py", "plug_b.py", "plug_b/__init__.py"),
    "plugs": ("plugs/__init__.py", "plugs/one.py", "plugs/two.py", "plugs/three.py"),
    "header": ("inc1/t.h", "inc2/t.h"),
}
NEEDED = ("helper.py", "second/shade.py", "plug_a.py", "plug_b.py", "plugs/__init__.py", "inc2/t.h")
OTHERS = ("unused.py", "first/unused.py")
DIRECTORIES = ("first", "second", "helper", "inc1", "plug_b")


class Code(World):
    """See the module."""

    outputs = ("out",)

    def build(self) -> None:
        """Everything that can shadow another is there, so that headers are known of."""
        for name, text in STEPS.items():
            self._put(f"steps/{name}.py", text)
        for name in (*NEEDED, "first/shade.py", "plugs/one.py", "inc1/t.h"):
            self._put(name, self._text())
        self._put("which", "a\n")
        self._put(RECIPE, TEXT)

    def _put(self, name: str, text: str) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, text)
        return path

    def _text(self) -> str:
        return f"VALUE = {self.dice.randrange(3)}\n"

    def mend(self) -> None:
        """Have at least one module of each name."""
        for name in NEEDED:
            if not (self.place / name).is_file():
                clear(self.place / name)
                self._put(name, self._text())
        if self._which() not in ("a", "b"):
            self._put("which", "a\n")

    def _which(self) -> str:
        path = self.place / "which"
        return path.read_text().strip() if path.is_file() else ""

    def edits(self) -> list[Callable[[], str]]:
        """Mostly values of modules, and modules that come and go."""
        return [
            *[self._write] * 5,
            *[self._remove] * 3,
            *[self._comment] * 2,
            self._rename,
            self._choose,
            self._other,
            lambda: self.touch(self._module()),
            lambda: self.back(self._module()),
            lambda: self.sly(self._module(), self._text()),
            lambda: self.lose("out/" + self.dice.choice(tuple(MODULES))),
        ]

    def _module(self) -> Path:
        return self.place / self.dice.choice([name for names in MODULES.values() for name in names])

    def _write(self) -> str:
        path = self._module()
        there = path.is_file()
        if path.parent.is_file():
            return self.nothing()
        self._put(self.name(path), self._text())
        self.note("code: value" if there else "code: appears")
        return f"write {self.name(path)} {path.read_text().strip()}"

    def _remove(self) -> str:
        path = self._module()
        if not path.is_file() or (self.name(path) in NEEDED and self.dice.random() < 0.9):
            return self.nothing()
        if path.name == "__init__.py" and self.dice.random() < 0.7 and path.parent.name != "plugs":
            path = path.parent
        clear(path)
        self.note("code: goes")
        return f"remove {self.name(path)}"

    def _comment(self) -> str:
        path = self._module()
        if not path.is_file() or path.suffix != ".py":
            return self.nothing()
        text = path.read_text().splitlines()[0]
        put(path, f"{text}\n# {self.dice.randrange(3)}\n")
        self.note("code: comment")
        return f"comment {self.name(path)}"

    def _rename(self) -> str:
        """Take a directory of a search path away, or bring it back."""
        path = self.place / self.dice.choice(DIRECTORIES)
        aside = path.with_name("x" + path.name)
        if path.is_dir() and not aside.exists() and path.name != "second":
            os.rename(path, aside)
        elif aside.is_dir() and not path.exists():
            os.rename(aside, path)
        else:
            return self.nothing()
        self.note("rename: directory of a search path")
        return f"rename {path.name}"

    def _choose(self) -> str:
        text = self.dice.choice(("a\n", "b\n"))
        self._put("which", text)
        self.note("write")
        return f"which is {text.strip()}"

    def _other(self) -> str:
        path = self._put(self.dice.choice(OTHERS), self._text())
        self.note("code: nobody's")
        return f"write {self.name(path)}"

    def facts(self, recipe: str, names: Iterable[str]) -> dict[str, Facts]:
        """The values of all modules that can have to do with a step; comments count in those that are only discovered."""
        found: dict[str, Facts] = {}
        for name in names:
            modules = MODULES.get(name, [m for some in MODULES.values() for m in some])
            discovered = name in ("named", "plugs")
            state = tuple(self._value(module, discovered) for module in modules)
            directories = tuple((self.place / one).is_dir() for one in ("first", "helper", "plug_b"))
            found[name] = (name, state, directories, self._which() if name in ("named", "end") else "")
        return found

    def _value(self, module: str, whole: bool) -> str:
        path = self.place / module
        if not path.is_file():
            return "-"
        return path.read_text() if whole else path.read_text().splitlines()[0]
