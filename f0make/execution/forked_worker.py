"""The inside of a forked worker: takes shell steps from a queue that all such workers share."""

from __future__ import annotations

import os
import socket
import time

from f0make.execution import frames, host, worker
from f0make.execution.board import Board

_PATIENCE = 5.0
"""Seconds until f0make must be the parent of this process."""


def work(line: socket.socket, queue: socket.socket, board: Board, place: int) -> None:
    """Be a worker until the queue is closed; ``line`` leads to f0make, ``place`` is this worker's on ``board``."""
    inbox = frames.Frames()
    messages = frames.receive(line, inbox)
    if messages is None:
        return
    settings: worker.Settings = messages[0][1]
    if not _has_parent(settings.parent, line):
        return
    worker.enter(settings, line)
    try:
        _serve(worker.current.line, queue, board, place, settings.careful)
    except (BrokenPipeError, ConnectionError):
        pass
    worker.current.runner.close()


def _has_parent(parent: int, line: socket.socket) -> bool:
    """Whether ``parent`` is the parent of this process, waiting for the one between to end.

    f0make may be gone by now, and ``line`` closed.
    """
    until = time.monotonic() + _PATIENCE
    while os.getppid() != parent:
        try:
            if time.monotonic() > until or not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return False
        except BlockingIOError:
            time.sleep(0.0005)
    return True


def _serve(line: socket.socket, queue: socket.socket, board: Board, place: int, careful: bool) -> None:
    runner = worker.current.runner
    buffer = bytearray(frames.LARGEST_QUEUED)
    view = memoryview(buffer)
    line.sendall(frames.frame(frames.READY, os.getpid()))
    while True:
        board.wait(place)
        size = queue.recv_into(buffer)
        if not size:
            return
        number = frames.queued_number(view)
        board.take(place, number, host.now())
        if board.held:
            line.sendall(frames.frame(frames.RETURNED, number))
            continue
        outcome = runner.run(frames.queued_bundle(view[:size]))
        if careful and not outcome.ok:
            board.hold(place)
        line.sendall(frames.frame(frames.OUTCOME, outcome))
