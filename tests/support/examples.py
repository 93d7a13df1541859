"""How many examples a property is shown: the same ones in every run, more of them and others on demand."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

VARIABLE = "F0MAKE_EXAMPLES"
"""What the numbers of examples, and the seconds of fuzzers, are multiplied with; default: 1."""
SCALE = float(os.environ.get(VARIABLE) or 1)
USUAL = 100
"""Examples of a property that names no number."""


def profiles() -> None:
    """Register the profiles of Hypothesis, and load the one of `make test`.

    `fixed` derives its examples from the property's source, so that a run fails where the one before it did;
    `random` (``--hypothesis-profile random``) draws others each time. No example has a deadline: a busy machine is
    no fault.
    """
    settings.register_profile(
        "fixed", max_examples=scaled(USUAL), deadline=None, derandomize=True, database=None
    )
    settings.register_profile("random", max_examples=scaled(USUAL), deadline=None, print_blob=True)
    settings.load_profile("fixed")


def examples(usual: int, **more: Any) -> settings:
    """Settings of a property that shows ``usual`` examples, `scaled`."""
    return settings(max_examples=scaled(usual), **more)


def scaled(usual: int) -> int:
    """``usual`` times what the environment asks for, but at least five, or all where there are fewer."""
    return max(min(usual, 5), round(usual * SCALE))
