"""`python -m tests.support.sshd [HOSTS] [--python VERSION]`: start hosts, print a hosts file, wait for the end of input."""

from __future__ import annotations

import argparse
import sys

from .client import Client
from .host import Host


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.sshd", description="real hosts to try things with"
    )
    parser.add_argument("hosts", type=int, nargs="?", default=2)
    parser.add_argument("--python", help="the version they have, as 3.9; default: the system's")
    given = parser.parse_args()
    client = Client()
    hosts: list[Host] = []
    try:
        for n in range(1, given.hosts + 1):
            hosts.append(Host(f"h{n}", client.public, python=given.python))
        client.trust(*hosts)
        path = client.hosts_file(client.home / "hosts.yaml", *[client.item(host) for host in hosts])
        print(path.read_text())
        for host in hosts:
            print(f"# {' '.join(client.ssh_argv(host))}\n#   its files: {host.inside('')}")
        print(f"# --hosts {path}\n# Enter ends them.", flush=True)
        sys.stdin.readline()
    finally:
        for host in hosts:
            host.close()
        client.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
