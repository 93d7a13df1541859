"""Dask: a client of a scheduler that runs somewhere, or of a LocalCluster started for this run.

Each attempt is one task. Dask runs a task again when its worker has gone; f0make hears of that by the scheduler's
events, before any result of the second run can arrive, and lets go of the task.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from f0make.backend_address import Address
from f0make.backends.clusters.cluster_protocol import Gone, Job, Reply
from f0make.backends.clusters.local_dask import LocalDask
from f0make.backends.clusters.preflight import greet_dask
from f0make.backends.clusters.worker_module import loaded, module
from f0make.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    import ssl

CONNECT = 5.0
"""Seconds to reach the scheduler."""
ASK = 5.0
"""Seconds for an answer to a question to the scheduler or to all workers."""


class DaskCluster:
    """The cluster at ``address``; without a url one of ``jobs`` single-threaded workers, below ``directory``."""

    name = "Dask"

    def __init__(self, address: Address, jobs: int, directory: str, root: str) -> None:
        self._address = address
        self.elastic = bool(address.url)
        self._root = root
        self._local = None if address.url else LocalDask(jobs, directory)
        self._client: Any = None
        self._events: SimpleQueue[Any] = SimpleQueue()
        """Futures that are done, and what the scheduler tells of its workers."""
        self._tokens: dict[str, str] = {}
        """Key of a task -> token of its job."""
        self._futures: dict[str, Any] = {}
        """Token -> future."""
        self._workers: dict[str, Any] = {}
        """Address -> what the scheduler knows of a worker."""
        self._excluded: set[str] = set()
        self._stale = True
        """Workers have come or gone since `_workers` was asked for."""
        self._count = 0
        self._own = uuid.uuid4().hex[:12]

    def open(self, ring: Callable[[], None]) -> None:
        """Connect, and send the module that runs bundles. Raises UnreachableError and UsageError."""
        self._ring = ring
        try:
            if self._local is not None:
                url, credentials = self._local.start()
                self._client = _connect(url, _with(credentials))
            elif self._address.url.startswith("tls://"):
                # Before Dask is imported, which takes a while, unless its configuration must say how.
                given = bool(self._address.ca)
                security = None if given else _configured()
                greet_dask(self._address, self._context() if given else _context_of(security))
                self._client = _connect(self._address.url, self._security() if given else security)
            else:
                greet_dask(self._address, None)
                self._client = _connect(self._address.url, None)
        except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
            text = f"--backend {self._address}: the Dask scheduler cannot be reached: {_text(error)}"
            raise UnreachableError(text) from None
        self._stale = True
        try:
            self._client.subscribe_topic("all", self._hear)
            self._send_module()
            if self._local is not None:
                self._client.wait_for_workers(self._local.jobs, timeout=self._local.PATIENCE)
        except Exception as error:
            raise UnreachableError(f"--backend {self._address}: {_text(error)}") from None

    def _context(self) -> ssl.SSLContext:
        """What TLS needs, as Dask will use it. Raises UsageError."""
        import ssl

        files = self._files()
        for flag, path in files.items():
            try:
                with open(os.path.join(self._root, path), "rb"):
                    pass
            except OSError as error:
                raise UsageError(f"{flag} {path}: {error.strerror}") from None
        ca, cert, key = (os.path.join(self._root, path) for path in files.values())
        try:
            context = ssl.create_default_context(cafile=ca)
            context.check_hostname = False  # An authority of the cluster's own says who belongs to it.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.load_cert_chain(cert, key)
        except (OSError, ValueError) as error:
            raise UsageError(f"{', '.join(files)}: they do not fit each other: {error}") from None
        return context

    def _files(self) -> dict[str, str]:
        return {
            "--dask-ca": self._address.ca,
            "--dask-cert": self._address.cert,
            "--dask-key": self._address.key,
        }

    def _security(self) -> Any:
        from distributed.security import Security

        ca, cert, key = (os.path.join(self._root, path) for path in self._files().values())
        return Security(require_encryption=True, tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key)

    def _send_module(self) -> None:
        from distributed.diagnostics.plugin import SchedulerUploadFile, UploadFile

        name, source = module()
        with tempfile.TemporaryDirectory(prefix="f0make-") as directory:
            path = os.path.join(directory, f"{name}.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(source)
            # Plugins: workers that come later get it too. The same name each time, so that they do not pile up.
            self._client.register_plugin(SchedulerUploadFile(path), name=f"{name}-scheduler")
            self._client.register_plugin(UploadFile(path), name=name)
        self._glue = loaded()

    # What is there.

    def _known(self) -> dict[str, Any]:
        if self._stale:
            self._stale = False
            info = self._ask(self._client.scheduler.identity, n_workers=-1)
            self._workers = {a: w for a, w in info["workers"].items() if a not in self._excluded}
        return self._workers

    def slots(self) -> int:
        """The threads of all workers that are not excluded."""
        return sum(worker["nthreads"] for worker in self._known().values())

    def able(self, resources: Mapping[str, float]) -> bool:
        """Whether a worker is there that offers what Dask is asked for. Raises Gone."""
        wanted = self._wanted(resources)
        return any(
            all(worker["resources"].get(name, 0) >= amount for name, amount in wanted.items())
            for worker in self._known().values()
        )

    def _wanted(self, resources: Mapping[str, float]) -> dict[str, float]:
        """What to ask Dask for: declared amounts of resources that some worker offers, by Dask's own names."""
        offered = {name.lower(): name for worker in self._known().values() for name in worker["resources"]}
        wanted = {offered[name.lower()]: float(n) for name, n in resources.items() if name.lower() in offered}
        if "cpu" in offered:
            wanted.setdefault(offered["cpu"], 1.0)
        return wanted

    def probe(self, path: str, text: str, answer: Callable[[int], str]) -> dict[str, tuple[int, str]]:
        """See `Cluster.probe`. Raises Gone."""
        found = {}
        for number, worker in enumerate(self._known()):
            found[worker] = (number, "")
        if not found:
            return found
        answers = {worker: answer(number) for worker, (number, _) in found.items()}
        said = self._ask(self._client.run, self._glue.probe_in_dask, path, text, answers, on_error="return")
        return {
            worker: (number, _said(said.get(worker, "it does not answer")))
            for worker, (number, _) in found.items()
        }

    def exclude(self, worker: str) -> None:
        """Give no job to ``worker`` any more."""
        self._excluded.add(worker)
        self._stale = True

    # Jobs.

    def submit(self, jobs: Sequence[Job]) -> None:
        """One call for each run of jobs that ask for the same. Raises Gone."""
        try:
            start = 0
            wanted = [self._wanted(job.resources) for job in jobs]
            for end in range(1, len(jobs) + 1):
                if end == len(jobs) or wanted[end] != wanted[start]:
                    self._map(jobs[start:end], wanted[start])
                    start = end
        except (OSError, RuntimeError, ValueError) as error:
            raise self._lost(error) from None

    def _map(self, jobs: Sequence[Job], wanted: dict[str, float]) -> None:
        keys = []
        for job in jobs:
            self._count += 1
            keys.append(f"f0make-{self._own}-{self._count:09d}")
            self._tokens[keys[-1]] = job.token
        futures = self._client.map(
            self._glue.in_dask,
            [job.task for job in jobs],
            key=keys,
            pure=False,
            retries=0,
            priority=-self._count,
            resources=wanted or None,
            workers=sorted(self._known()) if self._excluded else None,
        )
        for job, future in zip(jobs, futures, strict=True):
            self._futures[job.token] = future
            future.add_done_callback(self._hear)

    def running(self, run: str) -> set[str] | None:
        """The tokens of jobs that a worker has begun. Raises Gone."""
        said = self._ask(self._client.run, self._glue.running, run, on_error="return")
        return {token for tokens in said.values() if isinstance(tokens, list) for token in tokens}

    def cancel(self, tokens: Iterable[str]) -> None:
        """Let go of jobs: their workers end them when they hear of it."""
        futures = [self._futures.pop(token) for token in tokens if token in self._futures]
        for future in futures:
            self._tokens.pop(future.key, None)
        if futures and self._client.status == "running":
            self._client.cancel(futures)

    def _hear(self, about: Any) -> None:
        """Called in a thread of Dask's, with a future that is done or an event of the scheduler."""
        self._events.put(about)
        self._ring()

    def collect(self) -> list[Reply]:
        """Results, fetched together, and jobs whose workers have gone. Raises Gone."""
        replies: list[Reply] = []
        done: list[Any] = []
        while True:
            try:
                about = self._events.get_nowait()
            except Empty:
                break
            if isinstance(about, tuple):
                self._stale = True
                replies += self._deaths(about[1])
            elif about.key in self._tokens:
                done.append(about)
        if self._client.status != "running":
            raise Gone(self._why_gone())
        # A death may have been told after a result that arrived before it.
        done = [future for future in done if future.key in self._tokens]
        if done:
            replies += self._results(done)
        return replies

    def _deaths(self, event: Any) -> list[Reply]:
        if not isinstance(event, Mapping) or event.get("action") != "remove-worker":
            return []
        worker = event.get("worker", "")
        keys = [*event.get("processing-tasks", ()), *event.get("lost-computed-tasks", ())]
        tokens = [self._tokens[key] for key in keys if key in self._tokens]
        self.cancel(tokens)
        return [Reply(token, None, f"worker {worker} is gone", worker) for token in tokens]

    def _results(self, done: list[Any]) -> list[Reply]:
        found: dict[str, Any] = {}
        good = [future for future in done if future.status == "finished"]
        if good:
            results = self._ask(self._client.gather, {f.key: f for f in good}, errors="skip", seconds=60.0)
            found.update(results)
        replies = []
        for future in done:
            token = self._tokens.pop(future.key, None)
            if token is None:
                continue
            self._futures.pop(token, None)
            answer = found.get(future.key)
            if isinstance(answer, bytes):
                replies.append(Reply(token, answer))
            else:
                replies.append(Reply(token, None, _why(future)))
        return replies

    # The end.

    def end(self, run: str, seconds: float) -> bool:
        """End every process of ``run`` on all workers, the excluded ones too."""
        if self._client is None or self._client.status != "running":
            return True  # Workers end their tasks when their scheduler is gone.
        left = self._ask(
            self._client.run, self._glue.ended, run, seconds, on_error="return", seconds=seconds + 2.0
        )
        return all(count == 0 for count in left.values())

    def close(self) -> None:
        """Leave the scheduler; stop the LocalCluster."""
        client, self._client = self._client, None
        self._tokens.clear()
        self._futures.clear()
        if client is not None:
            with _quiet():
                if client.status == "running":
                    client.unsubscribe_topic("all")
                client.close(timeout=2)
        if self._local is not None:
            self._local.stop()

    def _ask(self, question: Callable[..., Any], *args: Any, seconds: float = ASK, **more: Any) -> Any:
        """Raises Gone when there is no answer in time."""
        if self._client is None or self._client.status != "running":
            raise Gone(self._why_gone())

        async def ask() -> Any:
            return await question(*args, **more)

        try:
            return self._client.sync(ask, callback_timeout=seconds)
        except Exception as error:  # of Dask, of its transports, of time: all mean that nobody can be asked
            raise self._lost(error) from None

    def _lost(self, error: BaseException) -> Gone:
        return Gone(f"{self._why_gone()} ({_text(error)})")

    def _why_gone(self) -> str:
        return f"the connection to the Dask scheduler at {self._address.url or 'this machine'} is lost"


def _with(credentials: dict[str, str]) -> Any:
    """TLS with certificates and a key as text."""
    from distributed.security import Security

    return Security(require_encryption=True, **credentials)


def _configured() -> Any:
    """What the user's dask configuration says of TLS."""
    from distributed.security import Security

    return Security()


def _context_of(security: Any) -> ssl.SSLContext | None:
    found: ssl.SSLContext | None = security.get_connection_args("client").get("ssl_context")
    return found


def _connect(url: str, security: Any) -> Any:
    """A client of the scheduler at ``url``. Raises what Dask raises."""
    from distributed import Client

    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with _quiet():
        return Client(url, security=security, timeout=CONNECT, set_as_default=False, name="f0make")


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask warns of other versions on the cluster and of sockets that it closes late; neither matters here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _why(future: Any) -> str:
    """Why a task of ours has no result: it never raises by itself."""
    if future.status == "error":
        with suppress(Exception):  # whatever the cluster has put there
            return _text(future.exception(timeout=ASK))
    return "Dask let go of its task"


def _said(answer: Any) -> str:
    return answer if isinstance(answer, str) else _text(answer)


def _text(error: Any) -> str:
    """The innermost reason, in one line."""
    while isinstance(error, BaseException) and error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
