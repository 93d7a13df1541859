"""Simple commands: whenever an argv is given, bash makes exactly the same words of the text."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.worker.simple_command import simple_argv
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("cp a b", ["cp", "a", "b"]),
        (
            "  gcc -O2 -DX=1 -o 'my file.o'\t\"my file.c\"\n",
            ["gcc", "-O2", "-DX=1", "-o", "my file.o", "my file.c"],
        ),
        ("sort 'a\nb' ''", ["sort", "a\nb", ""]),
        ("'cp' a\"b\"'c'", ["cp", "abc"]),
        ("tool --level=3 a:b,c@d%e+f", ["tool", "--level=3", "a:b,c@d%e+f"]),
    ],
)
def test_simple(text: str, argv: list[str]) -> None:
    assert simple_argv(text) == argv


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "# a comment",
        "echo hi",
        "'echo' hi",
        "X=1 cp a b",
        "cp a b > log",
        "cp a b; cp b c",
        "cp a\nb",
        "cp $A b",
        'cp "$A" b',
        'cp "a\\b" c',
        "cp `a` b",
        "cp a* b",
        "cp a? b",
        "cp [ab] c",
        "cp {a,b} c",
        "cp ~/a b",
        "cp a\\ b c",
        "cp a &",
        "(cp a b)",
        "! cp a b",
        "if cp a b",
        "time cp a b",
        "cp 'a",
        "'' a",
        "%1 a",
        "cp a#b c",
        "cp ä b",
        "cp a\0b",
        "cp 'a\0b'",
        "cp\ra",
    ],
)
def test_left_to_the_shell(text: str) -> None:
    assert simple_argv(text) is None


_pieces = st.one_of(
    st.text("abzAZ09_@%+,./:=- \t\n'\"$`\\#~*?[]{}()<>|&;!^", max_size=6),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4).map(shlex.quote),
    st.sampled_from([" ", "'a b'", '"c d"', "-x=1", "a/b.c"]),
)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@examples(150)
@given(st.lists(_pieces, max_size=6))
def test_bash_agrees(pieces: list[str]) -> None:
    # The program name is fixed, because bash must not run whatever was generated.
    words = "".join(pieces)
    argv = simple_argv(f"shown {words}")
    if argv is None:
        return
    script = f'shown() {{ printf \'%s\\0\' "$#" "$@"; }}\nshown {words}'
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, check=True)
    expected = [str(len(argv) - 1), *argv[1:]]
    assert done.stdout.decode().split("\0")[:-1] == expected
    assert done.stderr == b""


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert simple_argv("tool " + " ".join(map(shlex.quote, words))) == ["tool", *words]


def test_quoting_of_templates_stays_simple() -> None:
    names = ["it's", "a b", 'say "hi"', "$HOME", "x;y", "naïve"]
    assert simple_argv("cat " + " ".join(map(shlex.quote, names))) == ["cat", *names]
