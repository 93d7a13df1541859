"""`f0make schema`: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import json
from typing import Any

from f0make.options import RunOptions
from f0make.recipe.json_schema import recipe_schema


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print it."""
    print(json.dumps(recipe_schema(), indent=2, ensure_ascii=False))
    return 0
