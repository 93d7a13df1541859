"""A world of links: into, out of and among directories, dangling, relinked, in chains, as outputs; rights and times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from f0make.files.content_cache import Contents
from f0make.options import RunOptions
from f0make.session import Session

from .base import RECIPE, Facts, World, clear, put

TEXT = """\
steps:
  - name: all
    inputs:
      - glob: data/*.fq
        optional: yes
    outputs: out/all
    run: cat /dev/null ${{ inputs }} > out/all
  - name: each
    foreach:
      s:
        glob: data/${{ s }}.fq
        optional: yes
    inputs: data/${{ s }}.fq
    outputs: out/each/${{ s }}
    run: cp data/${{ s }}.fq out/each/${{ s }}
  - name: deep
    inputs:
      - glob: tree/**/*.fq
        optional: yes
    outputs: out/deep
    run: cat /dev/null ${{ inputs }} > out/deep
  - name: dir
    inputs: dir/
    outputs: out/dir
    run: ulimit -f 2000; (find -L dir -type f 2>/dev/null || true) | LC_ALL=C sort | xargs -r tail -v -n +1 > out/dir
  - name: one
    inputs: one
    outputs: out/one
    run: cat one > out/one
  - name: ln
    outputs: latest
    run: ln -s version latest
  - name: read
    inputs: latest
    outputs: out/read
    run: cat latest > out/read
  - name: make
    inputs: source
    outputs: made/x
    run: cp source made/x
  - name: through
    inputs: in/x
    outputs: out/through
    run: cat in/x > out/through
  - name: end
    inputs:
      - out/all
      - out/read
      - out/through
    outputs: out/end
    run: cat out/all out/read out/through | sort -u > out/end
