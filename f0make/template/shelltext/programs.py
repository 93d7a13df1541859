"""Which words of a command somebody evaluates once more: `sh -c`, `eval`, `ssh`, the programs of awk and others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from f0make.lean import dataclass
from f0make.template.shelltext.dialect import shell_name, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.template.shelltext.lexer import Word

HOLE = "\0"
OPAQUE = "\1"

ECHOES = frozenset({"echo", "printf", "print", "cat", "tee", "envsubst"})
"""Commands that hand on what they are given."""


@dataclass(slots=True)
class Program:
    """A word that is evaluated, why no value can stand there, and what may: "program" or "number" (numbers), "name" (nothing)."""

    word: Word
    said: str
    kind: str = "program"


@dataclass(slots=True)
class _Interpreter:
    """How a program is told what to evaluate."""

    code: str = ""
    """Letters of the options whose argument is code."""
    arguments: str = ""
    """Letters of other options that take an argument."""
    long: tuple[str, ...] = ()
    """Long options whose argument is code."""
    long_arguments: tuple[str, ...] = ()
    """Other long options that take an argument, and options with two (`:2` after the name)."""
    operand: int = -1
    """The number of the operand from which on operands are code; -1 for none."""
    last: int = 0
    """How many operands are code, 0 for all that follow."""
    files: str = ""
    """Letters of options after which no operand is code."""
    stdin: bool = False
    """Whether it evaluates its standard input where nothing else tells it what to evaluate."""
    anywhere: bool = False
    """Whether options may follow operands."""


_SHELL = _Interpreter(code="c", arguments="oO", long_arguments=("--rcfile", "--init-file"), stdin=True)
_AWK = _Interpreter(
    code="e",
    arguments="FviWl",
    long=("--source",),
    operand=0,
    last=1,
    files="fE",
    long_arguments=("--assign", "--field-separator", "--include"),
)
_SED = _Interpreter(
    code="e", arguments="l", long=("--expression",), operand=0, last=1, files="f", anywhere=True
)
_PYTHON = _Interpreter(code="c", arguments="WXm", stdin=True)
_PERL = _Interpreter(code="eE", arguments="I", stdin=True)
_RUBY = _Interpreter(code="e", arguments="IrEC", stdin=True)
_NODE = _Interpreter(
    code="ep",
    long=("--eval", "--print"),
    arguments="rC",
    long_arguments=("--require", "--import"),
    stdin=True,
)
_JULIA = _Interpreter(code="eE", long=("--eval", "--print"), arguments="JptLC", stdin=True)
_R = _Interpreter(code="e", stdin=True, long_arguments=("--args",))
_JQ = _Interpreter(
    operand=0,
    last=1,
    files="f",
    arguments="L",
    anywhere=True,
    long_arguments=("--arg:2", "--argjson:2", "--slurpfile:2", "--rawfile:2", "--indent"),
)
_SSH = _Interpreter(arguments="bBcDEeFIiJLlmOoPpQRSWw", operand=1, stdin=True)
_PARALLEL = _Interpreter(
    operand=0,
    arguments="jPaSCdNnLsI",
    long_arguments=tuple(
        sorted(
            words_of(
                "--jobs --max-procs --arg-file --joblog --results --tmpdir --delay --timeout --retries --sshlogin --colsep "
                "--delimiter --halt --memfree --load --workdir --wd --nice --tagstring --block --env"
            )
        )
    ),
)
_INTERPRETERS: dict[str, _Interpreter] = {
    **dict.fromkeys(("fish", "csh", "tcsh", "nu", "elvish", "pwsh"), _SHELL),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "goawk", "original-awk", "bioawk"), _AWK),
    **dict.fromkeys(("sed", "gsed"), _SED),
    **dict.fromkeys(("python", "pypy", "ipython"), _PYTHON),
    "perl": _PERL,
    **dict.fromkeys(("ruby", "irb"), _RUBY),
    **dict.fromkeys(("node", "nodejs", "deno", "bun"), _NODE),
    "julia": _JULIA,
    **dict.fromkeys(("R", "Rscript", "r", "littler"), _R),
    **dict.fromkeys(("jq", "yq", "gojq", "jaq"), _JQ),
    "ssh": _SSH,
    "rsh": _SSH,
    "parallel": _PARALLEL,
    "php": _Interpreter(code="rBRE", arguments="dcSzf", stdin=True),
    "lua": _Interpreter(code="e", arguments="l", stdin=True),
    "luajit": _Interpreter(code="e", arguments="lj", stdin=True),
    "tclsh": _Interpreter(stdin=True),
    "expect": _Interpreter(code="c", arguments="f", stdin=True),
    "gnuplot": _Interpreter(code="e", arguments="c", stdin=True),
    "octave": _Interpreter(long=("--eval",), stdin=True),
    "matlab": _Interpreter(long=("-batch", "-r"), stdin=True),
    "bc": _Interpreter(stdin=True),
    "dc": _Interpreter(code="e", stdin=True),
    "m4": _Interpreter(stdin=True),
    "psql": _Interpreter(code="c", long=("--command",), arguments="dfhUpoLvFPRT", stdin=True, anywhere=True),
    "mysql": _Interpreter(code="e", long=("--execute",), arguments="huPSD", stdin=True, anywhere=True),
    "mariadb": _Interpreter(code="e", long=("--execute",), arguments="huPSD", stdin=True, anywhere=True),
    "sqlite3": _Interpreter(
        long=("-cmd",), operand=1, stdin=True, long_arguments=("-separator", "-init", "-nullvalue")
    ),
    "duckdb": _Interpreter(code="cs", operand=1, stdin=True),
    "su": _Interpreter(code="c", arguments="sgGwT", long=("--command",), stdin=True, anywhere=True),
    "runuser": _Interpreter(code="c", arguments="usgGwT", long=("--command",), stdin=True, anywhere=True),
    "script": _Interpreter(code="c", arguments="IOBEmoTt", long=("--command",), anywhere=True),
    "flock": _Interpreter(
        code="c", arguments="wE", long=("--command",), anywhere=True, long_arguments=("--timeout", "--wait")
    ),
    "watch": _Interpreter(arguments="nq", operand=0, long_arguments=("--interval",)),
    "hyperfine": _Interpreter(
        code="pcs", operand=0, arguments="wmrMLDunN", long=("--prepare", "--setup", "--cleanup")
    ),
    "emulate": _Interpreter(code="c", anywhere=True),
    "sbatch": _Interpreter(long=("--wrap",), stdin=True, anywhere=True),
    **dict.fromkeys(("qsub", "bsub", "at", "batch", "crontab"), _Interpreter(stdin=True)),
}
_WRAPPERS = words_of(
    "exec command builtin env nice nohup time timeout sudo doas setsid stdbuf ionice chrt taskset xargs strace ltrace "
    "busybox srun mpirun mpiexec unshare nsenter flock chroot conda mamba micromamba docker podman singularity "
    "apptainer uv poetry pixi pipenv find noglob nocorrect setarch catchsegv valgrind perf entr parallel script "
    "unbuffer chronic systemd-run firejail bwrap prlimit numactl nix nix-shell guix faketime proot stdbuf gdb "
    "- pipx npx"
)
"""Commands that start the command among their arguments."""
_EVALUATED = {
    "tar": (
        "--checkpoint-action",
        "--to-command",
        "--use-compress-program",
        "--rsh-command",
        "--info-script",
        "-I",
        "-F",
    ),
    "rsync": ("--rsh", "-e", "--rsync-path"),
    "sort": ("--compress-program",),
    "scp": ("-S",),
    "ssh": ("-o",),
    "git": ("-c",),
    "make": (),
}
_NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


def _base(word: Word) -> str:
    text = word.text
    if HOLE in text or OPAQUE in text:
        return ""
    base = text.rpartition("/")[2]
    return base if base in _INTERPRETERS else base.rstrip("0123456789.") or base


def _interpreter(word: Word) -> _Interpreter | None:
    base = _base(word)
    if shell_name(base) is not None:
        return _SHELL
    return _INTERPRETERS.get(base)


def programs(words: list[Word], shell: str) -> Iterator[Program]:
    """The words of a simple command that are evaluated once more; ``shell`` is the one that runs it."""
    yield from _builtins(words, shell)
    for at in _starts(words):
        interpreter = _interpreter(words[at])
        if interpreter is not None:
            said = f"{_base(words[at])} evaluates this text: no quoting makes a value safe in it"
            for word in _code(words[at + 1 :], interpreter):
                yield Program(word, said)
        elif not _base(words[at]):
            for option, word in zip(words[at + 1 :], words[at + 2 :], strict=False):
                if re.fullmatch(r"-[A-Za-z]*[ceE]|--eval|--command", option.text):
                    yield Program(
                        word, "the command may evaluate this text: no quoting makes a value safe in it"
                    )
        yield from _evaluated_options(words[at:])


def _starts(words: list[Word]) -> list[int]:
    """Where commands may begin in ``words``: at the first, and after it where that starts another."""
    if _base(words[0]) in _WRAPPERS:
        return [
            0,
            *(at for at in range(1, len(words)) if _interpreter(words[at]) or _base(words[at]) in _EVALUATED),
        ]
    return [0]


def _code(words: list[Word], how: _Interpreter) -> Iterator[Word]:
    """The words after an interpreter's name that are code."""
    operands = 0
    told = False
    at = 0
    while at < len(words):
        word = words[at]
        text = word.text
        at += 1
        if text == "--" and not operands:
            yield from _operands(words[at:], 0, how, told)
            return
        if text.startswith("--") or text.partition("=")[0] in how.long:
            name, joined, _ = text.partition("=")
            if name in how.long:
                told = True
                yield word if joined else words[min(at, len(words) - 1)]
                at += not joined
            elif f"{name}:2" in how.long_arguments:
                at += 2
            elif name in how.long_arguments and not joined:
                at += 1
            continue
        if len(text) > 1 and text[0] in "-+":
            taken = _letters(text, how)
            if taken == "code":
                told = True
                code = words[at] if at < len(words) and re.search(rf"[{how.code}]$", text) else word
                yield code
                at += code is not word
                if not how.anywhere and how is _SHELL:
                    return
            elif taken == "file":
                told = True
                at += text[-1] in how.files
            elif taken == "argument":
                at += 1
            continue
        yield from _operands([word], operands, how, told)
        operands += 1
        if how.operand < 0 and not how.anywhere:
            return
        if how.operand >= 0 and not how.anywhere and operands > how.operand and how.last == 0:
            yield from _operands(words[at:], operands, how, told)
            return


