"""`f0make hosts check`: say of each host what a run there would meet, and how to mend what is wrong."""

from __future__ import annotations

import json
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from f0make.cli.streams import shown
from f0make.errors import Exit, UsageError
from f0make.options import RunOptions
from f0make.remote.hosts import Host, Patience, patience_of

if TYPE_CHECKING:
    from f0make.remote.transit import Transit


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Connect to every host at one time; a line for each. 5 when one cannot be used."""
    from f0make.remote.hostsfile import all_hosts
    from f0make.remote.transit import Transit

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
    from f0make.remote.connection import Refused, Unreachable
    from f0make.remote.reach import reach
    from f0make.remote.stage import NotStarted

    about: dict[str, Any] = {
        "host": host.name,
        "usable": False,
        "reachable": True,
        "key": "known",
        "reason": "",
    }
    found[host.name] = about
    try:
        link = reach(host, patience, transit, False)
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
        if seen.noexec:
            about["reason"] = (
                f"{host.name}: {seen.workdir} is on a file system without programs (noexec): steps that start "
                "one of their inputs fail there (set workdir to another directory)"
            )
        link.close()


def _line(about: dict[str, Any]) -> str:
    name, reason = about["host"], about["reason"].removeprefix(f"{about['host']}: ")
    if not about["usable"]:
        return shown(f"{name}: cannot be used: {reason}")
    room = f"{about['free'] / 1e9:.1f} GB free in {about['workdir']}"
    return shown(
        f"{name}: ok: key known, Python {about['python']}, {about['slots']} slots, {room}"
        + (f"; {reason}" if reason else "")
    )
