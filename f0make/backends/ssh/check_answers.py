"""What a host says, checked before anything acts on it: the one place where its messages become values. Pure.

A host may falsify the results of its own steps and may refuse. It may not name what it was not given, send what no record
could hold (`store.validate_record`), or make f0make keep more than it has announced. Everything else here raises `wire.Garbled`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from f0make.backends.base import Fingerprints
from f0make.files.content_digest import EMPTY_DIR, blob_of
from f0make.store.validate_record import (
    own_trees,
    valid_digest,
    valid_exit_code,
    valid_name,
    valid_place,
    valid_texts,
    wrong_result,
)
from f0make.worker.agent import send, wire_format
from f0make.worker.agent.remote_attempt import LONGEST_LOG
from f0make.worker.bundle import Bundle, Outcome

LIMITS = {
    wire_format.UP: 64 << 10,
    wire_format.WANT: wire_format.LARGEST,
    wire_format.OUTCOME: wire_format.LARGEST,
    wire_format.GONE: wire_format.LARGEST,
    wire_format.PONG: 0,
    wire_format.TROUBLE: 64 << 10,
    wire_format.BYE: 0,
    wire_format.BAD: 4 << 20,
    wire_format.ANSWER: wire_format.LARGEST,
    wire_format.PACK: send.LARGEST_PACK,
    wire_format.PART: send.LARGEST_PART,
}
"""Every kind of message that an agent may send -> bytes of its payload, at most."""
LONGEST_LINK = 4096
"""Bytes of a symlink's text (PATH_MAX)."""
_SYSTEM = ("/usr/", "/lib", "/opt/", "/nix/", "/gnu/")
"""Where the headers lie that a depfile names beside a step's inputs."""
_TEXT = 2000
"""Characters of a message that is shown to people."""
_MOST_SLOTS = 4096
_VERSION = re.compile(r"(3\.\d{1,3})?")
_MACHINE = re.compile(r"([a-z0-9_]{1,32} [a-z0-9_.-]{1,64})?")
_INTEGER = 2**63 - 1
_MEASURES = ("started", "seconds", "cpu_seconds", "peak_mem", "read", "written")
_RESULT = ("outputs", "trees", "times", "modes", "reads", "missing_reads", "writes", *_MEASURES)
"""Fields of an outcome that become fields of a record."""


@dataclass(slots=True)
class About:
    """What an agent says of its host."""

    python: str
    slots: int
    cores: int
    free: int
    """Bytes."""
    workdir: str
    noexec: bool


def about_of(payload: bytes | memoryview, slots: int) -> About:
    """The host in an UP message; ``slots`` is what was asked for, 0 for the host's own. Raises Garbled."""
    found = wire_format.value_of(payload)
    _need(isinstance(found, dict), "it says nothing of itself")
    python = found.get("python")
    _need(
        isinstance(python, str) and re.fullmatch(r"3\.\d{1,3}\.\d{1,3}", python), "its Python has no version"
    )
    given = _integer(found.get("slots"), "slots", 1, _MOST_SLOTS)
    _need(not slots or given == slots, "it has other slots than it was given")
    return About(
        python,
        given,
        _integer(found.get("cores"), "cores", 1, 1 << 20),
        _integer(found.get("free"), "free", 0, _INTEGER),
        line(found.get("workdir")),
        found.get("noexec") is True,
    )


def line(value: Any) -> str:
    """A text for people: one line, without what moves a cursor or turns letters around. Raises Garbled."""
    _need(isinstance(value, str), "a text is none")
    shown = value[:_TEXT]
    if shown.isprintable():
        return str(shown)
    return "".join(
        c
        if c.isprintable() or "\udc80" <= c <= "\udcff"
        else c.encode("unicode_escape", "replace").decode("ascii")
        for c in " ".join(shown.splitlines())
    )


def digests_of(payload: bytes | memoryview, known: Callable[[str], bool], what: str) -> list[str]:
    """The list of digests in a message, all of them ``known``. Raises Garbled: ``what`` it does with others."""
    found = wire_format.value_of(payload)
    _need(isinstance(found, list), "a list of digests is none")
    for digest in found:
        _need(valid_digest(digest), "a digest is none")
        _need(known(digest), what)
    return list(dict.fromkeys(found))


def outcome_of(
    payload: bytes | memoryview, bundle_of: Callable[[str], Bundle | None]
) -> tuple[Outcome, dict[str, int]]:
    """The outcome in a message, and the size of each content that it names. Raises Garbled.

    ``bundle_of`` gives the bundle of a token, None for one that is not expected.
    """
    outcome, sizes = wire_format.outcome_of(payload)
    bundle = bundle_of(outcome.token) if isinstance(outcome.token, str) else None
    _need(bundle is not None, "it reports on a step that it was not given, or twice")
    assert bundle is not None
    check(bundle, outcome)
    named = list(contents_of(outcome))
    _need(isinstance(sizes, dict), "it announces no sizes")
    for digest, size in sizes.items():
        _integer(size, f"the size of {digest[:12]}", 0, _INTEGER)
    # What its store has lost has no size; fetching it finds that out.
    found = {digest: sizes[digest] for digest in named if digest in sizes}
    for token in _tokens(outcome):
        if token.startswith("@"):
            size = found.get(blob_of(token), 0)
            _need(size <= LONGEST_LINK, "a link is longer than links can be")
    _need(found.get(outcome.log, 0) <= LONGEST_LOG, "its log is longer than what travels of one")
    return outcome, found


