"""Python steps, run inside the worker: find the code, call it, and put back whatever it changed."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType

from f0make.execution.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from f0make.context import Context

# `_signal` answers without making an enum of each answer.
_SIGNALS = sorted(map(int, signal.valid_signals()))


class Interrupted(BaseException):
    """The worker was asked to end while a python step was running in it."""


class StepError(Exception):
    """The step is wrong in a way that needs no traceback; the text is the outcome's message."""


class _State:
    running = False


_state = _State()


def on_term(signum: int, frame: object) -> None:
    """The worker's handler of SIGTERM: only a python step is ended by it, and may clean up."""
    if _state.running:
        raise Interrupted


def interruptible(running: bool) -> None:
    """Whether SIGTERM is meant for a step now."""
    _state.running = running


def run(bundle: Bundle, outcome: Outcome, environ: dict[bytes, bytes], output: int) -> None:
    """Run the python step of ``bundle`` and note in ``outcome`` how it went.

    What it prints, from python or from C, goes to the descriptor ``output``. The current directory,
    environment, `sys.path`, signal handlers, umask and standard streams are as before when this returns.
    """
    from f0make.context import Context, Paths, StepView

    step = StepView(
        bundle.step,
        Paths(bundle.inputs, bundle.named_inputs),
        Paths([path for path, _ in bundle.outputs], bundle.named_outputs),
        bundle.resources,
        bundle.attempt,
        bundle.instance,
    )
    ctx = Context(bundle.context, foreign=bundle.foreign_keys, step=step)
    with _streams(output), _surroundings(bundle.workspace, environ):
        outcome.message = _guarded(bundle, ctx, outcome)
    outcome.ok = not outcome.message
    outcome.reads, outcome.missing_reads, outcome.writes = ctx.reads, ctx.missing_reads, ctx.writes


def _guarded(bundle: Bundle, ctx: Context, outcome: Outcome) -> str:
    """Run the step; why it failed, empty on success."""
    me = os.getpid()
    try:
        return _judged(bundle, ctx, outcome)
    finally:
        _state.running = False
        if os.getpid() != me:
            # A child that the step forked came back here; it must not go on as a second worker.
            _flush(sys.stdout, sys.stderr)
            os._exit(1)


def _judged(bundle: Bundle, ctx: Context, outcome: Outcome) -> str:
    from f0make.execution.modules import workspace_first

    try:
        _state.running = True
        with workspace_first(bundle.workspace):
            code = _code(_call(bundle, ctx))
        if code not in bundle.exit_codes:
            outcome.exit_code = code
            return f"returned {code}"
    except StepError as error:
        print(f"f0make: {error}", file=sys.stderr)
        return str(error)
    except SystemExit as error:
        return _exited(error, bundle, outcome)
    except Interrupted:
        outcome.signal = signal.SIGTERM
        return "killed by SIGTERM"
    except BaseException as error:
        outcome.disk_full = isinstance(error, OSError) and _no_room(error)
        return _told(error)
    outcome.exit_code = code
    return ""


def _call(bundle: Bundle, ctx: Context) -> Any:
    from f0make.code.rebuild import rebuild

    found = _find(bundle)
    if not isinstance(found, type):
        if not callable(found):
            raise StepError(
                f"{bundle.module}.{bundle.function} is no function and no class, but {found!r:.80}"
            )
        args = {name: rebuild(value) for name, value in bundle.args.items()}
        if "ctx" not in args and _takes_ctx(found):
            args["ctx"] = ctx
        return found(**args)
    from scriptlets.core.base import BaseScriptlet

    if not issubclass(found, BaseScriptlet):
        raise StepError(
            f"class {bundle.function} of {bundle.module} is not derived from BaseScriptlet "
            "(from scriptlets.core.base import BaseScriptlet)"
        )
    params = _defaults(found) | {name: rebuild(value) for name, value in bundle.args.items()}
    scriptlet = found()
    scriptlet.validate(ctx, params)
    return scriptlet.run(ctx, params)


