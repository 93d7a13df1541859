"""Word counts: stop words into the context, counts of one text, a report of many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from f0make.context import Context
from scriptlets.core.base import BaseScriptlet


def read_stopwords(ctx: Context, key: str) -> None:
    """Set ``key`` in the context to the words of the first input, one a line."""
    words = Path(ctx.step.inputs[0]).read_text(encoding="utf-8").split()
    ctx.set(key, sorted(set(words)))
    print(f"{len(words)} stop words")


class CountWords(BaseScriptlet):
    """Count the words of the first input (one a line) into the first output, the most frequent first.

    Sets ``total_key`` to the number of words counted.
    """

    class Params:
        stopwords_key: str
        """Key in the context of the list of words to leave out."""
        total_key: str

    def run(self, ctx: Context, params: dict[str, Any]) -> int:
        """Returns 0, or 1 when the context has no stop words."""
        stopwords = ctx.get(params["stopwords_key"])
        if stopwords is None:
            print(f"nothing is set under {params['stopwords_key']}")
            return 1
        left_out = set(stopwords)
        words = Path(ctx.step.inputs[0]).read_text(encoding="utf-8").splitlines()
        counts = Counter(word for word in words if word not in left_out)
        lines = [
            f"{word}\t{count}\n"
            for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]
        Path(ctx.step.outputs[0]).write_text("".join(lines), encoding="utf-8")
        ctx.set(params["total_key"], counts.total())
        return 0


def report_words(ctx: Context, total_keys: str, top: int = 10) -> None:
    """Write the ``top`` words of every input (as CountWords makes them) into the first output.

    The total of ``counts/emma.tsv`` is read from the context, under ``total_keys`` and the file's stem.
    """
    lines = []
    for path in ctx.step.inputs:
        name = Path(path).stem
        lines.append(f"{name}: {ctx.get(total_keys + name)} words")
        rows = Path(path).read_text(encoding="utf-8").splitlines()[:top]
        lines += [f"  {count:>3}  {word}" for word, count in (row.split("\t") for row in rows)]
    Path(ctx.step.outputs[0]).write_text("\n".join([*lines, ""]), encoding="utf-8")
