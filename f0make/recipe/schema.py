"""The recipe language's schema, made of the table of keys. docs/recipes.md describes the same for people."""

from __future__ import annotations

from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.kinds import Fields, Many, Tree
from f0make.recipe.top_keys import RECIPE_KEYS, SHARED
from f0make.recipe.value_kinds import OUTPUT, SUCCESS

SCHEMA_VERSION = 3
"""Part of every digest of a validated step: goes up when the meaning of the same text changes."""

STEP = Fields(
    "a step",
    {name: key.kind for name, key in STEP_KEYS.items()},
    required=("name",),
    aliases={
        "cmd": "run",
        "command": "run",
        "script": "run",
        "input": "inputs",
        "output": "outputs",
        "deps": "inputs",
        "needs": "depends_on",
        "requires": "depends_on",
        "environment": "env",
        "params": "args",
        "parameters": "args",
        "matrix": "foreach",
        "if": "when",
        "cpu": "resources",
        "mem": "resources",
        "memory": "resources",
    },
    elsewhere={
        key: f"`{key}` is a key of the whole recipe"
        for key in [*RECIPE_KEYS, "steps"]
        if key not in STEP_KEYS
    }
    | {key: f"`{key}` is a key of an output" for key in OUTPUT.fields if key != "path"}
    | {key: f"`{key}` is a key of `success`" for key in SUCCESS.fields},
)

HEAD = Fields(
    "a recipe",
    {name: key.kind for name, key in RECIPE_KEYS.items()},
    aliases={"name": "recipe", "includes": "include", "vars": "config", "environment": "env"},
)
"""Every top-level key but `steps`, which are read one by one."""

OUTER = Fields(
    "a recipe",
    {**HEAD.fields, "steps": Tree()},
    aliases=HEAD.aliases,
    elsewhere=dict.fromkeys(STEP.fields, "that is a key of a step")
    | dict.fromkeys(SHARED, "write it in a step, or under `defaults` for all"),
)
"""The text of a recipe with its steps cut out."""

RECIPE = Fields("a recipe", {**HEAD.fields, "steps": Many(STEP)}, aliases=HEAD.aliases)
