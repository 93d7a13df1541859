"""What to say when a module or a name in it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterable

from f0make.code.find_module import Finder


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """``did you mean 'x'?``, or nothing."""
    from f0make.suggest import did_you_mean

    return did_you_mean(word, candidates)


def not_found(finder: Finder, module: str) -> tuple[str, str]:
    """(message, hint) for a module without source."""
    import sys

    if finder.locate(module):
        return (
            f"'{module}' is a directory without __init__.py, so it holds modules but is none",
            f"name a module in it: {module}.…",
        )
    if module in sys.builtin_module_names:
        return (
            f"the module '{module}' is built into Python and has no source",
            "write a function of your own that calls it",
        )
    parent, tail, places = _deepest(finder, module)
    looked = [place or finder.roots[0] for place in places]
    where = looked[0] if looked else ""
    if len(looked) > 1:
        where += f" and {len(looked) - 1} more {'directory' if len(looked) == 2 else 'directories'} of Python's search path"
    if not places:
        return f"there is no module '{module}'", f"{parent} is a module, not a package: it holds no '{tail}'"
    if parent:
        where = " and ".join(looked)
    near = suggestion(tail, sorted({name for place in looked for name in _modules(place)}))
    return f"there is no module '{module}'", "; ".join(
        part for part in (f"looked for {tail}.py and {tail}/ in {where}", near) if part
    )


def _deepest(finder: Finder, module: str) -> tuple[str, str, list[str]]:
    """(existing parent, first name that is not there, the directories it was looked for in)."""
    parts = module.split(".")
    for end in range(len(parts) - 1, 0, -1):
        parent = ".".join(parts[:end])
        located = finder.locate(parent)
        if located:
            return parent, parts[end], [directory for _, directory in located.portions]
    return "", parts[0], finder.roots


def _modules(directory: str) -> list[str]:
    """Names of the modules and packages right in ``directory``."""
    names = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name, dot, suffix = entry.name.partition(".")
                if (
                    name.isidentifier()
                    and not name.startswith("__")
                    and (suffix == "py" or (not dot and entry.is_dir()))
                ):
                    names.append(name)
    except OSError:
        return []
    return names
