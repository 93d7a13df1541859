"""What the schema cannot say about one step, looking at nothing but the step."""

from __future__ import annotations

from f0make.model import TEMPLATE_OPEN
from f0make.recipe.check_foreach import check_foreach
from f0make.recipe.output_paths import normal, output_fault
from f0make.recipe.validate import Checker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_step(values: dict[str, Any], fields: dict[str, Any], checker: Checker) -> None:
    """Report to ``checker`` what is wrong with a step.

    ``values`` are the keys as conformed, ``fields`` what `build_fields` made of them.
    """
    _check_type(values, fields, checker)
    _check_outputs(values, fields, checker)
    _check_success(values, fields, checker)
    check_foreach(values, fields, checker)
    name = fields["name"]
    for n, needed in enumerate(fields.get("depends_on", ())):
        if needed == name:
            key = f"depends_on[{n}]" if isinstance(values["depends_on"], list) else "depends_on"
            checker.at(key, "a step cannot depend on itself")


def _check_type(values: dict[str, Any], fields: dict[str, Any], checker: Checker) -> None:
    said = values.get("type")
    if "run" in checker.marks and "module" in checker.marks:
        checker.at(
            "module", "a step has either `run` or `module`, and this one has both", "make two steps of it"
        )
        return
    if said == "shell" and "run" not in checker.marks:
        hint = "for `module`, write `type: python`" if "module" in checker.marks else ""
        checker.at("type", "a shell step needs `run`", hint)
    elif said == "python" and "module" not in checker.marks:
        hint = "for `run`, write `type: shell`" if "run" in checker.marks else ""
        checker.at("type", "a python step needs `module`", hint)
    if "module" in checker.marks:
        if "function" not in checker.marks:
            checker.at(
                "module",
                "a python step needs `function` too",
                "the name of a function or class in the module",
            )
        return
    python = [key for key in ("function", "args") if key in checker.marks]
    for key in python:
        if said != "python":
            checker.at(key, f"`{key}` is for a python step, and this one has no `module`")
    if said is None and not python and "run" not in checker.marks:
        _check_gather(checker)


def _check_gather(checker: Checker) -> None:
    if "outputs" in checker.marks:
        checker.at(
            "outputs",
            "a step with neither `run` nor `module` may have no outputs",
            "say how to make them with `run`",
        )
    if "depfile" in checker.marks:
        checker.at("depfile", "a step with neither `run` nor `module` writes no depfile")


def _check_outputs(values: dict[str, Any], fields: dict[str, Any], checker: Checker) -> None:
    outputs = values.get("outputs")
    if isinstance(outputs, dict) and "path" in outputs and ("temp" in outputs or "protected" in outputs):
        checker.at(
            "outputs",
            "a map under `outputs` is names and paths; `path` with `temp` or `protected` stands in a list or under a name",
            "begin with `- path: …`",
        )
        return
    seen: dict[str, str] = {}
    for text, key, _, _, temp, protected, _ in fields.get("outputs", ()):
        if not text:
            continue  # reported by the schema
        if temp is True and protected is True:
            checker.at(key, "an output cannot be both temp and protected")
        if TEMPLATE_OPEN in text:
            plain = text
        else:
            fault = output_fault(text)
            if fault:
                name = fields["name"]
                checker.at(key, fault, f"{text!r} of step {name!r}" if name else repr(text))
                continue
            plain = normal(text)
        if plain in seen:
            checker.at(key, f"{text!r} is declared twice", f"first as `{seen[plain]}`")
        seen.setdefault(plain, key)
    depfile = values.get("depfile")
    if isinstance(depfile, str) and normal(depfile) in seen:
        checker.at("depfile", "the depfile is removed once read, so it cannot be an output too")


def _check_success(values: dict[str, Any], fields: dict[str, Any], checker: Checker) -> None:
    success = values.get("success")
    if not success:
        return
    if success.get("not_empty") is True and "outputs" not in checker.marks:
        checker.at("success.not_empty", "the step has no outputs that could be empty")
    codes = success.get("exit_codes")
    if isinstance(codes, list) and len(set(codes)) < len(codes):
        checker.at("success.exit_codes", "an exit code stands here twice")
