"""What goes into a backend and what comes out: a self-contained bundle in, an outcome out.

Both are plain picklable data, so that the same runner serves a local worker, a host over SSH and a Dask
worker (see `f0make.backends.base`).
"""

from __future__ import annotations

from f0make.fast_dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Token = str
"""Content of a path as one string; see docs/design.md, "Contents as tokens"."""


@dataclass(slots=True)
class Bundle:
    """Everything that running one attempt of one instance needs."""

    token: str
    """Unique for this attempt; an outcome with another token is dropped."""
    instance: str
    step: str
    attempt: int
    kind: str
    """``shell`` or ``python``."""
    workspace: str
    """Absolute path."""
    env: dict[str, str] = field(default_factory=dict)
    """Declared variables only; they go over the inherited environment."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Variables whose values stand in no log and no message."""
    command: str | None = None
    shell: str | None = None
    """None: the default shell."""
    module: str | None = None
    function: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    """Already converted to the annotated types (JSON-safe values)."""
    inputs: list[str] = field(default_factory=list)
    outputs: list[tuple[str, bool]] = field(default_factory=list)
    """(path, is a directory)."""
    named_inputs: dict[str, str | list[str]] = field(default_factory=dict)
    named_outputs: dict[str, str | list[str]] = field(default_factory=dict)
    resources: dict[str, float | int] = field(default_factory=dict)
    depfile: str | None = None
    timeout: float | None = None
    exit_codes: list[int] = field(default_factory=lambda: [0])
    not_empty: bool = False
    store: str | None = None
    """Directory of the blob store to keep outputs in; None: do not store."""
    log: str = ""
    """Absolute path of the log file to write (stdout and stderr together); removed when it stays empty."""
    scratch: str = ""
    """Absolute path of a directory for scripts and other temporary files of f0make's own."""
    context: dict[str, Any] = field(default_factory=dict)
    """What `ctx.get` sees: key -> value, from ancestors only."""
    foreign_keys: dict[str, str] = field(default_factory=dict)
    """Context keys set by steps that are no ancestors -> the step's name; reading one is an error."""
    host: str = ""
    """The place that it is to run at, one of ``Capabilities.hosts``; empty: here."""
    contents: dict[str, Token] = field(default_factory=dict)
    """Only for another place: path -> token of every input."""
    trees: dict[str, dict[str, Token]] = field(default_factory=dict)
    """Only for another place: input directory -> relative path -> token of everything in it."""
    modules: dict[str, str] = field(default_factory=dict)
    """Only for another place: path -> SHA-256 (hex) of the workspace's modules that a python step imports."""
    stays: str = ""
    """Only for another place: why what it needs may not travel there; empty when it may."""
    lent: list[str] = field(default_factory=list)
    """Only at another place: digests of inputs for which the store's own file may stand (see `worker.agent.hardlinks`)."""
    cpus: float = 1
    """The cores that it was granted; steps find the number in F0MAKE_CPUS."""

    guard: str = ""
    """``strict`` or ``audit``: watch which files the step touches (`worker.guard`)."""
    allow: dict[str, list[str]] = field(default_factory=dict)
    """Only for a watched step: ``read``, ``write`` -> further paths that it may touch, as the recipe has them."""
    code: list[str] = field(default_factory=list)
    """Absolute paths of a python step's source files, as far as they are known."""
    python: str = ""
    """The interpreter of a python step: an absolute path; empty: the one that f0make itself runs in."""
    own_python: bool = True
    """Where ``python`` is not there, the one that f0make itself runs in will do."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Values of the step's keys that no code of f0make's own asks for by name; a python step has them as `ctx.step.extra`."""


@dataclass(slots=True)
class Outcome:
    """What one attempt came to. All times are seconds, all sizes bytes."""

    token: str
    ok: bool
    message: str = ""
    """Why it failed, one line; empty when ``ok``."""
    exit_code: int | None = None
    signal: int | None = None
    lost: bool = False
    """The attempt ended through no fault of the step (worker died under it before it started, host gone)."""
    disk_full: bool = False
    outputs: dict[str, Token] = field(default_factory=dict)
    """While it travels from another place, also what a failed step left at them."""
    trees: dict[str, dict[str, Token]] = field(default_factory=dict)
    """For each output directory: relative path -> token of everything in it."""
    stored: bool = False
    """True when every output is in the blob store."""
    signatures: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Stat signature of each output file at the time it was hashed (trees: of each file in it)."""
    times: dict[str, int | dict[str, int]] = field(default_factory=dict)
    """Output -> mtime in ns; of a directory: relative path of each file in it -> mtime."""
    modes: dict[str, int | dict[str, int]] = field(default_factory=dict)
    """The same for permission bits, where they are not what the umask gives (see `files.times_and_modes`)."""
    discovered: list[str] = field(default_factory=list)
    """Prerequisites that the depfile names, and code that a python step used, normalised like inputs."""
    absent: list[str] = field(default_factory=list)
    """Paths at which a python step looked for modules in vain."""
    python: str = ""
    """The version of a python step's interpreter, as ``3.11``."""
    machine: str = ""
    """System and architecture of another place that it ran at (`cache.machine`); empty: this machine's."""
    reads: dict[str, Any] = field(default_factory=dict)
    """Context keys read -> value seen (absent keys are in ``missing_reads``)."""
    missing_reads: list[str] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    """Context writes in order: {"key", "value", "who", "when"}."""
    started: float = 0.0
    """Unix time."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mem: int = 0
    read: int = 0
    written: int = 0
    host: str = ""
    strays: list[tuple[str, bool]] = field(default_factory=list)
    """Of a watched step: (path, it was written) of the files that it touched and that are not declared."""
    log: str = ""
    """SHA-256 (hex) of the log where it lies in another place's store; empty when there is none, or it is here."""
    unfit: bool = False
    """With ``lost``: the place cannot run this step (``message`` says why), another one may."""

    def set_time(self, path: str, time: int) -> None:
        """Note the mtime ``time`` (ns) for the file ``path``, an output or in one."""
        above = path
        while above and above not in self.times:
            above = above.rpartition("/")[0]
        known = self.times.get(above)
        if isinstance(known, dict):
            known[path[len(above) + 1 :]] = time
        else:
            self.times[path] = time
