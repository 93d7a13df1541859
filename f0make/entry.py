"""The way in: answers "nothing to do" from the snapshot, and hands everything else to the command line.

Only built-in modules and a few small ones of f0make's own are imported before that answer is given: this
is what a shell script that calls f0make in a loop pays for.
"""

from __future__ import annotations

import sys

SIGNALLED = 128
"""An exit code above this one says which signal ended the command."""


def main() -> int:
    """The console script `f0make`; returns the exit code."""
    if sys.getfilesystemencoding() != "utf-8":
        _start_anew_in_utf8()
    try:
        code = _main(sys.argv[1:])
    except KeyboardInterrupt:  # before or after the part that has its own answer to it
        code = SIGNALLED + 2
    finally:
        _end_offshoots()
    if code > SIGNALLED:
        _die_of(code - SIGNALLED)
    return code


def _start_anew_in_utf8() -> None:
    """Replace this process by one whose names and texts are UTF-8, other bytes kept, whatever the locale says.

    Recipes are UTF-8 and names are the bytes of the file system: in a Latin-1 locale one recipe would otherwise mean
    other files, under the same key. Steps keep their environment: only f0make's own interpreter is told. Returns
    where the interpreter cannot be found.
    """
    import os

    if sys.executable and not sys.flags.utf8_mode:
        try:
            os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
        except OSError:
            pass


def _die_of(number: int) -> None:
    """End by the signal ``number``, as a program does that did not catch it.

    A shell goes on with a loop whose command *exited* with 130, and ends one whose command was killed by SIGINT:
    https://www.cons.org/cracauer/sigint.html. Returns where the signal has no effect (process 1 of a container).
    """
    import os
    import signal

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


def _end_offshoots() -> None:
    offshoot = sys.modules.get("f0make.forked_task")
    if offshoot is not None:
        offshoot.end_all()


def _main(argv: list[str]) -> int:
    seen = None
    if argv[:1] == ["run"]:
        from f0make.noop import look

        found = look(argv)
        if found is True:
            return 0
        seen = found or None
    else:
        import gc

        gc.disable()  # what lives for a second needs no search for cycles, which takes a third of that
    if argv == ["--version"]:
        from f0make import __version__

        print(f"f0make {__version__}")
        return 0
    from f0make.cli.app import main as command_line

    code = command_line(argv, seen)
    _leave(code)
    return code


def _leave(code: int) -> None:
    """End without taking apart a graph of 100,000 objects piece by piece, unless another thread still runs."""
    import atexit
    import os
    import threading

    _end_offshoots()
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            return
    if code > SIGNALLED:
        _die_of(code - SIGNALLED)
    os._exit(code)
