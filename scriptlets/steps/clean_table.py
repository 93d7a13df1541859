"""Keep the complete rows of a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from f0make.context import Context
from scriptlets.core.base import BaseScriptlet


class CleanTable(BaseScriptlet):
    """Write the rows of input ``table`` that have a value in every required column to output ``table``.

    Sets ``clean.kept`` and ``clean.dropped``, numbers of rows.
    """

    class Params:
        required: list[str]
        """Names of columns."""
        missing: list[str] = ["", "NA", "N/A", "nan", "null"]
        """Texts that stand for no value."""

    def run(self, ctx: Context, params: dict[str, Any]) -> int:
        """Returns 0. Raises ValueError when a required column is not in the table."""
        required: Sequence[str] = params["required"]
        missing = set(params.get("missing", self.Params.missing))
        kept = dropped = 0
        with (
            open(ctx.step.inputs["table"], encoding="utf-8", newline="") as source,
            open(ctx.step.outputs["table"], "w", encoding="utf-8", newline="") as target,
        ):
            rows = csv.DictReader(source)
            columns = rows.fieldnames or []
            absent = [name for name in required if name not in columns]
            if absent:
                raise ValueError(f"the table has no column {', '.join(absent)}; it has {', '.join(columns)}")
            writer = csv.DictWriter(target, columns, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                if any((row[name] or "").strip() in missing for name in required):
                    dropped += 1
                else:
                    writer.writerow(row)
                    kept += 1
        print(f"kept {kept} rows, dropped {dropped}")
        ctx.set("clean.kept", kept)
        ctx.set("clean.dropped", dropped)
        return 0
