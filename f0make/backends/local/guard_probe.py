"""Whether this system can watch steps: tried out, not guessed."""

from __future__ import annotations

import os
import tempfile

from f0make.worker.guard import seccomp, start_watched
from f0make.worker.guard.access_rules import Rules
from f0make.worker.guard.supervisor import Stray, Supervisor


def obstacle() -> str | None:
    """Why steps cannot be watched here; None when they can."""
    known = seccomp.machine()
    if known is None:
        system = os.uname()
        return f"it needs Linux on x86_64 or aarch64, and this is {system.sysname} on {system.machine}"
    with tempfile.TemporaryDirectory(prefix="f0make-probe-") as directory:
        path = os.path.realpath(os.path.join(directory, "probe"))
        with open(path, "wb"):
            pass

        def try_to_read() -> bytes:
            try:
                os.close(os.open(path, os.O_RDONLY))
                return b"read"
            except PermissionError:
                return b"refused"

        try:
            pid, listener, line = start_watched.call(try_to_read, known)
        except OSError as error:
            return f"the kernel refuses to watch processes (seccomp user notification, Linux 5.5): {error.strerror}"
        supervisor = Supervisor(listener, known, Rules("/nowhere/"), forbid=True)
        try:
            said = start_watched.result(line)
        except OSError as error:
            said = str(error).encode()
        finally:
            os.waitpid(pid, 0)
            supervisor.close()
    if said == b"refused" and list(supervisor.strays) == [Stray(path, False)]:
        return None
    return "what a watched process does cannot be seen (ptrace may be restricted: /proc/sys/kernel/yama/ptrace_scope)"
