"""What `f0make.backends.base` promises, held by every backend: the same tests for all of them, unchanged."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from f0make.backends import bundle_sources
from f0make.backends.base import Backend, BackendEvent, Fingerprints, HostNews, Lost, Note, SlotsChanged
from f0make.cache.blobs import Blobs
from f0make.files.content_cache import Contents
from f0make.options import RunOptions
from f0make.worker.bundle import Bundle, Outcome
from tests.contract.ssh.test_reach import target
from tests.support.contract_tools import wait_for
from tests.support.dask_world import Dask
from tests.support.ray_world import Ray
from tests.support.remote_tools import Farm, Remote
from tests.support.toy_backend import ToyBackend

SECONDS = 60.0
"""For an event to come on a busy machine."""
BACKENDS = ("local", "toy", "ssh", "dask", "ray")


@dataclass
class Bench:
    """A backend that is at work in ``workspace``, and what it has told."""

    backend: Backend
    workspace: Path
    flags: Path
    """A directory in which a step and the test tell each other something."""
    flags_there: str
    """The same as a step sees it."""
    host: str = ""
    slots: int = 2
    """How many bundles really run at one time."""
    events: list[BackendEvent] = field(default_factory=list)
    inbox: SimpleQueue[BackendEvent] = field(default_factory=SimpleQueue)
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        """Begin, and know how many bundles run at one time."""
        self.backend.start(self.inbox.put)
        if self.host:
            news = self.event(HostNews)
            assert (news.host, news.status) == (self.host, "up"), news
            self.slots = news.slots
        elif self.backend.capabilities.elastic:
            assert self.backend.slots >= self.slots
        else:
            self.slots = self.backend.slots

    def event(self, kind: type[Any], seconds: float = SECONDS) -> Any:
        """The next event of ``kind``; others that come before are kept, too."""
        until = time.monotonic() + seconds
        while True:
            found = self.inbox.get(timeout=max(0.0, until - time.monotonic()))
            self.events.append(found)
            if isinstance(found, kind):
                return found

    def outcome(self) -> Outcome:
        """The next outcome."""
        found: Outcome = self.event(Outcome)
        return found

    def outcomes(self, bundles: list[Bundle]) -> dict[str, Outcome]:
        """Those of ``bundles`` by token, whatever their order."""
        found = [self.outcome() for _ in bundles]
        assert {o.token for o in found} == {b.token for b in bundles}
        return {outcome.token: outcome for outcome in found}

    def bundle(self, command: str, *outputs: str, inputs: tuple[str, ...] = ()) -> Bundle:
        """A shell step; ``FLAGS`` in its command is the directory of flags."""
        number = next(self.count)
        state = self.workspace / ".f0make"
        bundle = Bundle(
            token=f"run/{number}",
            instance=f"step{number}",
            step=f"step{number}",
            attempt=1,
            kind="shell",
            workspace=str(self.workspace),
            command=command.replace("FLAGS", self.flags_there),
            inputs=list(inputs),
            outputs=[(path, False) for path in outputs],
            log=str(state / "logs" / f"{number}.log"),
            scratch=str(state / "run"),
            store=str(state / "cache"),
            host=self.host,
        )
        if self.host or not self.backend.capabilities.shares_workspace:
            contents = Contents(str(self.workspace))
            bundle_sources.fill(bundle, {path: contents.token(path) or "" for path in inputs}, contents, {})
        return bundle

    def submit(self, command: str, *outputs: str, inputs: tuple[str, ...] = ()) -> Bundle:
        """A bundle that was handed over."""
        bundle = self.bundle(command, *outputs, inputs=inputs)
        self.backend.submit(bundle)
        return bundle

    def flag(self, name: str) -> Path:
        """Where a step's ``FLAGS/name`` lies for the test."""
        return self.flags / name

    def blocker(self, name: str) -> Bundle:
        """A step that has begun, and goes on until there is a flag ``name-go``."""
        bundle = self.submit(
            f"echo > FLAGS/{name}; until [ -e FLAGS/{name}-go ]; do sleep 0.02; done; echo > {name}", name
        )
        wait_for(self.flag(name).exists, SECONDS)
        return bundle

    def release(self, name: str) -> None:
        """Let `blocker` end."""
        self.flag(f"{name}-go").touch()