def _letters(text: str, how: _Interpreter) -> str:
    """What an option of one letter, or several in one word, says of the next word."""
    for at, letter in enumerate(text[1:], 1):
        if letter in how.code:
            return "code"
        if letter in how.files:
            return "file"
        if letter in how.arguments:
            return "argument" if at == len(text) - 1 else ""
    return ""


def _operands(words: list[Word], before: int, how: _Interpreter, told: bool) -> Iterator[Word]:
    """Those of the operands ``words`` (``before`` of them came earlier) that are code."""
    if how.operand < 0 or told:
        return
    for number, word in enumerate(words, before):
        if how is _PARALLEL and word.text.startswith(":::"):
            return
        if number >= how.operand and (how.last == 0 or number < how.operand + how.last):
            yield word


def reads_program(words: list[Word]) -> bool:
    """Whether the command evaluates what it reads from its standard input."""
    for at in _starts(words):
        how = _interpreter(words[at])
        if how is None or not how.stdin:
            continue
        rest = words[at + 1 :]
        if how is _SSH:
            remote = _remote(rest)
            return not remote or _interpreter(remote[0]) is not None
        if how.anywhere or not _tells(rest, how):
            return True
    return False


def _remote(words: list[Word]) -> list[Word]:
    """The words of the remote command of `ssh`."""
    at = 0
    while at < len(words) and words[at].text.startswith("-"):
        at += 2 if _letters(words[at].text, _SSH) == "argument" else 1
    return words[at + 1 :]


