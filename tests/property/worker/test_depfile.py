"""Dependency files in Make's syntax, as compilers write them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.worker.depfile import DepfileError, parse, prerequisites


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a.o: a.c a.h\n", ["a.c", "a.h"]),
        ("a.o: a.c \\\n  a.h \\\r\n b.h", ["a.c", "a.h", "b.h"]),
        ("a.o:\\\n a.c\\\n a.h\n", ["a.c", "a.h"]),
        ("a.o a.d : a.c\n", ["a.c"]),
        ("a.o: a.c a.h\n\na.h:\n\nb.h:\n", ["a.c", "a.h"]),
        ("a.o: my\\ file.c a\\#b.h c$$d.h", ["my file.c", "a#b.h", "c$d.h"]),
        ("a.o: C:/x.h c:\\dir\\y.h\n", ["C:/x.h", "c:\\dir\\y.h"]),
        ("a.o: a\\\\\\ b.h x\\\\ y", ["a\\ b.h", "x\\\\", "y"]),
        ("a.o: a.c a.c\nb.o: a.c b.c\n", ["a.c", "b.c"]),
        ("# made by hand\na.o: a.c # the source\n", ["a.c"]),
        ("a\\:b: c\\:d\n", ["c:d"]),
        ("lib.a::x.o y.o\n", DepfileError),
        ("what is this\n", DepfileError),
    ],
)
def test_parse(text: str, found: list[str] | type[Exception]) -> None:
    if isinstance(found, list):
        assert parse(text) == found
    else:
        with pytest.raises(found, match="line 1"):
            parse(text)


def test_the_line_of_an_error_counts_continued_lines() -> None:
    with pytest.raises(DepfileError, match="line 3"):
        parse("a: b \\\n c\nnonsense\n")


_names = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\t\\:"), min_size=1)


def _escape(name: str) -> str:
    """As gcc's mkdeps.cc does it."""
    return re.sub(r"([ #])", r"\\\1", name).replace("$", "$$")


@given(st.lists(_names, max_size=8, unique=True))
def test_escaped_names_come_back(names: list[str]) -> None:
    assert parse("t.o: " + " \\\n ".join(map(_escape, names)) + "\n") == names


def test_normalised_like_inputs() -> None:
    data = b"o: ./a.h sub/../b.h /work/space/c.h /usr/include/d.h /real/e.h d.d \xff.h /work/space2/f.h\n"
    assert prerequisites(data, ("/work/space", "/real"), "d.d") == [
        "a.h",
        "b.h",
        "c.h",
        "/usr/include/d.h",
        "e.h",
        "\udcff.h",
        "/work/space2/f.h",
    ]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_what_gcc_writes(tmp_path: Path) -> None:
    names = ["a b.h", "c#d.h", "e$f.h", "plain.h"]
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / "m.c").write_text("".join(f'#include "{name}"\n' for name in names))
    subprocess.run(["gcc", "-MMD", "-MP", "-MF", "m.d", "-c", "m.c"], cwd=tmp_path, check=True)
    data = (tmp_path / "m.d").read_bytes()
    assert prerequisites(data, (str(tmp_path),)) == ["m.c", *names]