def _find(bundle: Bundle) -> Any:
    from importlib import import_module

    if not bundle.module or not bundle.function:
        raise StepError("the step names no module and function")
    module = import_module(bundle.module)
    try:
        return getattr(module, bundle.function)
    except AttributeError:
        where = getattr(module, "__file__", None) or bundle.module
        raise StepError(f"module {bundle.module} ({where}) has no {bundle.function}") from None


def _takes_ctx(function: Callable[..., Any]) -> bool:
    if isinstance(function, FunctionType) and not function.__dict__:
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
    from copy import deepcopy

    params = getattr(scriptlet, "Params", None)
    if not isinstance(params, type):
        return {}
    found: dict[str, Any] = {}
    for base in reversed(params.__mro__):
        for name in vars(base).get("__annotations__", {}):
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


def _exited(error: SystemExit, bundle: Bundle, outcome: Outcome) -> str:
    if error.code is None or isinstance(error.code, int):
        outcome.exit_code = int(error.code or 0) & 0xFF
    else:
        print(error.code, file=sys.stderr)
        outcome.exit_code = 1
    return "" if outcome.exit_code in bundle.exit_codes else f"exit code {outcome.exit_code}"


def _told(error: BaseException) -> str:
    """Write the traceback, from the step's own code on, to the log; one line for the message."""
    import traceback

    try:
        shown = _own_frames(error.__traceback__)
        traceback.print_exception(type(error), error, shown)
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
    except Exception:
        text = type(error).__name__
    if isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    module, _, rest = text.partition(": ")
    lines = (module.rpartition(".")[2] + (": " + rest if rest else "")).splitlines()
    return lines[0] if lines else type(error).__name__


def _own_frames(tb: TracebackType | None) -> TracebackType | None:
    here = os.path.dirname(os.path.abspath(__file__)) + os.sep
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not name.startswith((here, "<frozen importlib")) and "importlib" not in name:
            break
        tb = tb.tb_next
    return tb


def _no_room(error: OSError) -> bool:
    from f0make.errors import NO_ROOM

    return error.errno in NO_ROOM


@contextmanager
def _streams(output: int) -> Iterator[None]:
    """Send descriptors 1 and 2, and python's own streams, to ``output``."""
    streams = sys.stdin, sys.stdout, sys.stderr
    _flush(*streams[1:])
    saved = [os.dup(fd) for fd in (0, 1, 2)]
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        yield
    finally:
        _flush(sys.stdout, sys.stderr, *streams[1:])
        sys.stdin, sys.stdout, sys.stderr = streams
        for fd, copy in enumerate(saved):
            os.dup2(copy, fd)
            os.close(copy)


def _flush(*streams: Any) -> None:
    for stream in streams:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


@contextmanager
def _surroundings(workspace: str, environ: dict[bytes, bytes]) -> Iterator[None]:
    """The step's environment; afterwards everything of the process that it may have changed is put back."""
    before = dict(_environ())
    argv = list(sys.argv)
    umask = os.umask(0)
    os.umask(umask)
    handlers = {s: _signal.getsignal(s) for s in _SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if before != environ:
        _set_environ(environ)
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            if handler is not None and _signal.getsignal(signum) is not handler:
                try:
                    signal.signal(signum, handler)
                except (OSError, ValueError):
                    continue
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.umask(umask)
        sys.argv[:] = argv
        if _environ() != before:
            _set_environ(before)
        os.chdir(workspace)


def _environ() -> dict[bytes, bytes]:
    """`os.environb` as the dict that it wraps: copied and compared a hundred times faster."""
    found: dict[bytes, bytes] = getattr(os.environb, "_data", None) or dict(os.environb)
    return found


def _set_environ(environ: dict[bytes, bytes]) -> None:
    for name in [n for n in os.environb if n not in environ]:
        del os.environb[name]
    for name, value in environ.items():
        if os.environb.get(name) != value:
            os.environb[name] = value
