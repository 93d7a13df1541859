"""Values in shell text: what a program gets is the value, in each place, in each shell, whatever bytes it holds."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.template.render_text import TemplateError
from f0make.template.run_text import Command
from tests.support.examples import examples

SHELLS = ("bash", "dash", "zsh", "ksh")
SHOW = "printf '%s\\0'"

PLACES = {
    # Text with % for the value and SHOW for the program -> what it gets; the shells that understand it.
    "a word": ("SHOW %", ["%"], SHELLS),
    "two words": ("SHOW % %", ["%", "%"], SHELLS),
    "side by side": ("SHOW %% a%b%c", ["%%", "a%b%c"], SHELLS),
    "beside text": (
        "SHOW pre%.txt --opt=% %/x x:% x=%",
        ["pre%.txt", "--opt=%", "%/x", "x:%", "x=%"],
        SHELLS,
    ),
    "double quotes": ('SHOW "%" "a % b" "%"%"%"', ["%", "a % b", "%%%"], SHELLS),
    "single quotes": ("SHOW '%' 'a % b' '%'%'%' '\\%'", ["%", "a % b", "%%%", "\\%"], SHELLS),
    "beside quotes": ("SHOW 'a'%\"b\" \"a\"%'b'", ["a%b", "a%b"], SHELLS),
    "after a variable": ('V=x; SHOW "$V%" ${V}% "${V}%" "$V"%', ["x%", "x%", "x%", "x%"], SHELLS),
    "unquoted, after a variable": ("V=x; SHOW $V%", ["x%"], SHELLS),
    "after parameters": ('set -- p; SHOW $1% "$1%"', ["p%", "p%"], SHELLS),
    "ANSI quotes": ("SHOW $'a\\tb%c' $'\\x41%'", ["a\tb%c", "A%"], ("bash", "zsh", "ksh")),
    "translated": ('SHOW $"a % b"', ["a % b"], ("bash", "ksh")),
    "substitution": (
        'SHOW "$(cat /dev/null %./x 2>&1 | head -c 0)x" "$(printf ./F. "%")"',
        ["x", "%."],
        SHELLS,
    ),
    "nested substitution": ('SHOW "$(printf ./F. "$(printf ./F. "%")")"', ["%.."], SHELLS),
    "backquotes": ('SHOW "`printf ./F. \'%\'`" "`printf ./F. %`"', ["%.", "%."], SHELLS),
    "unquoted backquotes": ('IFS=; set -f; SHOW `printf ./F. %` `printf ./F. "%"`', ["%.", "%."], SHELLS),
    "nested backquotes": ('IFS=; set -f; SHOW "`printf ./F. \\`printf ./F. %\\``"', ["%.."], SHELLS),
    "quotes in nested backquotes": (
        "SHOW `printf ./F. \\`printf ./F. 'x%'\\` | tr -d '[:space:]*?[' | head -c 1`",
        ["x"],
        SHELLS,
    ),
    "assignment": (
        'V=%; SHOW "$V"; V="a %"; SHOW "$V"; V=a%b SHOW %; SHOW "$V"',
        ["%", "a %", "%", "a %"],
        SHELLS,
    ),
    "export": ('export V=%; SHOW "$V"; (readonly W="%"; SHOW "$W")', ["%", "%"], SHELLS),
    "local": ('f() { typeset V=x% W="x%"; SHOW "$V" "$W"; }; f', ["x%", "x%"], ("bash", "zsh", "ksh")),
    "array": ('V=(% "%" x%); SHOW "${V[@]}"', ["%", "%", "x%"], ("bash", "zsh", "ksh")),
    "here-document": ("cat <<E; printf '\\0'\n x % y $HOME_\\$ \"%\"\nE", [' x % y $ "%"\n'], SHELLS),
    "plain here-document": ("cat <<'E'; printf '\\0'\n x % y $V \\\nE", [" x % y $V \\\n"], SHELLS),
    "indented here-document": ("cat <<-E; printf '\\0'\n\tx % y\n\tE", ["x % y\n"], SHELLS),
    "two here-documents": (
        "cat /dev/fd/3 - 3<<A <<'B'; printf '\\0'\n1 %\nA\n2 %\nB",
        ["1 %\n2 %\n"],
        ("bash", "dash", "zsh"),
    ),
    "here-document in a substitution": ('SHOW "$(cat <<E\nx % y\nE\n)"', ["x % y"], SHELLS),
    "here-string": (
        "cat <<< %; printf '\\0'; cat <<< \"a %\"; printf '\\0'",
        ["%\n", "a %\n"],
        ("bash", "zsh", "ksh"),
    ),
    "case": (
        "case % in (%) SHOW yes;; *) SHOW no;; esac; case % in x|%|y) SHOW yes;; *) SHOW no;; esac",
        ["yes", "yes"],
        SHELLS,
    ),
    "case in a substitution": ('SHOW "$(case "%" in "%") printf ./F. %;; esac)"', ["%."], SHELLS),
    "a condition": (
        '[[ % == % ]] && SHOW yes; [[ -n x% && "%" = "%" ]] && SHOW yes',
        ["yes", "yes"],
        ("bash", "zsh", "ksh"),
    ),
    "test": ('[ "x%" = x% ] && SHOW yes; test x% = "x%" && SHOW yes', ["yes", "yes"], SHELLS),
    "default": ('IFS=; set -f; unset V; SHOW x${V:-%} x${V-"a %"}', ["x%", "xa %"], SHELLS),
    "prefix": (
        'V=%x; V=${V#%}; SHOW "$V"; W=x%; V=${W%%"%"}; SHOW "$V"'.replace("%%", "./P"),
        ["x", "x"],
        ("bash", "dash", "ksh"),
    ),
    "process substitution": ("cat <(SHOW %)", ["%"], ("bash", "zsh", "ksh")),
    "loop": ('for V in % "x%" x; do SHOW "$V"; done', ["%", "x%", "x"], SHELLS),
    "function": ('f() { SHOW "$1" x%; }; f %; f "%"', ["%", "x%", "%", "x%"], SHELLS),
    "subshell": ("(SHOW %); { SHOW %; }; ! SHOW %; if SHOW %; then SHOW %; fi", ["%"] * 5, SHELLS),
    "operators": ("true && SHOW %;SHOW %|cat;SHOW %&wait;false||SHOW %", ["%"] * 4, SHELLS),
    "descriptor": ("SHOW %>&1; SHOW a% 2>/dev/null;SHOW b%>&1", ["%", "a%", "b%"], SHELLS),
    "braces": ("SHOW {x%,y}", ["x%", "y"], ("bash", "zsh", "ksh")),
    "operand of sh": ('sh -c \'exec "$@"\' sh SHOW % "x %"', ["%", "x %"], SHELLS),
    "after eval": ("eval true; SHOW %", ["%"], SHELLS),
    "continuation": ("SHOW \\\n  % \\\n  x%", ["%", "x%"], SHELLS),
    "comment before": ("SHOW a # it's\nSHOW % #\nSHOW b#%", ["a", "%", "b#%"], SHELLS),
    "argument of find": ("find . -maxdepth 0 -exec SHOW % \\;", ["%"], SHELLS),
    "operand of awk": ("awk 'BEGIN { printf \"./Fx\", ARGV[1] }' %; printf '\\0'", ["%x"], SHELLS),
    "file": ("SHOW x > ./%_; cat ./%_; rm ./%_", ["x"], SHELLS),
    "brackets": ("set -f; SHOW a[%]b", ["a[%]b"], ("bash", "dash", "ksh")),
}

HOSTILE = [
    "", " ", "a b", "  a\t b  ", "'", '"', "`", "\\", "\\\\", "$", "$HOME", "${HOME}", "$(touch PWNED)", "`touch PWNED`",
    "a'b\"c`d$e\\f", "; touch PWNED", "| touch PWNED", "&& touch PWNED", "\ntouch PWNED\n", "a\nE\ntouch PWNED", "A\n", "\n",
    "*", "?", "[a]", "~", "~root", "!", "!x", "!!", "#", "# x", "{a,b}", "{1..3}", "=ls", "=", "-n", "-", "--", "%1", "^x^y",
    "(a)", "()", "<x", ">PWNED", "1", "2", "$'x'", "'; touch PWNED; '", '"; touch PWNED; "', "') touch PWNED;; x) '",
    "\x7f\x01", "\udcff\udc80", "é ü 漢 🦆", "a\\", "\\n\\t\\x41", "if", "E", "}", "} ; touch PWNED", "))", "x=1",
    "a[$(touch PWNED)]", "[1]=x", "$((1))", "\r", "\x1b[31m", "\x81\x82\x88", "''", '""', "'\"'\"'", "h", ":h", "abc", "0", "_x",
]  # fmt: skip


@cache
def command(text: str) -> Command:
    """``text`` with a value for each %."""
    text = text.replace("%", "${{ v }}").replace("./F", "%s").replace("./P", "%")
    return Command(text.replace("SHOW", SHOW))


def rendered(text: str, value: object, shell: str) -> str | None:
    """``text`` with ``value`` for ``shell``; None where that is refused."""
    try:
        return command(text).run_by(shell, {"v": value})
    except TemplateError:
        return None


def run(shell: str, text: str, where: Path, seconds: float = 20) -> bytes:
    done = subprocess.run(
        [shell, "-c", os.fsencode(text)], cwd=where, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(where)},
    )  # fmt: skip
    return done.stdout


def check(shell: str, place: str, values: list[str], where: Path) -> int:
    """Run all ``values`` in one script, or one by one to find what differs; returns how many were not refused."""
    text, expected, _ = PLACES[place]
    texts = [(value, done) for value in values if (done := rendered(text, value, shell)) is not None]
    wanted = [
        b"".join(os.fsencode(word.replace("%", value)) + b"\0" for word in expected) for value, _ in texts
    ]
    if run(shell, "\n".join(done for _, done in texts), where) != b"".join(wanted):
        for (value, done), want in zip(texts, wanted, strict=True):
            assert run(shell, done, where) == want, (shell, place, value, done)
        raise AssertionError((shell, place, "only together"))
    assert not (where / "PWNED").exists(), (shell, place)
    return len(texts)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", list(PLACES))
def test_a_program_gets_exactly_the_value(shell: str, place: str, tmp_path: Path) -> None:
    if shell not in PLACES[place][2]:
        pytest.skip(f"{shell} does not have this")
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    assert check(shell, place, HOSTILE, tmp_path) >= len(HOSTILE) * 0.8


words = st.text(alphabet=st.sampled_from("aE1 \n\t'\"`\\$(){}[]<>|&;*?~!#=-%^,.:/\udcff\x81é@+h"), max_size=8)


@pytest.mark.parametrize("shell", SHELLS)
@examples(40)
@given(
    values=st.lists(words, min_size=12, max_size=12),
    place=st.sampled_from([name for name in PLACES if name != "file"]),
)
def test_any_value_arrives_in_any_place(
    shell: str, values: list[str], place: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if shutil.which(shell) is None or shell not in PLACES[place][2]:
        return
    check(shell, place, values, tmp_path_factory.mktemp("w"))


FRAGMENTS = [
    *'%%% "\'`(){}$\\\n# |&><;=[]~:1!',
    *("$(", "${x:-", "$((", "))", "$'", '$"', "[[ ", " ]]", "<<<", "case % in ", "%) ", ";; ", "esac", "if ", "then ", "fi"),
    *("for i in ", "do ", "done", "x=", "export ", "declare ", "echo ", "eval ", "let ", "trap ", " -c ", "sh ", "awk ", "$x", "f() {"),
    *("@(", "{a,", "..", "b=(", "<(", ' "%" ', " '%' ", "printf ", " -eq ", "command "),
]  # fmt: skip
CODE = [
    "$(touch PWNED)", "`touch PWNED`", "'$(touch PWNED)'", "'; touch PWNED; '", '"; touch PWNED; "', "\ntouch PWNED\n",
    "a[$(touch PWNED)]", "E\ntouch PWNED", "); touch PWNED; (", "} touch PWNED", "| touch PWNED", "\\'; touch PWNED; #",
]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_no_value_is_ever_executed_whatever_the_text_is(shell: str, tmp_path: Path) -> None:
    """Texts out of random fragments, most of them no proper shell text: a value in them is quoted or refused."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    draw = random.Random(7)
    for _ in range(2000):
        text = "".join(draw.choices(FRAGMENTS, k=draw.randint(2, 12)))
        value = draw.choice(CODE)
        done = rendered(text, value, shell)
        if done is None or "%" not in text:
            continue
        with suppress(subprocess.TimeoutExpired):
            run(shell, done, tmp_path, 2)
        assert not (tmp_path / "PWNED").exists(), (text, value, done)
