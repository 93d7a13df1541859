"""A self-contained HTML page of tables and charts."""

from __future__ import annotations

import csv
from html import escape
from typing import Any

from f0make.context import Context
from scriptlets.core.base import BaseScriptlet

STYLE = """
body { font-family: sans-serif; margin: 2rem auto; max-width: 60rem; color: #222222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #dddddd; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


class HtmlPage(BaseScriptlet):
    """Put the CSV files of input ``tables`` and the SVG files of input ``charts`` into output ``page``."""

    class Params:
        title: str
        note: str = ""
        note_key: str = ""
        """Key in the context whose value is shown after ``note``."""

    def run(self, ctx: Context, params: dict[str, Any]) -> int:
        """Returns 0."""
        inputs = ctx.step.inputs
        title = escape(params["title"])
        parts = [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head><body>',
            f"<h1>{title}</h1>",
        ]
        if params.get("note"):
            value = ctx.get(params["note_key"]) if params.get("note_key") else None
            parts.append(
                f"<p>{escape(params['note'])}"
                + (f": {escape(str(value))}" if value is not None else "")
                + "</p>"
            )
        for path in inputs["charts"]:
            with open(path, encoding="utf-8") as file:
                parts.append(f"<figure>{file.read()}</figure>")
        for path in inputs["tables"]:
            with open(path, encoding="utf-8", newline="") as file:
                parts.append(table(list(csv.reader(file))))
        with open(ctx.step.outputs["page"], "w", encoding="utf-8") as file:
            file.write("\n".join([*parts, "</body></html>", ""]))
        return 0


def table(rows: list[list[str]]) -> str:
    """Rows, the heading first, as an HTML table."""
    heading = "".join(f"<th>{escape(name)}</th>" for name in rows[0]) if rows else ""
    body = ["<tr>" + "".join(cell(text) for text in row) + "</tr>" for row in rows[1:]]
    return "\n".join([f"<table><thead><tr>{heading}</tr></thead><tbody>", *body, "</tbody></table>"])


def cell(text: str) -> str:
    """One value; numbers are set apart so that they line up."""
    try:
        float(text)
    except ValueError:
        return f"<td>{escape(text)}</td>"
    return f'<td class="number">{escape(text)}</td>'
