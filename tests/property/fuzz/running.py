"""How a fuzzer runs: as often as fits into its time, from seeds that a failure prints."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

from tests.support.examples import SCALE

VARIABLE = "F0MAKE_FUZZ_SECONDS"
"""Seconds for each fuzzer; `make fuzz` sets it."""
FIRST = "F0MAKE_FUZZ_SEED"
"""The first seed; default: 0, the same in every run of `make test`, a random one in `make fuzz`."""


def fuzz(once: Callable[[random.Random], None], seconds: float = 2.0) -> int:
    """Call ``once`` with one random source after the other until the time is over; how often that was.

    Its exceptions are failures, and tell the seed that repeats them.
    """
    given = os.environ.get(VARIABLE)
    limit = time.monotonic() + (float(given) if given else seconds * SCALE)
    seed = int(os.environ.get(FIRST) or (random.SystemRandom().getrandbits(40) if given else 0))
    done = 0
    while time.monotonic() < limit or not done:
        try:
            once(random.Random(seed))
        except BaseException as error:
            error.add_note(f"{FIRST}={seed} repeats this") if hasattr(error, "add_note") else None
            print(f"{FIRST}={seed} repeats this")
            raise
        seed += 1
        done += 1
    return done


_TEXTS = (
    "",
    ".",
    "..",
    "/",
    "a/..",
    "../x",
    "a\0b",
    "\ud800",
    "\udc80",
    "x" * 300,
    "é" * 200,
    "@",
    ".f0make/x",
    "a" * 64,
)
_NUMBERS = (0, -1, 1 << 63, 10**400, -(10**400), 1e308, float("inf"), float("nan"), -0.5, True, 10**4400)


def odd(source: random.Random, depth: int = 3) -> object:
    """Something that JSON, or something like it, can say and that hardly anybody expects."""
    kind = source.randrange(8 if depth else 5)
    if kind == 0:
        return source.choice(_TEXTS)
    if kind in (1, 2):
        return source.choice(_NUMBERS[:-1])
    if kind == 3:
        return None
    if kind == 4:
        return "".join(chr(source.randrange(0x500)) for _ in range(source.randrange(6)))
    if kind in (5, 6):
        return [odd(source, depth - 1) for _ in range(source.randrange(3))]
    return {str(source.choice(_TEXTS)): odd(source, depth - 1) for _ in range(source.randrange(3))}


def mutate(value: object, source: random.Random) -> object:
    """``value`` (JSON) with one part of it replaced, removed, doubled or moved."""
    if isinstance(value, dict) and value and source.random() < 0.85:
        name = source.choice(sorted(value, key=repr))
        found = dict(value)
        move = source.random()
        if move < 0.1:
            del found[name]
        elif move < 0.2:
            found[str(source.choice(_TEXTS))] = found.pop(name)
        else:
            found[name] = mutate(found[name], source)
        return found
    if isinstance(value, list) and value and source.random() < 0.85:
        at = source.randrange(len(value))
        return [*value[:at], mutate(value[at], source), *value[at + source.randrange(2) :]]
    return odd(source)
