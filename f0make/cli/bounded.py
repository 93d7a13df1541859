"""Verbs that only look end in bounded time and memory, whatever they look at.

What they read (a recipe, its tables, the state that came with a workspace) is not trusted. Single things are bounded where they are
done; here the sum of all is, by the kernel: a timer of processor time, and a limit on what the process may allocate. So no code has to
count, and nothing that is added later can be forgotten. Nothing is written by these verbs, so they may be interrupted anywhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from f0make.allowance import WAY_OUT, factor, place, scaled
from f0make.errors import F0makeError, Problem, RecipeError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERBS = frozenset(
    {"validate", "plan", "list", "why", "graph", "report", "status", "log", "history", "context"}
)

SECONDS = 8.0
"""Processor time of a verb; hashing what lies in the workspace does not count."""
AGAIN = 4.0
"""Seconds after which a verb that goes on without what took so long (a report without its drawing) is interrupted again."""
MEMORY = 420_000_000
"""Bytes that a process may allocate. The program itself and its libraries, and a child that asks strictyaml, come on top."""


@contextmanager
def bounded() -> Iterator[None]:
    """Do what a verb does within these limits. Raises RecipeError, or UsageError where no recipe is at fault."""
    seconds, memory = SECONDS * factor(), scaled(MEMORY)
    try:
        with _timed(seconds), _limited(memory):
            yield
        return
    except MemoryError:
        pass  # what fills the memory is let go of before another word is said
    raise _too_much(f"this needs more than {memory // 1_000_000:,} MB of memory")


@contextmanager
def unhurried() -> Iterator[None]:
    """Time that is spent here does not count: it is the user's own data that are read."""
    import signal

    left, again = signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_PROF, left, again)


@contextmanager
def _timed(seconds: float) -> Iterator[None]:
    import signal

    def interrupt(number: int, frame: Any) -> None:
        raise _too_much(f"this takes more than {seconds:,g} s of processor time")

    try:
        before = signal.signal(signal.SIGPROF, interrupt)
    except ValueError:  # not the main thread: then the caller bounds how long this may take
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _limited(memory: int) -> Iterator[None]:
    if sys.platform != "linux":  # elsewhere this limit does not count what is mapped, which is nearly all
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    lower = [limit for limit in (soft, memory) if limit != resource.RLIM_INFINITY]
    before = soft, hard
    resource.setrlimit(resource.RLIMIT_DATA, (min(lower), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)  # first of all: there may be room for nothing else


def _too_much(text: str) -> F0makeError:
    """The error where work went beyond a limit: at what was being worked on, where that is known."""
    if place.where is None or not os.path.exists(place.where.file):
        return UsageError(f"{text} ({WAY_OUT})")
    return RecipeError([Problem(text, place.where, place.key, WAY_OUT)])