def _tells(words: list[Word], how: _Interpreter) -> bool:
    """Whether an option or operand says what to evaluate."""
    skip = False
    for word in words:
        text = word.text
        if skip:
            skip = False
        elif text in ("-", "/dev/stdin", "-s"):
            return False
        elif text.startswith("--"):
            if text.partition("=")[0] in how.long:
                return True
            skip = text in how.long_arguments
        elif len(text) > 1 and text[0] in "-+":
            taken = _letters(text, how)
            if taken in ("code", "file") or ("m" in text and how is _PYTHON):
                return True
            skip = taken == "argument"
        else:
            return True
    return False


def _evaluated_options(words: list[Word]) -> Iterator[Program]:
    """Options of ``words[0]`` whose argument a shell evaluates."""
    options = _EVALUATED.get(_base(words[0]), ())
    for word, following in zip_longest(words[1:], words[2:]):
        for option in options:
            if not word.text.startswith(option):
                continue
            if option in ("-o", "-c") and "command" not in word.text.lower() + (
                following.text.lower() if following else ""
            ):
                continue
            said = f"{_base(words[0])} has a shell evaluate the argument of {option}: no quoting helps"
            yield Program(word, said)
            if word.text == option and following is not None:
                yield Program(following, said)


# The shell's own


def _builtins(words: list[Word], shell: str) -> Iterator[Program]:
    """Words that builtins evaluate, or take for the names of variables."""
    while len(words) > 1 and words[0].text in ("builtin", "command", "noglob"):
        words = words[1:]
    name, rest = words[0].text, words[1:]
    if name in ("eval", "alias"):
        yield from (Program(word, f"`{name}` evaluates this text: no quoting helps") for word in rest)
    elif name in ("let", "repeat"):
        yield from (Program(word, f"`{name}` evaluates this as arithmetic", "number") for word in rest)
    elif name == "trap":
        yield from (
            Program(word, "`trap` evaluates this text: no quoting helps") for word in _first_operand(rest)
        )
    elif name in ("test", "["):
        yield from _test(rest, shell)
    elif name in ("declare", "typeset", "local", "export", "readonly", "integer", "float", "nameref"):
        yield from _declared(name, rest)
    elif name in ("unset", "getopts", "read", "mapfile", "readarray", "printf", "print", "vared", "set"):
        yield from _named(name, rest)


