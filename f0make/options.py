"""What a person asked for, and how they are told: the plain data between a front end and the machinery."""

from __future__ import annotations

from f0make.command_table import OPTIONS
from f0make.fast_dataclass import Protocol, dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias


Event: TypeAlias = "dict[str, Any]"
"""One line of `--json`: see docs/cli.md, "Events"."""


@dataclass(slots=True)
class RunOptions:
    """Every option of `f0make run`; the other verbs use those that mean something to them."""

    workspace: str = "."
    targets: list[str] = field(default_factory=list)
    jobs: int | None = None
    """Steps at one time; None: the cores that this process may use."""
    keep_going: bool = False
    dry_run: bool = False
    force: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    skip: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    """``a.b=v`` as given."""
    config: list[str] = field(default_factory=list)
    """Paths of `--config` files, later ones win."""
    resource: dict[str, float | int] = field(default_factory=dict)
    """Limits by name (`--resource NAME=N`); mem and disk in bytes."""
    backend: str = "local"
    """`local`, or a cluster as `backend_address` understands it (`dask`, `dask=tcp://HOST:PORT`, `ray`, …)."""
    dask_ca: str | None = None
    """Files for `dask=tls://…`, relative to the workspace: the authority, f0make's certificate and its key."""
    dask_cert: str | None = None
    dask_key: str | None = None
    cache: str | None = None
    """`--cache`: a directory or an http(s) address; None: the workspace's own."""
    no_cache: bool = False
    cache_readonly: bool = False
    """Take results from the cache that is named, store none there."""
    wait: bool = False
    retries: int | None = None
    """`--retries N`: overrides what the steps say."""
    rehash: bool = False
    host: list[str] = field(default_factory=list)
    """`--host` as given."""
    hosts: list[str] = field(default_factory=list)
    """Paths of `--hosts` files."""
    accept_new_host_keys: bool = False
    connect_timeout: str | None = None
    """As given (`5s`); so are the next two. `backends.ssh.host.patience_of` reads them."""
    lease: str | None = None
    reconnect: str | None = None
    strict: bool = False
    """A step can read only its inputs and the system's files, and write only its outputs."""
    audit: bool = False
    """Tell which files steps read and write that are not declared."""
    max_cpu: str | None = None
    """Budgets as given (`80%`, `8GB`, `4`, `2h`, `0.2kWh`, `50g`, `FRA`); `governor.budget` reads them."""
    max_mem: str | None = None
    max_load: str | None = None
    max_time: str | None = None
    max_energy: str | None = None
    max_carbon: str | None = None
    country: str | None = None
    energy: bool = False
    """Measure energy, whether it is limited or not."""
    trust: bool = False
    """Use a workspace and a `.f0make` that belong to another user."""
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """Options without a field here that were given: those of single verbs, and those that nothing here asks for by name."""

    def value(self, option: str) -> Any:
        """The value of an option of the command line, by its field in the table."""
        if option in RunOptions.__slots__:
            return getattr(self, option)
        return self.extra.get(option, OPTIONS[option].default)


class Known(Protocol):
    """Instances that nothing has changed for."""

    @property
    def count(self) -> int:
        """How many they are."""
        ...

    def lines(self) -> list[str]:
        """Their `step` events, as JSON."""
        ...


class Reporter(Protocol):
    """A listener to the course of a run. Called from the engine's thread only."""

    def watch(self, monitor: Callable[[], Mapping[str, Any]]) -> None:
        """``monitor`` tells, at any time from now on, what the run uses (see `Scheduler.monitor`)."""
        ...

    def start(self, event: Event) -> None:
        """The run begins; ``event`` has `event`, `recipe`, `run`, `instances` (how many), `jobs`."""
        ...

    def running(self, instance: str, attempt: int, host: str) -> None:
        """An attempt was handed to the backend."""
        ...

    def step(self, event: Event) -> None:
        """An instance's state is decided and its record is safe (see docs/cli.md for the fields)."""
        ...

    def known(self, rest: Known) -> None:
        """The same of all instances at once that nothing has changed for."""
        ...

    def host(self, event: Event) -> None:
        """What has become of a host: `host`, `status`, `reason`."""
        ...

    def output(self, instance: str, log: str, failed: bool) -> None:
        """``log`` is the path of the log that an ended attempt left."""
        ...

    def note(self, text: str) -> None:
        """Something a person should know: a displaced file, a cache that cannot be used, …"""
        ...

    def summary(self, event: Event) -> None:
        """The run is over."""
        ...

    def stop(self) -> None:
        """Nothing more will be told, however the run has ended. May be called more than once."""
        ...


class Silent:
    """The reporter of a caller that looks at the result only, and the base of those that hear of a part."""

    def watch(self, monitor: Callable[[], Mapping[str, Any]]) -> None:
        """Nothing."""

    def start(self, event: Event) -> None:
        """Nothing."""

    def running(self, instance: str, attempt: int, host: str) -> None:
        """Nothing."""

    def step(self, event: Event) -> None:
        """Nothing."""

    def known(self, rest: Known) -> None:
        """Each by itself."""
        from json import loads

        for line in rest.lines():
            self.step(loads(line))

    def host(self, event: Event) -> None:
        """Nothing."""

    def output(self, instance: str, log: str, failed: bool) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def summary(self, event: Event) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""
