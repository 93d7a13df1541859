"""The tables of the documentation that are made from f0make's own: `python -m tests.support.doc_tables` writes them anew.

A page holds one between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from f0make.command_table import BEFORE_VERB, OPTIONS, VERBS
from f0make.recipe.keys import NEVER, STEP_KEYS
from f0make.recipe.kinds import Kind, OneOf, Scalar
from f0make.recipe.top_keys import RECIPE_KEYS
from tests.support.paths import PROJECT

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.S)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell or ' ' for cell in row)} |\n" for row in lines)


def linked(name: str, section: str) -> str:
    """A key as a link to where the page says more of it."""
    return f"[`{name}`](#{section})"


def valued(kind: Kind, value: str) -> str:
    """What a key takes, in words."""
    return value or (kind.expected if isinstance(kind, (Scalar, OneOf)) else "map")


def steps() -> str:
    """The keys of a step."""
    return table(
        ("key", "value", "without it", "templates", "in the key", ""),
        [
            (
                linked(name, key.section),
                valued(key.kind, key.value),
                key.otherwise,
                "" if key.render == NEVER else "yes",
                "yes" if key.part else "",
                key.doc,
            )
            for name, key in STEP_KEYS.items()
        ],
    )


def recipe() -> str:
    """The keys of a recipe's top level."""
    return table(
        ("key", "value", ""),
        [
            (linked("steps", "a-first-recipe"), "list of steps", "required, at least one"),
            *(
                (linked(name, key.section), valued(key.kind, key.value), key.doc)
                for name, key in RECIPE_KEYS.items()
            ),
        ],
    )


def options() -> str:
    """The options of the command line."""
    return table(
        ("option", "default", "verbs", ""),
        [
            (
                ", ".join(
                    f"`{flag} {option.metavar}`" if option.metavar else f"`{flag}`" for flag in option.flags
                ),
                f"`{option.default}`" if isinstance(option.default, str) else "",
                _verbs(option.field),
                option.help.rstrip("."),
            )
            for option in OPTIONS.values()
        ],
    ).replace("DIR|URL", "DIR\\|URL")


def _verbs(field: str) -> str:
    if field in BEFORE_VERB:
        return "all, and before the verb"
    return ", ".join(
        verb.name for verb in VERBS.values() if field in {option.field for option in verb.options}
    )


TABLES: dict[str, Callable[[], str]] = {"options": options, "recipe": recipe, "steps": steps}


def with_tables(page: str) -> str:
    """``page`` with its tables made anew."""
    return _PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def tables_of(page: str) -> list[str]:
    """The names of the tables that ``page`` holds."""
    return [found[2] for found in _PLACE.finditer(page)]


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted((PROJECT / "docs").rglob("*.md"))


def main() -> None:
    """Write the tables of all pages anew."""
    for path in pages():
        before = path.read_text(encoding="utf-8")
        after = with_tables(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(PROJECT)}: {', '.join(tables_of(after))}")


if __name__ == "__main__":
    main()
