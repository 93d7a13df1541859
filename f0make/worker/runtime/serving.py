"""Waiting for steps to run: a warm interpreter forks for each of them, and itself never runs any of their code."""

from __future__ import annotations

import gc
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from f0make.worker.runtime import call, channel, ending, imports, tracing
else:
    import _signal

    from _f0make import call, channel, ending, imports, tracing


_AT_ONCE = 1 << 16
"""Bytes that are asked for; most requests are smaller, and so come at once."""
_STARTED_WITH = frozenset(sys.modules) | {"f0make", "f0make.context"}
"""Modules that this interpreter would have anyway, and f0make's own."""


def main(argv: list[str]) -> None:
    """Come back in a process that has run its step and is to end."""
    sys.argv[:] = [""]
    imports.prepare()
    _open_streams()
    tracing.prepare()
    request: dict[str, Any]
    if argv[0] == "serve":
        request = _serve(int(argv[1]), int(argv[2]))
    else:
        with open(int(argv[1]), "rb") as file:
            request = marshal.loads(file.read())
        _take(int(argv[2]))
        _settle()
    patience = request["patience"]
    call.run(request)
    del request
    ending.finish(patience)


def _settle() -> None:
    """Take what only this program has loaded from the step's sight, and note what is there before it."""
    for name in [name for name in sys.modules if not _own(name)]:
        del sys.modules[name]
    sys.path_importer_cache.clear()  # Directories are looked at anew.
    ending.remember()


def join() -> None:
    """Be a process that the step started with `multiprocessing`."""
    imports.prepare()
    if channel.find():
        tracing.prepare()
        tracing.start()


def _open_streams() -> None:
    """Write text at once, and such as no encoding can hold escaped, unless the environment says how."""
    if "PYTHONIOENCODING" not in os.environ:
        streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
        for stream in streams:
            if stream is not None:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _own(name: str) -> bool:
    return name in _STARTED_WITH or name.startswith("_")


def _take(news: int) -> None:
    os.dup2(news, channel.NEWS, inheritable=False)
    os.close(news)


def _serve(fd: int, ledger: int) -> dict[str, Any]:
    """Fork for every request; a request in the process that is to run it. Does not return in the server.

    How a process ended is noted in the file ``ledger`` before it is collected: this one may be killed in between.
    Whatever is changed here after a fork, a mere count of references, is a page to be copied, so little is done.
    """
    import _socket

    # What ends a step by SIGTERM sends it to everything below the worker. This one ends with its line.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))
    line = _socket.socket(fileno=fd)
    line.sendall(b"V %d.%d %d\n" % (*sys.version_info[:2], bool(imports.foreign())))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
    _settle()
    gc.collect()
    gc.freeze()  # What is shared with the forked processes stays shared, and is not looked through by them.
    while True:
        code, request, fds = _receive(line)
        if code:
            imports.compile_ahead(marshal.loads(code))
        if not request:
            line.sendall(_reaped(b"R", 0, 0.0, 0))
            continue
        try:
            pid = os.fork()
        except OSError as error:
            line.sendall(b"F %d\n" % (error.errno or 0))
            pid = -1
        if not pid:
            line.close()
            os.close(ledger)
            os.setpgid(0, 0)
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGTERM,))
            log, news = fds
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            _take(news)
            told: dict[str, Any] = marshal.loads(request)
            return told
        for fd in fds:
            os.close(fd)
        if pid < 0:
            continue
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # It has done so itself, or is gone.
        line.sendall(b"P %d\n" % pid)
        os.pwrite(ledger, pid.to_bytes(4, "little") + _ended(pid).to_bytes(4, "little", signed=True), 0)
        _, status, usage = os.wait4(pid, 0)
        line.sendall(_reaped(b"E", status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))


def _ended(pid: int) -> int:
    """Wait until the child ``pid`` has ended; its exit code, or the number of the signal that killed it, negative."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if found is None:
        return 0
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _reaped(kind: bytes, status: int, cpu: float, peak: int) -> bytes:
    """The message that a step's process has ended; its orphans that have ended, too, are collected."""
    alone = 0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            alone = 1
            break
        if not pid:
            break
        cpu, peak = cpu + usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss)
    return b"%b %d %d %d %d\n" % (kind, status, int(cpu * 1e6), peak, alone)


def _receive(line: Any) -> tuple[bytes, bytes, list[int]]:
    """One message and the descriptors that came with it; does not return when there is none to come.

    It holds a list of source files to compile, then the request for a step, each after its length in four bytes. Both
    may be empty: what has ended is to be collected.
    """
    import _socket

    data, control, _, _ = line.recvmsg(_AT_ONCE, _socket.CMSG_SPACE(8))
    fds: list[int] = []
    for level, kind, payload in control:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += [int.from_bytes(payload[at : at + 4], sys.byteorder) for at in range(0, len(payload), 4)]
    size = len(data)
    while size < 8 or size < 8 + int.from_bytes(data[:4], "little") + int.from_bytes(data[4:8], "little"):
        more = line.recv(1 << 20) if data else b""
        if not more:
            os._exit(0)
        data += more
        size = len(data)
    split = 8 + int.from_bytes(data[:4], "little")
    return data[8:split], data[split:], fds
