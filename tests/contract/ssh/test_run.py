"""A recipe over two real hosts: the same results as here, each content sent once, nothing connected for nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.f0 import F0
from tests.support.sshd.client import Client
from tests.support.sshd.host import Host, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

RECIPE = """\
steps:
  - name: part
    foreach:
      n:
        range: 1..6
    inputs:
      - common.txt
      - parts/${{ n }}.txt
    outputs:
      - made/${{ n }}.txt
      - trees/${{ n }}/
    run: |
      cat common.txt parts/${{ n }}.txt > made/${{ n }}.txt
      mkdir -p trees/${{ n }}/empty
      echo ${{ n }} > trees/${{ n }}/x; chmod +x trees/${{ n }}/x; ln -s x trees/${{ n }}/link
      echo log of ${{ n }}
  - name: python
    module: lib.join
    function: join
    inputs: ${{ steps.part.outputs }}
    outputs: joined.txt
  - name: here
    runs_on: local
    inputs: joined.txt
    outputs: here.txt
    run: "cp joined.txt here.txt"
"""
CODE = """\
from lib.words import SEP

def join(ctx):
    texts = [open(p).read() for p in ctx.step.inputs if p.startswith("made/")]
    open("joined.txt", "w").write(SEP.join(texts))
    ctx.set("joined", len(texts))
"""


class Lab:
    """Two hosts, a user who knows them, and a workspace."""

    def __init__(self, client: Client, hosts: list[Host]) -> None:
        self.client, self.hosts = client, hosts

    def file(self, *more: dict[str, object]) -> str:
        items = [self.client.item(h, **m) for h, m in zip(self.hosts, more or ({}, {}), strict=True)]
        return str(self.client.hosts_file(self.client.home / "hosts.yaml", *items))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    client = Client()
    hosts: list[Host] = []
    try:
        hosts += [Host("h1", client.public), Host("h2", client.public, python="3.9")]
        client.trust(*hosts)
        yield Lab(client, hosts)
    finally:
        for host in hosts:
            host.close()
        client.close()


def workspace(f0: F0) -> F0:
    f0.recipe(RECIPE)
    f0.write("common.txt", "common\n" * 1000)
    for n in range(1, 7):
        f0.write(f"parts/{n}.txt", f"{n}\n")
    f0.write("lib/__init__.py", "")
    f0.write("lib/words.py", "SEP = '--\\n'\n")
    f0.write("lib/join.py", CODE)
    return f0


def contents(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith((".f0make", "lib/__pycache__")):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = "dir"
        else:
            mode = path.stat().st_mode & 0o111
            found[name] = f"{hashlib.sha256(path.read_bytes()).hexdigest()} {mode:o}"
    return found


def test_two_hosts_give_what_this_machine_gives(f0: F0, lab: Lab, tmp_path: Path) -> None:
    workspace(f0)
    result = f0.run("-j0", "--hosts", lab.file(), "joined.txt")
    assert result.summary["ran"] == 7
    hosts = {e["step"]: e.get("host") for e in result.events if e["event"] == "step"}
    assert set(hosts.values()) == {"h1", "h2"}, result.stderr
    (tmp_path / "other").mkdir()
    other = workspace(F0(tmp_path / "other"))
    other.run("joined.txt")
    assert contents(f0.workspace) == contents(other.workspace)
    assert "log of 3" in f0("log", "part[n=3]").stdout
    # What the hosts made is current here, and nobody is asked about it.
    logins = [host.logins for host in lab.hosts]
    again = f0.run("-j0", "--hosts", lab.file(), "joined.txt")
    assert (again.summary["current"], again.summary["ran"]) == (7, 0)
    assert f0.run("joined.txt").states["python"] == "current"
    assert [host.logins for host in lab.hosts] == logins
    assert not [p for host in lab.hosts for p in host.quiet().values()]
    # A change sends the change.
    f0.write("parts/3.txt", "three\n")
    changed = f0.run("-j0", "--hosts", lab.file(), "joined.txt")
    assert changed.summary["ran"] == 2
    assert sum(h["sent"] for h in changed.summary["hosts"].values()) < 64_000
    assert {h["ran"] for h in changed.summary["hosts"].values()} <= {0, 1, 2}


def test_limits_at_every_moment_are_for_this_machine(f0: F0, lab: Lab) -> None:
    f0.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..8\n    outputs: o/${{ n }}\n"
        "    run: date +%s.%N > ${{ outputs }}; sleep 0.5; date +%s.%N >> ${{ outputs }}\n"
    )
    result = f0.run("-j2", "--hosts", lab.file(), "--max-cpu=1%", "--max-load=0.01")
    times: dict[str, list[tuple[float, float]]] = {}
    for event in result.events:
        if event["event"] == "step":
            began, ended = map(float, f0.read(f"o/{event['step'][4:-1]}").split())
            times.setdefault(event.get("host") or "here", []).append((began, ended))
    assert sum(map(len, times.values())) == 8 and {"h1", "h2"} & set(times), result.stderr

    def most(spans: list[tuple[float, float]]) -> int:
        return max((sum(b <= began < e for b, e in spans) for began, _ in spans), default=0)

    assert most(times.get("here", [])) <= 1
    assert most([span for spans in times.values() for span in spans]) > 1


@pytest.mark.parametrize("first", ["h1", "h2"])
def test_a_step_runs_where_its_inputs_were_sent_already(f0: F0, lab: Lab, first: str) -> None:
    f0.write("big", "x" * 3_000_000)
    f0.recipe(
        f"steps:\n  - name: one\n    runs_on: {first}\n    inputs: big\n    outputs: one\n    run: wc -c < big > one\n"
        "  - name: two\n    inputs:\n      - big\n      - one\n    outputs: two\n    run: cat big one | wc -c > two\n"
    )
    result = f0.run("-j0", "--hosts", lab.file())
    hosts = {e["step"]: e.get("host") for e in result.events if e["event"] == "step"}
    assert hosts == {"one": first, "two": first}, result.stderr
