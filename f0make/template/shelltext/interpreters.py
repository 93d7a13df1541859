"""Programs that evaluate a text, and how each is told which one. Data."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass
from f0make.template.shelltext.dialect import words_of


@dataclass(slots=True)
class Interpreter:
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
    ends: str = ""
    """Letters of options after which everything is for another program."""
    stdin: bool = False
    """Whether it evaluates its standard input where nothing else tells it what to evaluate."""
    anywhere: bool = False
    """Whether options may follow operands."""


SHELL = Interpreter(code="c", arguments="oO", long_arguments=("--rcfile", "--init-file"), stdin=True)
_AWK = Interpreter(
    code="e",
    arguments="FviWl",
    long=("--source",),
    operand=0,
    last=1,
    files="fE",
    long_arguments=("--assign", "--field-separator", "--include"),
)
_SED = Interpreter(
    code="e", arguments="l", long=("--expression",), operand=0, last=1, files="f", anywhere=True
)
PYTHON = Interpreter(code="c", arguments="WX", ends="m", stdin=True)
_PERL = Interpreter(code="eE", arguments="I", stdin=True)
_RUBY = Interpreter(code="e", arguments="IrEC", stdin=True)
_NODE = Interpreter(
    code="ep",
    long=("--eval", "--print"),
    arguments="rC",
    long_arguments=("--require", "--import"),
    stdin=True,
)
_JULIA = Interpreter(code="eE", long=("--eval", "--print"), arguments="JptLC", stdin=True)
_R = Interpreter(code="e", stdin=True, long_arguments=("--args",))
_JQ = Interpreter(
    operand=0,
    last=1,
    files="f",
    arguments="L",
    anywhere=True,
    long_arguments=("--arg:2", "--argjson:2", "--slurpfile:2", "--rawfile:2", "--indent"),
)
SSH = Interpreter(arguments="bBcDEeFIiJLlmOoPpQRSWw", operand=1, stdin=True)
PARALLEL = Interpreter(
    operand=0,
    stdin=True,
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
INTERPRETERS: dict[str, Interpreter] = {
    **dict.fromkeys(("fish", "csh", "tcsh", "nu", "elvish", "pwsh"), SHELL),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "goawk", "original-awk", "bioawk"), _AWK),
    **dict.fromkeys(("sed", "gsed"), _SED),
    **dict.fromkeys(("python", "pypy", "ipython"), PYTHON),
    "perl": _PERL,
    **dict.fromkeys(("ruby", "irb"), _RUBY),
    **dict.fromkeys(("node", "nodejs", "deno", "bun"), _NODE),
    "julia": _JULIA,
    **dict.fromkeys(("R", "Rscript", "r", "littler"), _R),
    **dict.fromkeys(("jq", "yq", "gojq", "jaq"), _JQ),
    "ssh": SSH,
    "rsh": SSH,
    "parallel": PARALLEL,
    "php": Interpreter(code="rBRE", arguments="dcSzf", stdin=True),
    "lua": Interpreter(code="e", arguments="l", stdin=True),
    "luajit": Interpreter(code="e", arguments="lj", stdin=True),
    "tclsh": Interpreter(stdin=True),
    "expect": Interpreter(code="c", arguments="f", stdin=True),
    "gnuplot": Interpreter(code="e", arguments="c", stdin=True),
    "octave": Interpreter(long=("--eval",), stdin=True),
    "matlab": Interpreter(long=("-batch", "-r"), stdin=True),
    "bc": Interpreter(stdin=True),
    "dc": Interpreter(code="e", stdin=True),
    "m4": Interpreter(stdin=True),
    "psql": Interpreter(code="c", long=("--command",), arguments="dfhUpoLvFPRT", stdin=True, anywhere=True),
    "mysql": Interpreter(code="e", long=("--execute",), arguments="huPSD", stdin=True, anywhere=True),
    "mariadb": Interpreter(code="e", long=("--execute",), arguments="huPSD", stdin=True, anywhere=True),
    "sqlite3": Interpreter(
        long=("-cmd",), operand=1, stdin=True, long_arguments=("-separator", "-init", "-nullvalue")
    ),
    "duckdb": Interpreter(code="cs", operand=1, stdin=True),
    "su": Interpreter(code="c", arguments="sgGwT", long=("--command",), stdin=True, anywhere=True),
    "runuser": Interpreter(code="c", arguments="usgGwT", long=("--command",), stdin=True, anywhere=True),
    "script": Interpreter(code="c", arguments="IOBEmoTt", long=("--command",), anywhere=True),
    "flock": Interpreter(
        code="c", arguments="wE", long=("--command",), anywhere=True, long_arguments=("--timeout", "--wait")
    ),
    "watch": Interpreter(arguments="nq", operand=0, long_arguments=("--interval",)),
    "hyperfine": Interpreter(
        code="pcs", operand=0, arguments="wmrMLDunN", long=("--prepare", "--setup", "--cleanup")
    ),
    "emulate": Interpreter(code="c", anywhere=True),
    "sbatch": Interpreter(long=("--wrap",), stdin=True, anywhere=True),
    **dict.fromkeys(("qsub", "bsub", "crontab"), Interpreter(stdin=True)),
    **dict.fromkeys(
        ("at", "batch", "ed", "ex", "ftp", "sftp", "lftp"), Interpreter(stdin=True, anywhere=True)
    ),
    **dict.fromkeys(("vi", "vim", "nvim"), Interpreter(code="c")),
    "emacs": Interpreter(long=("--eval",)),
    "osascript": Interpreter(code="e", stdin=True),
}
WRAPPERS = words_of(
    "exec command builtin env nice nohup time timeout sudo doas setsid stdbuf ionice chrt taskset xargs strace ltrace "
    "busybox srun mpirun mpiexec unshare nsenter flock chroot conda mamba micromamba docker podman singularity "
    "apptainer uv poetry pixi pipenv find noglob nocorrect setarch catchsegv valgrind perf entr parallel script "
    "unbuffer chronic systemd-run firejail bwrap prlimit numactl nix nix-shell guix faketime proot stdbuf gdb "
    "- pipx npx kubectl oc nerdctl crictl screen tmux xvfb-run salloc qrsh gosu hatch pdm rye jsrun aprun flux torchrun"
)
"""Commands that start the command among their arguments."""
EVALUATED = {
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
    "nix-shell": ("--run", "--command"),
}
