"""How a step's process ends: as a Python program does, with a word to the worker of what keeps it from ending."""

from __future__ import annotations

import atexit
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from f0make.worker.runtime import channel
else:
    from _f0make import channel


_C_HANDLERS = ("_ctypes", "_cffi_backend", "readline", "_tkinter", "_curses")
"""Modules that may have loaded something that wants to be told of the end by C's `exit`."""


class Report:
    """What the step came to; it goes to the worker when nothing of the step's can add to it any more."""

    def __init__(self, ctx: Any) -> None:
        self.said: dict[str, Any] = {}
        self._ctx = ctx
        self._pid = os.getpid()
        atexit.register(self.send)  # The first that is registered is called last.

    def send(self) -> None:
        """Send it, from the process of the step itself."""
        if os.getpid() != self._pid:
            return
        ctx = self._ctx
        more = {
            "reads": ctx.reads,
            "missing_reads": ctx.missing_reads,
            "writes": ctx.writes,
        }
        _flush_files()
        tracing = sys.modules["_f0make.tracing"].__dict__
        try:
            tracing["tell_absent"]()
            channel.say(channel.REPORT, {**self.said, **more})
        except OSError:
            pass  # The step has closed it: the worker says so.


def returned() -> None:
    """The function of the step has returned: from now on this process has only so long to end."""
    try:
        channel.say(channel.RETURNED, None)
    except OSError:
        pass


def finish(patience: float) -> None:
    """Bring the process to its end within ``patience`` seconds; may come back, for Python to do the rest."""
    if _is_anything_left():
        import _thread

        _thread.start_new_thread(_watch, (max(0.1, patience - 0.2),))
    if _is_plain():
        _end()


def _is_anything_left() -> bool:
    threading = sys.modules.get("threading")
    if atexit._ncallbacks() > 1:
        return True
    return threading is not None and len(_threads(threading)) > 0


def _threads(threading: Any) -> list[Any]:
    """The threads that Python waits for."""
    main = threading.main_thread()
    found = [t for t in threading.enumerate() if not t.daemon and t is not main]
    return [t for t in found if t.is_alive()]


def _watch(seconds: float) -> None:
    import time

    time.sleep(seconds)
    main = sys._current_frames().get(_main_thread())
    try:
        what = _stuck(main)
        channel.say(channel.STUCK, what)
        sys.stderr.write(f"f0make: {what} does not end; the step had returned\n")
        sys.stderr.flush()
    except Exception:
        channel.say(channel.STUCK, "something")


def _main_thread() -> int:
    threading = sys.modules.get("threading")
    return threading.main_thread().ident if threading is not None else _main


def _stuck(frame: Any) -> str:
    """What the main thread, which is in ``frame``, waits for."""
    files = []
    first = None
    while frame is not None:
        files.append((frame.f_code.co_filename, frame.f_code.co_name))
        if not files[-1][0].startswith(os.path.dirname(os.path.abspath(__file__))):
            first = frame
        frame = frame.f_back
    threading = sys.modules.get("threading")
    if threading is not None and (threading.__file__, "_shutdown") in files:
        names = ", ".join(repr(thread.name) for thread in _threads(threading)[:3])
        return f"its thread {names}"
    util = sys.modules.get("multiprocessing.util")
    if util is not None and (util.__file__, "_exit_function") in files:
        children = sys.modules["multiprocessing.process"].active_children()
        if children:
            names = ", ".join(f"{child.name!r} (pid {child.pid})" for child in children[:3])
            return f"its child process {names}"
    if first is None:
        return "an atexit handler of it"
    code = first.f_code
    name = getattr(code, "co_qualname", code.co_name)
    return f"its atexit handler {name!r} ({code.co_filename}, line {code.co_firstlineno})"


def _is_plain() -> bool:
    """Whether all of the step is Python: what C libraries do at the end is done only by a real one."""
    return _plain_before and _are_plain(_new_modules())


def _are_plain(names: Iterable[str]) -> bool:
    own = os.path.dirname(os.path.abspath(os.__file__))
    extension = sys.modules["_frozen_importlib_external"].ExtensionFileLoader
    for name in names:
        if name in _C_HANDLERS:
            return False
        loader = getattr(getattr(sys.modules[name], "__spec__", None), "loader", None)
        if isinstance(loader, extension) and not loader.path.startswith(own):
            return False
    return True


def _new_modules() -> list[str]:
    """Names of modules that the step has loaded, the oldest first.

    What is looked at here is copied, page by page, from the warm interpreter, so it looks at no more than it must.
    """
    found = []
    try:
        for name in reversed(sys.modules):
            if name == _last_before:
                break
            if name not in _before:
                found.append(name)
    except RuntimeError:  # A thread that nobody waits for imports something.
        return [name for name in list(sys.modules) if name not in _before]
    return found[::-1]


def _end() -> None:
    """End as Python does, but without taking the interpreter itself to pieces, which costs more than a small step.

    Threads are joined, handlers called, streams and files flushed, the step's modules and objects dropped.
    """
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    code = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:
            code = 120  # as Python itself
    try:
        _drop_modules()
        _flush_files()
    finally:
        os._exit(code)


def _drop_modules() -> None:
    from _weakref import ref

    names = _new_modules()
    modules = [sys.modules.pop(name) for name in names]
    mine = [ref(module) for module in modules if isinstance(module, type(sys))]
    del modules
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        sys.__dict__.pop(name, None)
    gc.collect()
    while mine:
        module = mine.pop()()
        values = module.__dict__ if module is not None else {}
        for private in (True, False):  # in the order of Python itself
            for name in list(values):
                if name != "__builtins__" and (name[:1] == "_") == private:
                    values[name] = None
        del module, values
    gc.collect()


def _flush_files() -> None:
    """Flush every file that is open: closed with a whole cycle of garbage, some would lose what was written last."""
    import _io

    files = []
    for found in gc.get_objects():
        try:
            if isinstance(found, (_io.TextIOWrapper, _io._BufferedIOBase)):
                files.append(found)
        except Exception:
            continue
    for texts in (True, False):
        for file in files:
            try:
                if isinstance(file, _io.TextIOWrapper) == texts and not file.closed:
                    file.flush()
            except Exception:
                continue


_main = 0
_before: frozenset[str] = frozenset()
_last_before = ""
_plain_before = True


def remember() -> None:
    """Note what is there before the step; to be called in its main thread, or that of the process that forks it."""
    global _main, _before, _last_before, _plain_before
    import _thread

    _main = _thread.get_ident()
    _before = frozenset(sys.modules)
    _last_before = next(reversed(sys.modules))
    _plain_before = _are_plain(_before)