"""

NAMES = ("A.fq", "B.fq", "C.fq")
PLACES = ("disk", "other", "data", "tree", "tree/sub", "dir", "dir/sub")
TEXTS = ("one\n", "two\n", "three\n")
PLAIN = ("source", "version")
RELATIVE = ("../disk/A.fq", "../other/A.fq", "../disk/B.fq", "A.fq", "B.fq", "sub/C.fq", "../made/x")
DIRECTORIES = ("../other", "../disk", ".", "../../outside")


class Links(World):
    """See the module."""

    outputs = ("out", "made", "latest")

    def build(self) -> None:
        """A first state with a link of each kind."""
        for place in ("disk", "other/sub", "tree/sub", "dir/sub"):
            (self.place / place).mkdir(parents=True)
        for name in ("disk/A.fq", "disk/B.fq", "other/A.fq", "other/sub/C.fq", "tree/sub/A.fq", *PLAIN):
            put(self.place / name, self.dice.choice(TEXTS))
        for name in ("A.fq", "B.fq"):
            put(self.outside / name, self.dice.choice(TEXTS))
        for name, text in (
            ("data", "disk"),
            ("one", "disk/A.fq"),
            ("hop", "made"),
            ("in", "made"),
            ("dir/A.fq", "../disk/A.fq"),
            ("dir/B.fq", "A.fq"),
            ("dir/all", "../other"),
        ):
            (self.place / name).symlink_to(text)
        put(self.place / RECIPE, TEXT)

    def mend(self) -> None:
        """Have no link that leads nowhere or round, nothing else where a file should be, and all that steps name."""
        for name, text in (("data", "disk"), ("one", "disk/A.fq"), ("in", "made"), ("hop", "made")):
            path = self.place / name
            if not (path.is_symlink() and (path.exists() or text == "made")):
                clear(path)
                path.symlink_to(text)
        for place in ("disk", "other", "tree", "dir"):
            if not (self.place / place).is_dir() or (self.place / place).is_symlink():
                clear(self.place / place)
                (self.place / place).mkdir()
            for directory, directories, files in os.walk(self.place / place):
                for name in (*directories, *files):
                    path = Path(directory, name)
                    named_like_a_file = name.endswith(".fq") and not path.is_file()
                    if named_like_a_file or (path.is_symlink() and not path.exists()):
                        clear(path)
        for name in ("disk/A.fq", *PLAIN):
            if not (self.place / name).is_file():
                clear(self.place / name)
                put(self.place / name, TEXTS[0])

    def facts(self, recipe: str, names: Iterable[str]) -> dict[str, Facts]:
        """Command and contents of the inputs, read anew."""
        session = Session.open(recipe, RunOptions(workspace=str(self.place)))
        try:
            contents = Contents(str(self.place))
            return {
                i.name: (i.name, i.command, *((path, contents.token(path)) for path in i.inputs))
                for i in session.graph.instances
            }
        finally:
            session.close()

    def edits(self) -> list[Callable[[], str]]:
        """Mostly files that are written and links that are made."""
        outputs = ("out/all", "out/dir", "latest", "made/x", "out/through", "out/each/A")
        return [
            *[self._write] * 4,
            *[self._link] * 4,
            *[self._link_directory] * 2,
            self._remove,
            self._rename,
            self._rename_directory,
            self._top,
            lambda: self.touch(self._file()),
            lambda: self.rights(self._file()),
            lambda: self.back(self._file()),
            lambda: self.sly(self._file(), self.dice.choice(TEXTS)),
            lambda: self.lose(self.dice.choice(outputs)),
        ]

    def _file(self) -> Path:
        found = self.dice.random()
        if found < 0.15:
            return self.place / self.dice.choice(PLAIN)
        if found < 0.3:
            return self.outside / self.dice.choice(NAMES[:2])
        return self.place / self.dice.choice(PLACES) / self.dice.choice(NAMES)

    def _clear(self, path: Path) -> bool:
        """Make room at ``path``; False where that cannot be."""
        try:
            clear(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return False
        return True

    def _write(self) -> str:
        path = self._file()
        if not path.is_file() and not self._clear(path):
            return self.nothing()
        text = self.dice.choice(TEXTS)
        if path.is_symlink() and self.dice.random() < 0.5:
            path.unlink()
            self.note("link: replaced by a file")
        put(path, text)
        self.note("write: outside" if path.parent == self.outside else "write")
        return f"write {self.name(path)} {text.strip()}"

    def _link(self) -> str:
        """A link named like a file: to one that is there, as a rule."""
        path = self.place / self.dice.choice(PLACES) / self.dice.choice(NAMES)
        text = self.dice.choice(
            (*RELATIVE, f"{self.outside}/A.fq", "../../outside/B.fq", f"{self.place}/disk/A.fq")
        )
        if self.dice.random() < 0.9 and not _leads(path, text):
            text = self.dice.choice(("../disk/A.fq", "../other/A.fq", f"{self.outside}/A.fq"))
        return self._lay(path, text)

    def _link_directory(self) -> str:
        place = self.dice.choice(PLACES)
        path = self.place / place / self.dice.choice(("sub", "all"))
        if "/" in place:
            if path.parent.is_symlink():
                return self.nothing()  # From where it leads to, `..` may be the workspace with all outputs.
            return self._lay(path, self.dice.choice(("..", "../../other", "../../../outside")))
        return self._lay(path, self.dice.choice(DIRECTORIES))

    def _lay(self, path: Path, text: str) -> str:
        again = path.is_symlink()
        if not self._clear(path):
            return self.nothing()
        try:
            path.symlink_to(text)
        except OSError:
            return self.nothing()
        if again:
            self.note("link: relinked")
        self.note(*self._kinds(path, text))
        return f"link {self.name(path)} -> {text}"

    def _kinds(self, path: Path, text: str) -> list[str]:
        """What kinds of link the one at ``path`` is."""
        there = Path(os.path.normpath(path.parent / text))
        kinds = ["link: absolute"] if text.startswith("/") else []
        if not path.exists():
            kinds.append("link: dangling")
        elif path.is_dir():
            around = os.path.realpath(path.parent).startswith(os.path.realpath(path))
            kinds.append("link: to a directory around it" if around else "link: to a directory")
        if there.is_symlink():
            kinds.append("link: in a chain")
        top = there.relative_to(self.place).parts[:1] if there.is_relative_to(self.place) else ()
        if not top and there != self.place:
            kinds.append("link: out of the workspace")
        elif top and top[0] in self.outputs:
            kinds.append("link: to an output")
        elif top == path.relative_to(self.place).parts[:1]:
            kinds.append("link: inside its directory")
        else:
            kinds.append("link: into another directory")
        return kinds

    def _top(self) -> str:
        """A link above inputs, or one that is an input."""
        name, texts = self.dice.choice(
            (
                ("data", ("disk", "other", "tree/sub", "hop2")),
                ("one", ("disk/A.fq", "other/A.fq", "version", "made/x", "../outside/A.fq")),
                ("in", ("made", "hop")),
                ("hop2", ("disk", "other")),
            )
        )
        text = self.dice.choice(texts)
        if (
            name != "hop2"
            and not _leads(self.place / name, text)
            and text != "made"
            and self.dice.random() < 0.9
        ):
            text = texts[0]
        return self._lay(self.place / name, text)

    def _remove(self) -> str:
        path = self.place / self.dice.choice(PLACES) / self.dice.choice((*NAMES, "sub", "all"))
        if not os.path.lexists(path) or not self._clear(path):
            return self.nothing()
        self.note("remove")
        return f"remove {self.name(path)}"

    def _rename(self) -> str:
        path, target = self._file(), self._file()
        if path.name in PLAIN or self.outside in (path.parent, target.parent) or not os.path.lexists(path):
            return self.nothing()
        if path == target or not self._clear(target) or not os.path.lexists(path):
            return self.nothing()
        self.note("rename: link" if path.is_symlink() else "rename: file")
        os.rename(path, target)
        return f"rename {self.name(path)} {self.name(target)}"

    def _rename_directory(self) -> str:
        one, other = self.dice.choice((("disk", "other"), ("tree/sub", "dir/sub"), ("tree", "other")))
        paths = self.place / one, self.place / other
        if not all(path.is_dir() and not path.is_symlink() for path in paths):
            return self.nothing()
        os.rename(paths[0], self.place / "aside")
        os.rename(paths[1], paths[0])
        os.rename(self.place / "aside", paths[1])
        self.note("rename: directories")
        return f"swap {one} {other}"


def _leads(path: Path, text: str) -> bool:
    """Whether a link ``text`` at ``path`` would lead to a file or directory."""
    return os.path.exists(path.parent / text) and os.path.normpath(path.parent / text) != str(path)
