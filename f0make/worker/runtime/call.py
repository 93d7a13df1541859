"""Calling the function or class of a python step, and saying what came of it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.code.rebuild import rebuild
    from f0make.worker.runtime import channel, ending, imports, tracing
else:
    from _f0make import channel, ending, imports, tracing
    from _f0make.rebuild import rebuild


FUNCTION = type(lambda: None)


class StepError(Exception):
    """The step is wrong in a way that needs no traceback; the text is its message."""


def run(request: dict[str, Any]) -> None:
    """Run the step that ``request`` describes (see `worker.python_step`). Raises nothing, whatever the step does."""
    _set_environ(request["environ"])
    imports.enter(request["workspace"])
    from f0make.context import Context, Paths, StepView

    step = StepView(
        request["step"],
        Paths(request["inputs"], request["named_inputs"]),
        Paths(request["outputs"], request["named_outputs"]),
        request["resources"],
        request["attempt"],
        request["instance"],
        request["extra"],
    )
    ctx = Context(request["context"], foreign=request["foreign_keys"], step=step)
    report = ending.Report(ctx)
    report.said["python"] = "{}.{}".format(*sys.version_info)
    tracing.start(noting=True)
    me = os.getpid()
    try:
        _judged(request, ctx, report)
    finally:
        if os.getpid() != me:
            # A child that the step forked came back here; it must not go on as a second step.
            flush(sys.stdout, sys.stderr)
            os._exit(1)
    ending.returned()


def _judged(request: dict[str, Any], ctx: Any, report: Any) -> None:
    said = report.said
    try:
        said["returned"] = _code(_call(request, ctx))
    except StepError as error:
        print(f"f0make: {error}", file=sys.stderr)
        said["error"] = str(error)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            said["exited"] = int(error.code or 0) & 0xFF
        else:
            print(error.code, file=sys.stderr)
            said["exited"] = 1
    except BaseException as error:
        if isinstance(error, OSError) and isinstance(error.errno, int):
            said["errno"] = error.errno
        said["error"] = _told(error)


def _call(request: dict[str, Any], ctx: Any) -> Any:
    found = _find(request["module"], request["function"])
    args = {name: rebuild(value) for name, value in request["args"].items()}
    if not isinstance(found, type):
        if not callable(found):
            raise StepError(
                f"{request['module']}.{request['function']} is no function and no class, but {found!r:.80}"
            )
        if "ctx" not in args and _takes_ctx(found):
            args["ctx"] = ctx
        return found(**args)
    from scriptlets.core.base import BaseScriptlet

    if not issubclass(found, BaseScriptlet):
        raise StepError(
            f"class {request['function']} of {request['module']} is not derived from BaseScriptlet "
            "(from scriptlets.core.base import BaseScriptlet)"
        )
    params = {**_defaults(found), **args}
    scriptlet = found()
    scriptlet.validate(ctx, params)
    return scriptlet.run(ctx, params)


def _find(module: str, function: str) -> Any:
    if not module or not function:
        raise StepError("the step names no module and function")
    __import__(module)
    loaded = sys.modules[module]
    try:
        return getattr(loaded, function)
    except AttributeError:
        where = getattr(loaded, "__file__", None) or module
        raise StepError(f"module {module} ({where}) has no {function}") from None


def _takes_ctx(function: Any) -> bool:
    if isinstance(function, FUNCTION) and not function.__dict__:
        code = function.__code__  # what `inspect.signature` would come to
        named = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
        return "ctx" in named
    import inspect

    try:
        parameter = inspect.signature(function).parameters.get("ctx")
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def _defaults(scriptlet: type) -> dict[str, Any]:
    """Defaults of the nested ``class Params``, its bases included."""
    params = getattr(scriptlet, "Params", None)
    if not isinstance(params, type):
        return {}
    from copy import deepcopy

    found = {}
    for base in reversed(params.__mro__):
        names = getattr(base, "__annotations__", {}) if base is not object else {}
        for name in names:
            if hasattr(params, name):
                found[name] = deepcopy(getattr(params, name))
    return found


def _code(result: Any) -> int:
    if result is None:
        return 0
    if isinstance(result, int) and not isinstance(result, bool):
        return int(result)
    kind = type(result).__name__
    if hasattr(result, "close") and hasattr(result, "send"):
        result.close()
        raise StepError(f"it returned a {kind}: a step must be a plain function, not async and without yield")
    raise StepError(
        f"it returned {result!r:.80} ({kind}): a step must return None, or a number, 0 for success"
    )


def _told(error: BaseException) -> str:
    """Write the traceback, from the step's own code on, to the log; one line for the message."""
    shown = error.__traceback__
    while shown is not None:
        name = shown.tb_frame.f_code.co_filename
        if not name.startswith((imports.HERE + os.sep, "<frozen importlib")):
            break
        shown = shown.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(shown), shown)
        text = str(error)
    except BaseException:  # also what a hook or `__str__` of the step's raises so as to leave
        text = ""
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        text = f"{error.msg} ({error.filename}, line {error.lineno})"
    lines = text.splitlines()
    return f"{kind}: {lines[0]}" if lines else kind


def flush(*streams: Any) -> None:
    """Flush what can be flushed of ``streams``."""
    for stream in streams:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


def _set_environ(changes: dict[str, Any]) -> None:
    """``changes``: variable -> value, None for one that is not there."""
    for name, value in changes.items():
        if value is not None:
            os.environ[name] = value
        elif name in os.environ:
            del os.environ[name]


__all__ = ["channel", "flush", "run"]