def _first_operand(words: list[Word]) -> list[Word]:
    operands = [word for word in words if not re.fullmatch(r"--|-[lp]", word.text)]
    return operands[:1]


def _test(words: list[Word], shell: str) -> Iterator[Program]:
    for at, word in enumerate(words):
        if word.text in ("-v", "-R"):
            for other in words[at + 1 : at + 2]:
                yield Program(other, "a value cannot be the name of a variable, or a part of it", "name")
        elif word.text in _NUMBERS and shell in ("ksh", "zsh"):
            for other in words[max(at - 1, 0) : at + 2]:
                yield Program(
                    other, "this shell evaluates what it compares as numbers: no quoting helps", "number"
                )


def _declared(name: str, words: list[Word]) -> Iterator[Program]:
    letters = "".join(word.text[1:] for word in words if re.fullmatch(r"[-+][A-Za-z]+", word.text))
    evaluated = name in ("integer", "float", "nameref") or any(letter in letters for letter in "aAinEF")
    for word in words:
        named, assigned, _ = word.text.partition("=")
        if HOLE in named and not named.startswith(("-", "+")):
            yield Program(word, "a value cannot be the name of a variable, or a part of it", "name")
        elif assigned and evaluated:
            yield Program(word, f"`{name}` evaluates this value: no quoting helps", "number")


_TAKES = {
    "read": "pdtnNiuk",
    "mapfile": "dnOsuc",
    "readarray": "dnOsuc",
    "printf": "",
    "print": "uC",
    "unset": "",
    "getopts": "",
    "vared": "pr",
    "set": "o",
}
_NAMES = {
    "read": "aA",
    "mapfile": "C",
    "readarray": "C",
    "printf": "v",
    "print": "v",
    "unset": "",
    "getopts": "",
    "vared": "",
    "set": "A",
}


def _named(name: str, words: list[Word]) -> Iterator[Program]:
    """Operands that are names of variables, and options that take one."""
    said = "a value cannot be the name of a variable, or a part of it"
    operands = 0
    at = 0
    while at < len(words):
        text = words[at].text
        at += 1
        if len(text) > 1 and text[0] == "-" and not operands:
            if text == "--":
                operands += name in ("printf", "print", "set")
            elif text[-1] in _NAMES[name]:
                yield from (Program(word, said, "name") for word in words[at : at + 1])
                at += 1
            elif text[-1] in _TAKES[name]:
                at += 1
            continue
        operands += 1
        if name in ("unset", "read", "mapfile", "readarray", "vared") or (
            name == "getopts" and operands == 2
        ):
            yield Program(words[at - 1], said, "name")


def integers_of(words: list[Word]) -> list[str]:
    """The variables that a command declares as integers."""
    if words[0].text not in ("declare", "typeset", "local", "integer", "float", "export", "readonly"):
        return []
    letters = "".join(word.text[1:] for word in words[1:] if re.fullmatch(r"-[A-Za-z]+", word.text))
    if words[0].text not in ("integer", "float") and not any(letter in letters for letter in "inEF"):
        return []
    return [word.text.partition("=")[0] for word in words[1:] if not word.text.startswith("-")]
