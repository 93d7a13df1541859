"""Steps on other machines, against what people use for that today: GNU parallel, ssh, scp and tar over ssh.

The hosts are real sshd processes in network namespaces of this machine: no wire is between them, and their work
takes the same cores. What is compared pays for that alike.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Command, alternately, once
from bench.setting import Setting, counted
from bench.table import Row
from tests.support.sshd.client import Client
from tests.support.sshd.host import Host, namespaces, unavailable

SLOTS = 2
"""Steps at one time on each of two hosts."""
MEGABYTE = 1_000_000


@dataclass
class World:
    """A user, two hosts, and the files by which each tool finds them."""

    place: Path
    client: Client
    hosts: list[Host]
    _trash: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True)
        self.client.trust(*self.hosts)
        items = [self.client.item(host, slots=SLOTS) for host in self.hosts]
        self.file = self.client.hosts_file(self.place / "hosts.yaml", *items)
        self.plain = self._configuration("plain", "")
        control = f"  ControlMaster auto\n  ControlPath {self.client.home}/%n\n  ControlPersist 600\n"
        self.shared = self._configuration("shared", control)

    def _configuration(self, name: str, more: str) -> Path:
        hosts = [
            f"Host {h.name}\n  HostName {h.address}\n  Port {h.port}\n  User {h.user}\n" for h in self.hosts
        ]
        everyone = (
            f"Host *\n  IdentityFile {self.client.key}\n  UserKnownHostsFile {self.client.known_hosts}\n"
        )
        path = self.place / name
        path.write_text("".join(hosts) + everyone + "  BatchMode yes\n" + more)
        return path

    def connect(self) -> None:
        """Open the shared connections."""
        for host in self.hosts:
            argv = ["ssh", "-F", str(self.shared), host.name, "true"]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def disconnect(self) -> None:
        """Close them."""
        for host in self.hosts:
            argv = ["ssh", "-F", str(self.shared), "-O", "exit", host.name]
            subprocess.run(argv, check=False, capture_output=True)

    def forget(self, aside: bool = False) -> None:
        """Empty the hosts: f0make has never been there, and nothing was copied.

        What is moved ``aside`` is deleted at the end: see `Setting.discard`.
        """
        for host in self.hosts:
            home = host.inside("")
            trash = home / ".trash"
            trash.mkdir(exist_ok=True)
            for path in set(home.iterdir()) - {trash}:
                if aside:
                    path.rename(trash / str(next(self._trash)))
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def f0make(self, setting: Setting, *more: str) -> list[str]:
        """A run in which nothing runs here."""
        return [setting.f0make, "run", "recipe.yaml", "-j0", "--hosts", str(self.file), "--json", *more]


def remote(setting: Setting) -> Iterator[Row]:
    """Everything about hosts; nothing where no server can be started."""
    if unavailable() or namespaces():
        return
    with ExitStack() as stack:
        client = Client()
        stack.callback(client.close)
        hosts = []
        for name in ("h1", "h2"):
            hosts.append(Host(name, client.public))
            stack.callback(hosts[-1].close)
        world = World(setting.place / "remote", client, hosts)
        stack.callback(world.disconnect)
        yield from _many_steps(setting, world)
        yield from _one_file(setting, world)
        yield from _many_files(setting, world)
        yield _one_change(setting, world)


def _place(world: World, name: str, recipe: str) -> Path:
    place = world.place / name
    place.mkdir()
    (place / "recipe.yaml").write_text(recipe)
    return place


def _many_steps(setting: Setting, world: World) -> Iterator[Row]:
    size = 30 if setting.quick else 500
    recipe = (
        f"steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..{size}\n"
        "    outputs: out/${{ n }}\n    run: expr ${{ n }} '*' ${{ n }} > ${{ outputs }}\n"
    )
    place = _place(world, "steps", recipe)
    squares = sorted(n * n for n in range(1, size + 1))
    numbers = "\n".join(map(str, range(1, size + 1)))
    (place / "numbers").write_text(numbers + "\n")

    def check(said: str) -> None:
        counted(ran=size)(said)
        made = sorted(int(path.read_text()) for path in (place / "out").iterdir())
        assert made == squares

    def check_lines(said: str) -> None:
        assert sorted(map(int, said.split())) == squares, said[-300:]

    logins = ",".join(f"{SLOTS}/{host.name}" for host in world.hosts)
    parallel = ["parallel", "--will-cite", "--ssh", f"ssh -F {world.shared}", "-S", logins, "-a", "numbers"]
    # One ssh for each number, as many at one time as the hosts have slots, the hosts by turns.
    loop = f"ssh -F {world.plain} h$(($1 % 2 + 1)) \"expr $1 '*' $1\" < /dev/null"
    each = ["xargs", "-a", "numbers", "-P", str(2 * SLOTS), "-n", "1", "sh", "-c", loop, "-"]
    env = {"HOME": str(world.client.home)}
    world.connect()
    ours, shared, plain = alternately(
        [
            Command("f0make", world.f0make(setting), place, setting.fresh(place), check),
            Command("parallel", [*parallel, "expr {} '*' {}"], place, after=check_lines, env=env),
            Command("ssh", each, place, after=check_lines),
        ],
        setting.few if setting.quick else 3,
    )
    yield Row(
        f"remote, {size} small steps over two hosts / GNU parallel, ControlMaster", ours, shared, 1.5, 1.0
    )
    yield Row(f"remote, {size} small steps over two hosts / one ssh for each", ours, plain, 0.2, 0.1)


def _numbered(place: Path, recipe: str) -> Callable[[], None]:
    """Before each run: another number in the recipe, so that its remote step runs again."""
    count = iter(range(10**6))

    def renumber() -> None:
        (place / "recipe.yaml").write_text(recipe.replace("NUMBER", str(next(count))))

    return renumber


def _one_file(setting: Setting, world: World) -> Iterator[Row]:
    """Large contents, there and back; f0make also starts, connects, hashes and verifies on arrival."""
    size = (64 if setting.quick else 256) * MEGABYTE
    host = world.hosts[0]
    recipe = "steps:\n  - name: s\n    runs_on: h1\n    inputs: big\n    outputs: size\n    run: (wc -c < big; echo NUMBER) > size\n"
    place = _place(world, "file", recipe)
    (place / "big").write_bytes(os.urandom(size))
    copied = [host.inside("big"), place / "back"]
    once(Command("hash it", [setting.f0make, "run", "look.yaml"], place, _look(place)))
    renumber = _numbered(place, recipe)

    def before() -> None:
        world.forget()
        renumber()

    def check(said: str) -> None:
        counted(ran=1)(said)
        assert int((place / "size").read_text().split()[0]) == size

    def check_copy(_said: str) -> None:
        assert copied[0].stat().st_size == size

    there = ["scp", "-q", "-F", str(world.plain), "big", "h1:big"]
    ours, theirs = alternately(
        [
            Command("f0make", world.f0make(setting), place, before, check),
            Command("scp", there, place, world.forget, check_copy),
        ],
        setting.few if setting.quick else 5,
    )
    yield Row(f"remote, a file of {size // MEGABYTE} MB there / scp", ours, theirs, 1.25, 1.0)
    made = f"steps:\n  - name: s\n    runs_on: h1\n    outputs: made\n    run: head -c {size} /dev/urandom > made; echo NUMBER >> made\n"
    source = f"head -c {size} /dev/urandom > made; echo >> made"
    place = _place(world, "back", made)
    renumber_back = _numbered(place, made)
    (place / "make").write_text(
        f"ssh -F {world.plain} h1 '{source}' && scp -q -F {world.plain} h1:made copy\n"
    )

    def before_back() -> None:
        setting.discard(place / "made")
        renumber_back()

    def check_back(said: str) -> None:
        counted(ran=1)(said)
        assert (place / "made").stat().st_size > size

    ours, theirs = alternately(
        [
            Command("f0make", world.f0make(setting, "--no-cache"), place, before_back, check_back),
            Command("scp", ["sh", "make"], place),
        ],
        setting.few if setting.quick else 5,
    )
    yield Row(f"remote, {size // MEGABYTE} MB made there and fetched / ssh and scp", ours, theirs, 1.25, 1.0)


def _look(place: Path) -> Callable[[], None]:
    """Lets f0make know the digest of `big`, as after any earlier run."""

    def write() -> None:
        (place / "look.yaml").write_text("steps:\n  - name: look\n    inputs: big\n    run: test -e big\n")

    return write


def _many_files(setting: Setting, world: World) -> Iterator[Row]:
    """A directory of small files, there and back."""
    size = 500 if setting.quick else 2_000
    recipe = (
        "steps:\n  - name: s\n    runs_on: h1\n    inputs: in/\n    outputs: out/\n"
        "    run: cp -r in/. out; echo NUMBER > out/made\n"
    )
    place = _place(world, "files", recipe)
    for n in range(size):
        path = place / "in" / str(n % 20) / f"{n}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(500 + n))
    renumber = _numbered(place, recipe)
    script = f"tar c in | ssh -F {world.plain} h1 'tar x && mkdir out && cp -r in/. out && echo > out/made && tar c out' | tar x\n"
    other = world.place / "files-tar"
    shutil.copytree(place / "in", other / "in")
    (other / "work").write_text(script)

    def before(at: Path) -> Callable[[], None]:
        def empty() -> None:
            world.forget(aside=True)
            setting.discard(at / "out")
            renumber()

        return empty

    def check(at: Path) -> Callable[[str], None]:
        def compare(_said: str) -> None:
            same = subprocess.run(
                ["diff", "-r", at / "in", at / "out"], capture_output=True, text=True, check=False
            )
            assert same.stdout.splitlines() == [f"Only in {at}/out: made"], same.stdout[-300:]

        return compare

    ours, theirs = alternately(
        [
            Command("f0make", world.f0make(setting, "--no-cache"), place, before(place), check(place)),
            Command("tar", ["sh", "work"], other, before(other), check(other)),
        ],
        setting.few if setting.quick else 5,
    )
    yield Row(f"remote, {size:,} small files there and back / tar over ssh", ours, theirs, 1.5, 1.0)


def _one_change(setting: Setting, world: World) -> Row:
    """Bytes beside the content itself that are sent when one input of 200 changed."""
    recipe = (
        "steps:\n  - name: s\n    foreach:\n      f:\n        glob: in/${{ f }}\n    inputs: in/${{ f }}\n"
        "    outputs: out/${{ f }}\n    run: sha256sum < ${{ inputs }} > ${{ outputs }}\n"
    )
    place = _place(world, "change", recipe)
    (place / "in").mkdir()
    for n in range(200):
        (place / "in" / str(n)).write_bytes(os.urandom(5_000))
    said: list[str] = []
    once(Command("f0make", world.f0make(setting), place, after=counted(ran=200)))
    (place / "in" / "77").write_bytes(os.urandom(5_000))

    def check(text: str) -> None:
        counted(ran=1, current=199)(text)
        said.append(text)

    once(Command("f0make", world.f0make(setting), place, after=check))
    lines = [line for line in said[0].splitlines() if line.startswith('{"event": "summary"')]
    sent = sum(told["sent"] for told in json.loads(lines[0])["hosts"].values())
    return Row(
        "remote, sent beside one changed input of 200", bar=64, goal=16, value=(sent - 5_000) / 1e3, unit="kB"
    )
