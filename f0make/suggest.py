"""The known word that a misspelt one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable

CLOSE_ENOUGH = 0.65
"""Least similarity (difflib's ratio, 0 to 1) for a hint: "retires" and "retries" are at 0.86."""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``word``, or None where nothing is like it.

    Case, and ``-`` for ``_``, count as no difference.
    """
    from difflib import get_close_matches

    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(_fold(candidate), candidate)
    if len(word) > 100:
        return None
    found = get_close_matches(_fold(word), folded, n=1, cutoff=CLOSE_ENOUGH)
    return folded[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``did you mean 'retries'?``, or nothing."""
    found = nearest(word, candidates)
    return f"did you mean {found!r}?" if found is not None and found != word else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")
