"""A cache server for the tests: Bazel's HTTP protocol, checked as bazel-remote checks it, with faults on demand.

What is put under /cas/ must have the digest that it is put under; what is put under /ac/ must be an
ActionResult, as JSON or in protobuf's encoding; it is given back in protobuf's encoding, and only while all
blobs that it names are there. Google's protobuf library reads and writes it, not f0make's own code.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

NAME = re.compile(r"/(?:[^?]*/)?(ac|cas)/([0-9a-f]{64})")


def _action_result() -> Any:
    """The message class of an ActionResult, as far as servers look into one (remote_execution.proto, v2)."""
    file = descriptor_pb2.FileDescriptorProto(name="re.proto", package="re", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    layout: dict[str, list[tuple[str, int, Any, str | None, bool]]] = {
        "Digest": [
            ("hash", 1, kinds.TYPE_STRING, None, False),
            ("size_bytes", 2, kinds.TYPE_INT64, None, False),
        ],
        "OutputFile": [
            ("path", 1, kinds.TYPE_STRING, None, False),
            ("digest", 2, kinds.TYPE_MESSAGE, "Digest", False),
            ("is_executable", 4, kinds.TYPE_BOOL, None, False),
        ],
        "Metadata": [("worker", 1, kinds.TYPE_STRING, None, False)],
        "ActionResult": [
            ("output_files", 2, kinds.TYPE_MESSAGE, "OutputFile", True),
            ("exit_code", 4, kinds.TYPE_INT32, None, False),
            ("stdout_digest", 6, kinds.TYPE_MESSAGE, "Digest", False),
            ("execution_metadata", 9, kinds.TYPE_MESSAGE, "Metadata", False),
        ],
    }
    for name, fields in layout.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, many in fields:
            added = message.field.add(
                name=field,
                number=number,
                type=kind,
                label=kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL,
            )
            if of is not None:
                added.type_name = f".re.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("re.ActionResult"))


ActionResult = _action_result()

Fault = Callable[["Handler"], bool]
"""Called before a request is served; True: it was dealt with."""


class CacheServer(ThreadingHTTPServer):
    """Serves in threads of its own until `stop`; ``takes_json``: as newer releases of bazel-remote do."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, takes_json: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.takes_json = takes_json
        self.blobs: dict[str, bytes] = {}
        self.actions: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        """By method and kind (`PUT ac`)."""
        self.log: list[tuple[str, str, int]] = []
        """(method, path, status)."""
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.busy = self.busiest = 0
        self.fault: Fault | None = None
        self.lock = threading.Lock()
        self.secure = False

    @property
    def url(self) -> str:
        """The address to give to `--cache`."""
        return f"http{'s' * self.secure}://127.0.0.1:{self.server_address[1]}/"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """Begin to serve, over TLS with ``context``."""
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.secure = True
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more; the port refuses connections from now on."""
        self.shutdown()
        self.server_close()

    def count(self, kind: str) -> int:
        """How many requests of a ``kind`` (`GET cas`) came."""
        return self.requests[kind]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: CacheServer
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_GET(self) -> None:
        """GET and HEAD."""
        self._serve(self._get)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        """PUT."""
        self._serve(self._put)

    def do_MKCOL(self) -> None:
        """No WebDAV here."""
        self._serve(lambda kind, name: self.answer(405))

    def _serve(self, work: Callable[[str, str], None]) -> None:
        server = self.server
        match = NAME.fullmatch(self.path)
        self.kind, self.name = (match[1], match[2]) if match else ("", "")
        with server.lock:
            server.requests[f"{self.command} {self.kind}"] += 1
            server.headers.append(dict(self.headers.items()))
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
        try:
            if server.fault is not None and server.fault(self):
                return
            if match is None:
                self.body()
                self.answer(400)
            else:
                work(self.kind, self.name)
        finally:
            with server.lock:
                server.busy -= 1

    def _get(self, kind: str, name: str) -> None:
        server = self.server
        data = (server.blobs if kind == "cas" else server.actions).get(name)
        if data is not None and kind == "ac":
            found = ActionResult.FromString(data)
            named = [f.digest.hash for f in found.output_files]
            if not all(digest in server.blobs for digest in named):
                data = None
        self.answer(200, data) if data is not None else self.answer(404, b"Not found\n")

    def _put(self, kind: str, name: str) -> None:
        if "Content-Length" not in self.headers:
            self.answer(400, b"PUT without Content-Length")
            return
        data = self.body()
        if kind == "cas":
            if hashlib.sha256(data).hexdigest() != name:
                self.answer(400, b"wrong digest")
                return
            self.server.blobs[name] = data
        else:
            try:
                self.server.actions[name] = self._checked(data)
            except (DecodeError, json_format.ParseError, ValueError) as error:
                self.answer(400, f"no ActionResult: {error}".encode())
                return
        self.answer(200)

    def _checked(self, data: bytes) -> bytes:
        found = ActionResult()
        if self.server.takes_json and self.headers.get("Content-Type") == "application/json":
            json_format.Parse(data, found)
        else:
            found.ParseFromString(data)
        if not found.output_files:
            raise ValueError("it names no file")
        for file in found.output_files:
            size = len(self.server.blobs[file.digest.hash])
            if not file.path or file.path.startswith("/") or file.digest.size_bytes != size:
                raise ValueError(f"bad output file {file.path}")
        found.execution_metadata.worker = self.client_address[0]
        packed: bytes = found.SerializeToString()
        return packed

    def body(self) -> bytes:
        """What the request carries."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        """Answer a request."""
        with self.server.lock:
            self.server.log.append((self.command, self.path, status))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the test's output."""


def slowly(seconds: float) -> Fault:
    """Every request is answered, ``seconds`` later."""

    def fault(handler: Handler) -> bool:
        time.sleep(seconds)
        return False

    return fault
