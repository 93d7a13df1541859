"""The inside of a forked worker: takes shell steps from a queue that all such workers share."""

from __future__ import annotations

import os
import socket
import threading
import time
from importlib import import_module

from f0make.backends.local import loky_worker_main
from f0make.backends.local.jobserver.token_io import Purse, Token
from f0make.backends.local.shared_slots import Board
from f0make.backends.local.worker_settings import Settings
from f0make.worker import frames, system

_SOON_NEEDED = ("hashlib", "resource")
_PATIENCE = 5.0
"""Seconds until f0make must be the parent of this process."""


def load() -> None:
    """Import what every worker needs at its first step: there is time for that before the first of them is forked."""
    for name in _SOON_NEEDED:
        import_module(name)


def work(line: socket.socket, files: list[int], queue: socket.socket, board: Board, place: int) -> None:
    """Be a worker until the queue is closed; ``line`` leads to f0make, ``place`` is this worker's on ``board``.

    ``files``: with a jobserver, the two of its purse, then those that steps inherit.
    """
    inbox = frames.Frames()
    messages = frames.receive(line, inbox)
    if messages is None:
        return
    settings: Settings = messages[0][1]
    if not _has_parent(settings.parent, line):
        return
    for fd, number in zip(files[2:], settings.kept, strict=True):
        os.dup2(fd, number)
        os.close(fd)
    loky_worker_main.enter(settings, line)
    slot = _Slot(Purse(*files[:2]) if files else None, board, place)
    loky_worker_main.current.orphaned = slot.leave
    try:
        _serve(loky_worker_main.current.line, queue, board, place, slot)
    except (BrokenPipeError, ConnectionError):
        pass
    slot.leave()
    loky_worker_main.current.runner.close()


class _Slot:
    """This worker's token. It is kept from one step to the next, as long as there is one; it stands on the board."""

    def __init__(self, purse: Purse | None, board: Board, place: int) -> None:
        self._purse = purse
        self._board = board
        self._place = place
        self._token: Token | None = None
        self._leaving = threading.Lock()
        """When f0make is gone two threads come to `leave`, and the one ends the process."""

    def enter(self) -> bool:
        """Whether there is a token for a step."""
        if self._purse is not None and self._token is None:
            self._token = self._purse.take()
            self._board.keep(self._place, self._token)
            return self._token is not None
        return True

    def leave(self) -> None:
        """Give the token back. Only then it goes from the board: f0make gives back what a dead worker has left there."""
        if self._purse is None:
            return
        with self._leaving:
            token, self._token = self._token, None
            if token is not None:
                self._purse.give(token)
                self._board.keep(self._place, None)


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


def _serve(line: socket.socket, queue: socket.socket, board: Board, place: int, slot: _Slot) -> None:
    runner = loky_worker_main.current.runner
    buffer = bytearray(frames.LARGEST_QUEUED)
    view = memoryview(buffer)
    line.sendall(frames.frame(frames.READY, os.getpid()))
    while True:
        board.wait(place)
        try:
            size = queue.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            slot.leave()
            size = queue.recv_into(buffer)
        if not size:
            return
        number = frames.queued_number(view)
        board.take(place, number, system.now())
        if board.held:
            line.sendall(frames.frame(frames.RETURNED, number))
            continue
        if not slot.enter():
            line.sendall(frames.frame(frames.STARVED, number))
            continue
        outcome = runner.run(frames.queued_bundle(view[:size]))
        if not outcome.ok:
            board.hold(place)
        line.sendall(frames.frame(frames.OUTCOME, outcome))
