"""`f0make hosts check`: say of each host what a run there would meet, and how to mend what is wrong."""

from __future__ import annotations

import json
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from f0make.backends.ssh.host import Host, Patience, patience_of
from f0make.cli.streams import shown
from f0make.errors import Exit, UsageError
from f0make.options import RunOptions

if TYPE_CHECKING:
    from f0make.backends.ssh.staging_store import Transit

LOW = 100_000_000
"""Bytes; a host with less room cannot be relied on: a run may try it, and is likely to end with a full disk there."""


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Connect to every host at one time; a line for each. 5 when one cannot be used."""
    from f0make.backends.ssh.hosts_file import all_hosts
    from f0make.backends.ssh.staging_store import Transit

    if not options.host and not options.hosts:
        raise UsageError("hosts check: name hosts with --hosts FILE or --host [user@]address[:port]")
    hosts, patience = all_hosts(options.hosts, options.host), patience_of(options)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="f0make-") as directory:
        threads = [
            threading.Thread(
                target=_check, args=(host, patience, Transit(f"{directory}/{n}"), found), daemon=True
            )
            for n, host in enumerate(hosts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for host in hosts:
        about = found[host.name]
        print(json.dumps(about) if extras.get("json") else _line(about))
    return int(Exit.OK if all(about["usable"] for about in found.values()) else Exit.UNREACHABLE)


def _check(host: Host, patience: Patience, transit: Transit, found: dict[str, dict[str, Any]]) -> None:
    from f0make.backends.ssh.bootstrap import NotStarted
    from f0make.backends.ssh.connect_timeout import reach
    from f0make.backends.ssh.connection import Unreachable
    from f0make.backends.ssh.host_keys import Refused

    about: dict[str, Any] = {
        "host": host.name,
        "usable": False,
        "reachable": True,
        "key": "known",
        "reason": "",
    }
    found[host.name] = about
    try:
        link = reach(host, patience, transit)
    except Refused as error:
        about.update(key="refused", reason=str(error))
    except NotStarted as error:
        about.update(reason=str(error), problem=error.kind)
    except Unreachable as error:
        about.update(reachable=False, key="unknown", reason=str(error))
    else:
        seen = link.about
        about.update(
            usable=True,
            python=seen.python,
            slots=seen.slots,
            cores=seen.cores,
            free=seen.free,
            workdir=seen.workdir,
        )
        about["reason"] = link.remark
        if seen.noexec:
            about["reason"] += "; " * bool(link.remark) + (
                f"{host.name}: {seen.workdir} is on a file system without programs (noexec): steps that start "
                "one of their inputs fail there (set workdir to another directory)"
            )
        if seen.free < LOW:
            about.update(usable=False, problem="low disk", reason=_low(seen.free, seen.workdir))
        link.close()


def _low(free: int, workdir: str) -> str:
    return (
        f"low disk: {_size(free)} free in {workdir}, and contents of steps need room "
        "(make some, or set workdir to another directory)"
    )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _line(about: dict[str, Any]) -> str:
    name, reason = about["host"], about["reason"].removeprefix(f"{about['host']}: ")
    if not about["usable"]:
        return shown(f"{name}: cannot be used: {reason}")
    room = f"{_size(about['free'])} free in {about['workdir']}"
    return shown(
        f"{name}: ok: key known, Python {about['python']}, {about['slots']} slots, {room}"
        + (f"; {reason}" if reason else "")
    )
