"""A world of links: into, out of and among directories, dangling, relinked, in chains, as outputs; rights and times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .base import RECIPE, World

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

NAMES = ("A.fq", "B.fq", "C.fq", "sub")
PLACES = ("disk", "other", "data", "tree", "tree/sub", "dir", "dir/sub")
TEXTS = ("one\n", "two\n", "three\n")


class Links(World):
    """See the module."""

    outputs = ("out", "made", "latest")

    def build(self) -> None:
        """A first state with a link of each kind."""
        for place in ("disk", "other/sub", "tree/sub", "dir/sub"):
            (self.place / place).mkdir(parents=True)
        for name in (
            "disk/A.fq",
            "disk/B.fq",
            "other/A.fq",
            "other/sub/C.fq",
            "tree/sub/A.fq",
            "source",
            "version",
        ):
            (self.place / name).write_text(self.dice.choice(TEXTS))
        for name, text in (
            ("data", "disk"),
            ("one", "disk/A.fq"),
            ("in", "made"),
            ("dir/A.fq", "../disk/A.fq"),
            ("dir/B.fq", "A.fq"),
            ("dir/all", "../other"),
        ):
            (self.place / name).symlink_to(text)
        (self.place / RECIPE).write_text(TEXT)

    def edit(self) -> str:
        """One random edit."""
        kinds: list[Callable[[], str]] = [
            *[self._write] * 4,
            *[self._link] * 4,
            self._remove,
            self._rename,
            self._touch,
            self._rights,
            self._back,
            self._top,
            self._lose,
            self._nothing,
        ]
        return self.dice.choice(kinds)()

    def _file(self) -> Path:
        if self.dice.random() < 0.2:
            return self.place / self.dice.choice(("source", "version"))
        return self.place / self.dice.choice(PLACES) / self.dice.choice(NAMES[:3])

    def _clear(self, path: Path) -> bool:
        """Make room at ``path``; False where that cannot be."""
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return False
        return True

    def _write(self) -> str:
        path = self._file()
        if not path.is_file() and not self._clear(path):
            return "nothing"
        text = self.dice.choice(TEXTS)
        path.write_text(text)
        return f"write {path.relative_to(self.place)} {text.strip()}"

    def _link(self) -> str:
        path = self.place / self.dice.choice(PLACES) / self.dice.choice(NAMES)
        target = self.dice.choice(
            (
                "../disk/A.fq",
                "../other/A.fq",
                "../other",
                "../disk/B.fq",
                "A.fq",
                "B.fq",
                "sub/C.fq",
                "../none",
                ".",
                "../made/x",
            )
        )
        if not self._clear(path):
            return "nothing"
        try:
            path.symlink_to(target)
        except OSError:
            return "nothing"
        return f"link {path.relative_to(self.place)} -> {target}"

    def _top(self) -> str:
        name, targets = self.dice.choice(
            (
                ("data", ("disk", "other", "tree/sub")),
                ("one", ("disk/A.fq", "other/A.fq", "version", "made/x")),
            )
        )
        target = self.dice.choice(targets)
        if not self._clear(self.place / name):
            return "nothing"
        (self.place / name).symlink_to(target)
        return f"link {name} -> {target}"

    def _remove(self) -> str:
        path = self.place / self.dice.choice(PLACES) / self.dice.choice(NAMES)
        self._clear(path)
        return f"remove {path.relative_to(self.place)}"

    def _rename(self) -> str:
        path, target = self._file(), self._file()
        if not os.path.lexists(path) or not self._clear(target) or not os.path.lexists(path):
            return "nothing"
        if path.name in ("source", "version"):
            return "nothing"
        os.rename(path, target)
        return f"rename {path.relative_to(self.place)} {target.relative_to(self.place)}"

    def _touch(self) -> str:
        path = self._file()
        if path.exists():
            path.touch()
        return f"touch {path.relative_to(self.place)}"

    def _rights(self) -> str:
        path = self._file()
        if path.is_file():
            path.chmod(self.dice.choice((0o644, 0o600, 0o755)))
        return f"chmod {path.relative_to(self.place)}"

    def _back(self) -> str:
        """There and back, with the times of before."""
        path = self._file()
        if not path.is_file():
            return "nothing"
        before, text = path.stat(), path.read_text()
        path.write_text("meanwhile\n")
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return f"back {path.relative_to(self.place)}"

    def _lose(self) -> str:
        name = self.dice.choice(("out/all", "out/dir", "latest", "made/x", "out/through"))
        (self.place / name).unlink(missing_ok=True)
        return f"lose {name}"

    def _nothing(self) -> str:
        return "nothing"
