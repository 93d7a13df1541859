"""Ray: a driver of a cluster that runs somewhere, or of one started for this run.

Each attempt is one task without retries. When its task is cancelled, or this driver is gone, Ray ends the worker
process, and the child that runs the step sees that.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from f0make.backend_address import Address
from f0make.backends.clusters.cluster_protocol import Gone, Job, Reply
from f0make.backends.clusters.preflight import greet_ray, within
from f0make.backends.clusters.worker_module import module
from f0make.errors import UnreachableError

CONNECT = 25.0
"""Seconds for Ray to join a cluster that has answered."""
STORE = 80 << 20
"""Bytes of Ray's object store in a cluster started here: contents do not travel through it."""
OWN = frozenset({"CPU", "GPU", "memory"})
"""What Ray asks for by options of their own."""


class RayCluster:
    """The cluster at ``address``; without a url one of ``jobs`` CPUs on this machine."""

    name = "Ray"

    def __init__(self, address: Address, jobs: int) -> None:
        self._address = address
        self.elastic = bool(address.url)
        self._jobs = jobs
        self._directory = ""
        self._events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._refs: dict[str, Any] = {}
        """Token -> reference of its task's result."""
        self._cancelled: list[Any] = []
        """References of tasks that were told to end."""
        self._offered: dict[str, float] = {}
        self._looked = 0.0

    def open(self, ring: Callable[[], None]) -> None:
        """Connect or start; hand the module that runs bundles to the cluster. Raises UnreachableError."""
        self._ring = ring
        try:
            if self._address.url:
                if self._address.url != "auto":
                    greet_ray(self._address, os.environ.get("RAY_USE_TLS", "0") == "1")
                within(CONNECT, self._connect)
            else:
                # In this thread, which lives on: when it ended, the kernel would end what it started (prctl(2)).
                self._connect()
        except Exception as error:  # Ray's own kinds, by version
            raise UnreachableError(
                f"--backend {self._address}: Ray cannot be reached: {_text(error)}"
            ) from None

    def _connect(self) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not self._address.url:
            # Whoever may connect to Ray may run commands as its user: here only who has this run's token.
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
            os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        import ray

        more: dict[str, Any] = {}
        if self._address.url:
            more["address"] = self._address.url
        else:
            # Its sockets lie there, and their paths must be short.
            self._directory = tempfile.mkdtemp(prefix="f0make-ray-")
            more.update(num_cpus=self._jobs, include_dashboard=False, _temp_dir=self._directory)
            more.update(object_store_memory=STORE, address="local")
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=True, **more)
        self._ray = ray
        name, source = module()
        # Without a name that workers could import it travels by value, once for each of them.
        self._source = ray.put(source)
        self._name = name
        self._run = ray.remote(max_retries=0)(_enter)

    # What is there.

    def _known(self) -> dict[str, float]:
        if time.monotonic() - self._looked > 0.5:
            self._looked = time.monotonic()
            try:
                self._offered = dict(self._ray.cluster_resources())
            except Exception as error:  # Ray's own kinds, by version
                raise Gone(f"the connection to Ray is lost ({_text(error)})") from None
        return self._offered

    def slots(self) -> int:
        """The CPUs of the cluster."""
        return int(self._known().get("CPU", 0))

    def able(self, resources: Mapping[str, float]) -> bool:
        """Whether some node has what Ray is asked for. Raises Gone."""
        wanted = self._wanted(resources)
        try:
            nodes = self._ray.nodes()
        except Exception as error:  # as above
            raise Gone(f"the connection to Ray is lost ({_text(error)})") from None
        return any(
            all(node["Resources"].get(name, 0) >= amount for name, amount in wanted.items())
            for node in nodes
            if node["Alive"]
        )

    def _wanted(self, resources: Mapping[str, float]) -> dict[str, float]:
        """What to ask Ray for: declared amounts of resources that the cluster offers, by Ray's own names."""
        offered = {name.lower(): name for name in self._known()}
        offered["mem"] = offered.pop("memory", "")
        wanted = {"CPU": 1.0}
        for name, amount in resources.items():
            if offered.get(name.lower()):
                wanted[offered[name.lower()]] = float(amount)
        return wanted

    def probe(self, path: str, text: str, answer: Callable[[int], str]) -> dict[str, tuple[int, str]]:
        """See `Cluster.probe`: one task on each node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        refs = {}
        look = self._ray.remote(max_retries=0, num_cpus=0)(_call)
        for number, node in enumerate(n for n in self._ray.nodes() if n["Alive"]):
            strategy = On(node["NodeID"], soft=False)
            arguments = (path, text, answer(number))
            task = look.options(scheduling_strategy=strategy)
            refs[node["NodeManagerAddress"]] = (
                number,
                task.remote(self._name, self._source, "probe", arguments),
            )
        found = {}
        until = time.monotonic() + 20.0
        for node, (number, ref) in refs.items():
            try:
                said = self._ray.get(ref, timeout=max(0.1, until - time.monotonic()))
            except Exception as error:  # of the task, of Ray, of time: this node cannot be used
                said = _text(error)
            found[node] = number, str(said)
        return found

    def exclude(self, worker: str) -> None:
        """Ray cannot keep tasks from a worker for good; another attempt may get another one."""

    # Jobs.

    def submit(self, jobs: Sequence[Job]) -> None:
        """One task for each. Raises Gone."""
        try:
            for job in jobs:
                wanted = self._wanted(job.resources)
                others = {name: n for name, n in wanted.items() if name not in OWN}
                task = self._run.options(
                    num_cpus=wanted["CPU"],
                    num_gpus=wanted.get("GPU", 0),
                    memory=int(wanted.get("memory", 0)) or None,
                    resources=others or None,
                )
                ref = task.remote(self._name, self._source, job.task)
                self._refs[job.token] = ref
                ref.future().add_done_callback(partial(self._hear, job.token))
        except Gone:
            raise
        except Exception as error:  # Ray's own kinds, by version
            raise Gone(f"Ray takes no tasks any more ({_text(error)})") from None

    def running(self, run: str) -> set[str] | None:
        """Ray does not tell."""
        return None

    def cancel(self, tokens: Iterable[str]) -> None:
        """Let go of jobs; where one runs, its worker is interrupted and ends the child."""
        for token in tokens:
            ref = self._refs.pop(token, None)
            if ref is not None:
                self._ray.cancel(ref, force=False)
                self._cancelled.append(ref)

    def _hear(self, token: str, future: Any) -> None:
        self._events.put((token, future))
        self._ring()

    def collect(self) -> list[Reply]:
        """Results, and tasks whose workers have died. Raises Gone."""
        replies = []
        while True:
            try:
                token, future = self._events.get_nowait()
            except Empty:
                break
            if self._refs.pop(token, None) is None:
                continue
            error = future.exception()
            if error is None:
                replies.append(Reply(token, future.result()))
            else:
                replies.append(Reply(token, None, f"its worker is gone ({_text(error)})"))
        if not self._ray.is_initialized():
            raise Gone("the connection to Ray is lost")
        return replies

    # The end.

    def end(self, run: str, seconds: float) -> bool:
        """Wait for the tasks that were told to end. Idle children go with their workers, and these with the driver."""
        if not self._cancelled:
            return True
        _, left = self._ray.wait(
            self._cancelled, num_returns=len(self._cancelled), timeout=seconds, fetch_local=False
        )
        for ref in left:
            self._ray.cancel(ref, force=True)
        return not left

    def close(self) -> None:
        """Leave the cluster; stop the one that was started here."""
        self._refs.clear()
        ray = getattr(self, "_ray", None)
        if ray is not None:
            ray.shutdown()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)


def _enter(name: str, source: str, task: bytes) -> bytes:
    """What a Ray worker runs: the sent module's `in_ray`."""
    import sys
    import types

    found: Any = sys.modules.get(name)
    if found is None:
        found = types.ModuleType(name)
        exec(compile(source, name, "exec"), found.__dict__)
        sys.modules[name] = found
    answer: bytes = found.in_ray(task)
    return answer


def _call(name: str, source: str, function: str, arguments: tuple[Any, ...]) -> Any:
    import types

    found: Any = types.ModuleType(name)
    exec(compile(source, name, "exec"), found.__dict__)
    return getattr(found, function)(*arguments)


def _text(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
