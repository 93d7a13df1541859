"""`config` with what the command line says over it: `--config FILE`, then `--set a.b=v`."""

from __future__ import annotations

from collections.abc import Sequence

from f0make.errors import Problem, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """``high`` over ``low``: maps key by key, anything else as a whole. Neither is changed."""
    result = dict(low)
    for key, value in high.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def set_values(config: dict[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """``config`` with every `a.b=v` of ``sets`` carried out, the later over the earlier.

    A key that is not there yet is added, with the maps that lead to it.

    Raises:
        UsageError: the text is not of this form, leads through a text, or would replace a map.
    """
    for text in sets:
        config = _set(config, text)
    return config


def _set(config: dict[str, Any], text: str) -> dict[str, Any]:
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {text}: expected KEY=VALUE, such as --set a.b=3")
    result = dict(config)
    inner = result
    for n, key in enumerate(keys[:-1]):
        below = inner.get(key, {})
        if not isinstance(below, dict):
            kind = "a list" if isinstance(below, list) else "text"
            raise UsageError(f"--set {text}: config.{'.'.join(keys[: n + 1])} is {kind}, not a map")
        inner[key] = dict(below)
        inner = inner[key]
    if isinstance(inner.get(keys[-1]), dict):
        raise UsageError(
            f"--set {text}: config.{path.strip()} is a map; set one of its keys ({', '.join(inner[keys[-1]])})"
        )
    inner[keys[-1]] = value
    return result


def read_config(path: str, shown: str, problems: list[Problem]) -> dict[str, Any]:
    """The map in a `--config` file; what is wrong with it goes to ``problems``."""
    from f0make.recipe.finding import Finding
    from f0make.recipe.kinds import Mapped, Tree
    from f0make.recipe.read_source import UnreadableError, as_problem, read_text
    from f0make.recipe.strictyaml_schema import refusal
    from f0make.recipe.yaml_node import Entries, plain
    from f0make.recipe.yaml_reader import read

    try:
        text = read_text(path, shown)
    except UnreadableError as error:
        problems.append(error.problem)
        return {}
    findings: list[Finding] = []
    node = read(text, findings)
    if not findings and not isinstance(node, Entries):
        findings.append(Finding(1, 1, "expected a map of config keys"))
    if not findings:
        said = refusal(text, Mapped(Tree()))
        findings = [said] if said else []
    problems += [as_problem(finding, shown) for finding in findings]
    values: dict[str, Any] = plain(node) if node is not None and not findings else {}
    return values