def alive(mark: str) -> list[int]:
    """Processes with ``mark`` in their command line, in whatever namespace."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask cluster with two workers."""
    pytest.importorskip("distributed")
    cluster = Dask(tmp_path_factory.mktemp("dask"))
    try:
        cluster.worker()
        cluster.worker()
        yield cluster.backend
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def ray() -> Iterator[Ray]:
    """A Ray with two CPUs."""
    pytest.importorskip("ray")
    # Ray's library reads once for a process whether there are tokens, and other tests may have imported it.
    cluster = Ray("disabled")
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(params=BACKENDS)
def idle(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A backend that was made and not started."""
    workspace, flags = tmp_path / "workspace", tmp_path / "flags"
    for directory in (workspace / ".f0make/run", workspace / ".f0make/logs", flags):
        directory.mkdir(parents=True)
    remote = None
    if request.param == "ssh":
        farm: Farm = request.getfixturevalue("farm")
        remote = Remote(workspace, farm)
        monkeypatch.setenv("HOME", str(remote.client.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        bench = _over_ssh(remote, workspace)
    else:
        make: Callable[[], Backend] = {
            "local": lambda: _local(workspace),
            "toy": ToyBackend,
            "dask": lambda: _cluster(workspace, request.getfixturevalue("dask")),
            "ray": lambda: _ray(workspace, request.getfixturevalue("ray"), monkeypatch),
        }[request.param]
        bench = Bench(make(), workspace, flags, str(flags))
    yield bench
    bench.backend.stop(0.2)
    if remote is not None:
        remote.close()


@pytest.fixture
def bench(idle: Bench) -> Bench:
    """A backend at work."""
    idle.start()
    return idle


def _local(workspace: Path) -> Backend:
    from f0make.backends.local.local_backend import LocalBackend

    return LocalBackend(2, str(workspace))


def _over_ssh(remote: Remote, workspace: Path) -> Bench:
    from f0make.backends.ssh.fleet import Fleet
    from f0make.backends.ssh.host import Patience

    (standing,) = remote.standing("h1")
    way = remote.proxy(standing)
    remote.client.trust(way)
    name = f"flags-{remote.number}"
    there = f"{standing.layout.home}/{name}"
    flags = standing.inside(name)
    flags.mkdir()
    flags.chmod(0o777)
    fleet = Fleet([target(remote, way)], Patience(), None, str(workspace))
    return Bench(fleet, workspace, flags, there, host=standing.name)


def _cluster(workspace: Path, address: str) -> Backend:
    from f0make.backends.clusters.cluster_factory import backend_for

    options = RunOptions(workspace=str(workspace), backend=address)
    blobs = Blobs(str(workspace / ".f0make/cache"))
    blobs.prepare()
    return backend_for(options, str(workspace), 2, blobs, lambda text: None)


def _ray(workspace: Path, cluster: Ray, monkeypatch: pytest.MonkeyPatch) -> Backend:
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    return _cluster(workspace, cluster.backend)


def test_each_bundle_has_one_outcome_and_its_outputs_are_here(bench: Bench) -> None:
    (bench.workspace / "in").write_text("input\n")
    bundles = [
        bench.submit(f"cat in > out{n}; echo {n} >> out{n}", f"out{n}", inputs=("in",)) for n in range(6)
    ]
    found = bench.outcomes(bundles)
    assert all(outcome.ok and outcome.exit_code == 0 for outcome in found.values())
    for n in range(6):
        assert (bench.workspace / f"out{n}").read_text() == f"input\n{n}\n"
        assert found[bundles[n].token].outputs == {f"out{n}": Contents(str(bench.workspace)).token(f"out{n}")}
        assert found[bundles[n].token].started > 0
    bench.backend.stop(0.2)
    with pytest.raises(Empty):
        bench.event(Outcome, 0.0)


def test_a_failure_is_the_steps_own(bench: Bench) -> None:
    bench.submit("echo what went wrong; exit 3")
    outcome = bench.outcome()
    assert (outcome.ok, outcome.lost, outcome.exit_code) == (False, False, 3), outcome.message
    assert outcome.message
    bench.backend.go_on()
    bench.submit("echo fine > fine", "fine")
    assert bench.outcome().ok


def test_after_a_failure_nothing_starts_before_it_is_judged(bench: Bench) -> None:
    bench.submit("exit 1")
    assert not bench.outcome().ok
    held = bench.submit("echo > FLAGS/begun; echo > held", "held")
    time.sleep(0.3)  # Long enough for a backend that does not hold it to start it.
    assert not bench.flag("begun").exists()
    bench.backend.go_on()
    outcome = bench.outcome()
    assert (outcome.token, outcome.ok) == (held.token, True), outcome.message


def test_what_is_recalled_never_starts(bench: Bench) -> None:
    bench.submit("exit 1")
    assert not bench.outcome().ok
    bundles = [bench.submit(f"echo > FLAGS/begun{n}; echo > r{n}", f"r{n}") for n in range(3)]
    bench.backend.recall()
    assert all(outcome.lost for outcome in bench.outcomes(bundles).values())
    assert list(bench.flags.iterdir()) == []


def test_a_killed_attempt_comes_back_and_leaves_no_process(bench: Bench) -> None:
    mark = f"98{os.getpid()}.1"
    bundle = bench.submit(f"echo > FLAGS/begun; sleep {mark}; echo > never", "never")
    wait_for(bench.flag("begun").exists, SECONDS)
    assert alive(mark)
    bench.backend.kill(bundle.token)
    outcome = bench.outcome()
    assert (outcome.token, outcome.ok) == (bundle.token, False)
    wait_for(lambda: not alive(mark))
    assert not (bench.workspace / "never").exists()


def test_what_waits_can_be_withdrawn_where_the_backend_says_so(bench: Bench) -> None:
    """Elsewhere it waits, and runs when there is a slot."""
    running = [bench.blocker(f"b{n}") for n in range(bench.slots)]
    waiting = bench.submit("echo > waiting", "waiting")
    if bench.backend.capabilities.can_withdraw:
        bench.backend.withdraw()
        outcome = bench.outcome()
        assert (outcome.token, outcome.lost) == (waiting.token, True)
        waiting = bench.submit("echo > again", "again")
    for n in range(bench.slots):
        bench.release(f"b{n}")
    assert all(outcome.ok for outcome in bench.outcomes([*running, waiting]).values())


def test_as_many_run_at_one_time_as_it_has_slots(bench: Bench) -> None:
    assert bench.slots > 0
    everybody = " ".join(f"FLAGS/s{n}" for n in range(bench.slots))
    meet = f"for f in {everybody}; do until [ -e $f ]; do sleep 0.02; done; done"
    bundles = [bench.submit(f"echo > FLAGS/s{n}; {meet}; echo > s{n}", f"s{n}") for n in range(bench.slots)]
    assert all(outcome.ok for outcome in bench.outcomes(bundles).values())


def test_it_says_which_processes_of_this_machine_run_what(bench: Bench) -> None:
    bundle = bench.blocker("one")
    placed = bench.backend.placed()
    if bench.backend.capabilities.shares_workspace and not bench.host:
        ((pid, _),) = placed.values()
        assert set(placed) == {bundle.token}
        assert Path(f"/proc/{pid}").exists()
    else:
        assert placed == {}
    bench.release("one")
    assert bench.outcome().ok
    wait_for(lambda: not bench.backend.placed())


def test_stop_ends_everything_and_nothing_is_left(bench: Bench) -> None:
    mark = f"97{os.getpid()}.1"
    stubborn = f"trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep {mark}; :' &); echo > FLAGS/begun; sleep {mark}; :"
    bundles = [bench.submit(stubborn)]
    wait_for(bench.flag("begun").exists, SECONDS)
    bundles += [bench.submit("echo > FLAGS/late; sleep 300") for _ in range(bench.slots + 1)]
    bench.backend.stop(0.3)
    assert not any(outcome.ok for outcome in bench.outcomes(bundles).values())
    wait_for(lambda: not alive(mark))
    bench.backend.stop(0.3)
    after = bench.submit("echo > after", "after")
    outcome = bench.outcome()
    assert (outcome.token, outcome.lost) == (after.token, True)
    assert not (bench.workspace / "after").exists()


def test_one_that_was_never_started_stops_too(idle: Bench) -> None:
    idle.backend.stop(0.3)
    assert idle.inbox.empty()


def test_hosts_answer_what_they_are_asked(bench: Bench) -> None:
    hosts = bench.backend.capabilities.hosts
    assert hosts == ((bench.host,) if bench.host else ())
    for number, host in enumerate(hosts):
        bench.backend.ask(host, 2 * number, ["echo $WORD", "echo two"], {"WORD": "one"})
        answer = bench.event(Fingerprints)
        assert (answer.number, answer.texts) == (2 * number, ["one", "two"])
        bench.backend.ask(host, 2 * number + 1, ["exit 3"], {})
        answer = bench.event(Fingerprints)
        assert answer.texts is None
        assert "exit 3" in answer.error
        sent, received = bench.backend.traffic(host)
        assert sent > 0 < received


def test_everything_that_it_tells_is_of_a_known_kind(bench: Bench) -> None:
    bench.submit("exit 1")
    bench.outcome()
    bench.submit("sleep 300")
    bench.backend.stop(0.2)
    while not bench.inbox.empty():
        bench.events.append(bench.inbox.get())
    capabilities = bench.backend.capabilities
    kinds: set[type] = {Outcome, Note, Lost}
    kinds |= {HostNews, Fingerprints} if capabilities.hosts else set()
    kinds |= {SlotsChanged} if capabilities.elastic else set()
    assert {type(event) for event in bench.events} <= kinds
    assert not any(isinstance(event, Lost) for event in bench.events)
