"""Hosts as people write them: a `--hosts` file, strict as a recipe is, and `--host [user@]address[:port][/slots]`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from f0make.backends.ssh import HERE
from f0make.backends.ssh.host import WORKDIR, Host
from f0make.backends.ssh.ssh_config import split_address
from f0make.errors import Problem, RecipeError, UsageError, Where
from f0make.recipe import scalars
from f0make.recipe.finding import Finding
from f0make.recipe.kinds import Fields, Many, Mapped, Scalar, one_or_many
from f0make.recipe.read_source import UnreadableError, as_problem, read_text
from f0make.recipe.strictyaml_schema import refusal
from f0make.recipe.validate import Checker
from f0make.recipe.yaml_node import Entries
from f0make.recipe.yaml_reader import read


def _name(text: str) -> str:
    if not text.strip() or text != text.strip() or "\n" in text:
        raise ValueError(f"expected a name, found {scalars.shown(text)}")
    if text == HERE:
        raise ValueError(f"{HERE!r} is this machine's name; choose another one")
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("expected text, found nothing")
    return text


def _port(text: str) -> int:
    return scalars.to_int(text, 1, 65535)


def _slots(text: str) -> int:
    return scalars.to_int(text, 1, 4096)


def _variable(name: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise ValueError(f"{scalars.shown(name)} cannot be the name of an environment variable")


_TEXT = Scalar("text", _text, template=False)
_HOST = Fields(
    "a host",
    {
        "name": Scalar("a name", _name, template=False),
        "address": _TEXT,
        "port": Scalar("a port", _port, template=False),
        "user": _TEXT,
        "key": Scalar("the path of a private key", _text, template=False),
        "slots": Scalar("a number of steps", _slots, template=False),
        "labels": one_or_many(Scalar("a label", _text, template=False)),
        "workdir": Scalar("a directory", _text, template=False),
        "known_hosts": Scalar("a file", _text, template=False),
        "env": Mapped(Scalar("text", template=False, empty=True), key=_variable),
    },
    required=("name",),
    aliases={
        "host": "name",
        "hostname": "address",
        "identity_file": "key",
        "identityfile": "key",
        "jobs": "slots",
        "cores": "slots",
        "cpus": "slots",
        "tags": "labels",
        "environment": "env",
        "username": "user",
    },
)
_FILE = Fields("a file of hosts", {"hosts": Many(_HOST)}, required=("hosts",))


def read_hosts(path: str) -> list[Host]:
    """The hosts in the file ``path``. Raises RecipeError with everything that is wrong with it."""
    problems: list[Problem] = []
    try:
        text = read_text(path, path)
    except UnreadableError as error:
        raise RecipeError([error.problem]) from None
    findings: list[Finding] = []
    node = read(text, findings)
    problems += [as_problem(finding, path) for finding in findings]
    if node is None or not isinstance(node, Entries):
        problems = problems or [Problem("expected a map with the key `hosts`", Where(path, 1, 1))]
        raise RecipeError(problems)
    checker = Checker(path, problems)
    values = checker.conform(node, _FILE) or {}
    if not problems:
        said = refusal(text, _FILE)
        problems += [as_problem(said, path)] if said else []
    hosts = [
        _host(item, path, checker, f"hosts[{n}]")
        for n, item in enumerate(values.get("hosts", ()))
        if item and item.get("name")
    ]
    problems += _twice(hosts)
    if problems:
        raise RecipeError(problems)
    return hosts


def _host(item: dict[str, Any], path: str, checker: Checker, key: str) -> Host:
    fields = dict(item)
    labels = fields.pop("labels", None) or []
    line, column, _ = checker.marks.get(f"{key}.name", (0, 0, 0))
    host = Host(**fields, where=Where(path, line, column))
    host.labels = [labels] if isinstance(labels, str) else [str(label) for label in labels if label]
    for name in ("key", "known_hosts"):
        given = getattr(host, name)
        if given:
            setattr(host, name, os.path.abspath(os.path.expanduser(given)))
    return host


def one_host(text: str) -> Host:
    """The host that ``--host TEXT`` stands for. Raises UsageError."""
    rest, slash, slots = text.rpartition("/")
    if not slash:
        rest, slots = text, ""
    if slash and not (slots.isascii() and slots.isdecimal() and 0 < int(slots) <= 4096):
        raise UsageError(f"--host {text}: expected a number of slots after the slash")
    try:
        user, address, port = split_address(rest)
    except ValueError as error:
        raise UsageError(f"--host {error} (such as --host worker@build1.example.org:22/8)") from None
    if address.startswith("-"):
        raise UsageError(f"--host {text}: {address!r} is no address")
    if address == HERE:
        raise UsageError(f"--host {text}: {HERE!r} is this machine's name (steps run here by -j)")
    name = address if not port else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    # Without an address of its own, what the user's ssh config says for the name counts.
    return Host(name, address if port else "", port, user, slots=int(slots or 0), workdir=WORKDIR)


def all_hosts(files: Sequence[str], given: Sequence[str]) -> list[Host]:
    """The hosts of `--hosts` and `--host` together. Raises RecipeError and UsageError."""
    hosts = [host for path in files for host in read_hosts(path)]
    hosts += [one_host(text) for text in given]
    problems = _twice(hosts)
    if problems:
        if problems[0].where is None:
            raise UsageError(problems[0].message)
        raise RecipeError(problems)
    return hosts


def _twice(hosts: Sequence[Host]) -> list[Problem]:
    first: dict[str, Host] = {}
    problems = []
    for host in hosts:
        other = first.setdefault(host.name, host)
        if other is not host:
            hint = f"first at {other.where}" if other.where else "leave one out"
            where = host.where or other.where
            problems.append(Problem(f"the host {host.name!r} is given twice", where, hint=hint))
    return problems