def prints_of(payload: bytes | memoryview, asked: Mapping[int, int]) -> Fingerprints:
    """The outputs in a message; ``asked``: number of a question -> of its commands. Raises Garbled."""
    found = wire_format.value_of(payload)
    _need(isinstance(found, list) and len(found) == 3, "an answer is none")
    number, texts, error = found
    _need(type(number) is int and number in asked, "it answers what it was not asked")
    if texts is not None:
        _need(valid_texts(texts) and len(texts) == asked[number], "it answers something else")
    return Fingerprints(number, texts, line(error))


def contents_of(outcome: Outcome) -> Mapping[str, None]:
    """The digests of everything that ``outcome`` names: outputs and log."""
    found = dict.fromkeys(blob_of(token) for token in _tokens(outcome))
    if outcome.log:
        found[outcome.log] = None
    return found


def check(bundle: Bundle, outcome: Outcome) -> None:
    """Whether ``outcome`` can be one of ``bundle``; its texts are made fit to be shown. Raises Garbled."""
    for name in ("ok", "lost", "disk_full", "stored", "unfit"):
        _need(isinstance(getattr(outcome, name), bool), f"{name} is neither true nor false")
    _need(not (outcome.ok and outcome.lost), "a result is lost and good")
    outcome.message = line(outcome.message)
    _need(valid_exit_code(outcome.exit_code), "an exit code is none")
    if outcome.signal is not None:
        _integer(outcome.signal, "a signal", 1, 64)
    _need(outcome.log == "" or valid_digest(outcome.log), "its log is no digest")
    wrong = wrong_result({name: getattr(outcome, name) for name in _RESULT})
    _need(not wrong, f"its {wrong} are none")
    _need(all(getattr(outcome, name) is not None for name in _MEASURES), "it lacks a time or a size")
    _outputs(bundle, outcome)
    _discovered(bundle, outcome)
    _need(outcome.strays == [], "it watches steps")
    # Stamps of files on another machine mean nothing here; where a step ran is known here.
    outcome.signatures, outcome.host = {}, ""


def _outputs(bundle: Bundle, outcome: Outcome) -> None:
    declared = dict(bundle.outputs)
    outputs, trees = outcome.outputs, outcome.trees
    _need(outputs.keys() <= declared.keys(), "it reports outputs that its step does not have")
    _need(not outcome.ok or outputs.keys() == declared.keys(), "a good result lacks an output")
    _need(own_trees(outputs, trees), "a directory is not what it says")
    for path, token in outputs.items():
        _need("+" not in token, f"the output {path!r} is more than a link's text")
        _need(not outcome.ok or declared[path] == (path in trees), f"the output {path!r} is of another kind")


def _discovered(bundle: Bundle, outcome: Outcome) -> None:
    """A step there reads what it was given, and files of its system: no other file here is looked at for it.

    It looks for modules in what is its workspace, and no further.
    """
    _need(valid_texts(outcome.discovered), "its prerequisites are none")
    given = {*bundle.contents, *bundle.modules}
    outcome.discovered = [
        path
        for path in outcome.discovered
        if valid_place(path) and (path in given or path.startswith(_SYSTEM) or _below(path, bundle.trees))
    ]
    _need(valid_texts(outcome.absent), "what it did not find is none")
    outcome.absent = [path for path in outcome.absent if valid_name(path)]
    version = outcome.python
    _need(isinstance(version, str) and _VERSION.fullmatch(version), "its Python has no version")
    place = outcome.machine
    _need(isinstance(place, str) and _MACHINE.fullmatch(place), "its machine is none")


def _below(path: str, directories: Collection[str]) -> bool:
    above = path
    while above := above.rpartition("/")[0]:
        if above in directories:
            return True
    return False


def _tokens(outcome: Outcome) -> list[str]:
    found = []
    for path, token in outcome.outputs.items():
        entries = outcome.trees[path].values() if path in outcome.trees else (token,)
        found += [entry for entry in entries if entry != EMPTY_DIR]
    return found


def _integer(value: Any, what: str, least: int, most: int) -> int:
    _need(type(value) is int and least <= value <= most, f"{what} is no number between {least} and {most}")
    return int(value)


def _need(condition: object, what: str) -> None:
    if not condition:
        raise wire_format.Garbled(what)
