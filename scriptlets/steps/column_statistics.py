"""Statistics of the columns of a CSV table."""

from __future__ import annotations

import csv
import statistics

from f0make.context import Context

HEADING = ["measure", "n", "mean", "sd", "min", "median", "max"]


def column_statistics(ctx: Context, columns: list[str], where: dict[str, str], digits: int = 3) -> None:
    """Describe ``columns`` of the first input, over the rows whose values are as ``where`` says, in the first output.

    Numbers are rounded to ``digits`` decimal places. Raises ValueError when no row is left, or for a value that
    is no number.
    """
    with open(ctx.step.inputs[0], encoding="utf-8", newline="") as source:
        rows = [
            row for row in csv.DictReader(source) if all(row[name] == value for name, value in where.items())
        ]
    if not rows:
        raise ValueError(f"no row has {where}")
    with open(ctx.step.outputs[0], "w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow([*where, *HEADING])
        for column in columns:
            values = [float(row[column]) for row in rows]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            numbers = [
                statistics.fmean(values),
                deviation,
                min(values),
                statistics.median(values),
                max(values),
            ]
            described = [f"{number:.{digits}f}" for number in numbers]
            writer.writerow([*where.values(), column, len(values), *described])
