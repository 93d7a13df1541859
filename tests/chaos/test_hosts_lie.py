"""A host that lies: it falsifies its own results at most; nothing else here is read, written, kept or ended by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from f0make.backends.ssh import check_answers
from f0make.cache.blobs import Blobs
from f0make.fast_dataclass import fields
from f0make.worker.agent import wire_format
from f0make.worker.agent.receive import Intake
from f0make.worker.bundle import Bundle, Outcome
from tests.support import lying_agent
from tests.support.remote_tools import Farm, Remote, apart, host_events, ran_at
from tests.support.sshd.host import Host

pytestmark = apart

FAST = ("--lease", "4s", "--connect-timeout", "4s", "--reconnect", "5s")
RECIPE = "steps:\n  - name: s\n    runs_on: any\n    inputs: in\n    outputs: s\n    run: cat in > s; id -un >> s\n"


BY_ORDER = (
    *("an outcome twice", "more than the disk holds", "asks a thousand times", "contents unasked"),
    *("contents beside a result", "more than announced", "two at one time", "begins anew", "goodbye"),
    *("trouble later",),
)
"""Lies whose messages are good, each by itself."""


def names() -> dict[str, object]:
    """What the liar must know of f0make's own data."""
    empty = Outcome("", True)
    values = {field.name: getattr(empty, field.name) for field in fields(Outcome)}
    return {"bundle": [field.name for field in fields(Bundle)], "outcome": values}


@pytest.fixture(scope="module")
def liar(farm: Farm) -> Iterator[Host]:
    """A host whose agent tells the lie that `lie` beside it names."""
    command = "ForceCommand exec python3 /mnt/host/lying_agent.py /mnt/host/lie"
    host = Host("z-liar", farm.client.public, below=farm.below, sshd=command)
    (host.base / "lying_agent.py").write_text(Path(lying_agent.__file__).read_text())
    (host.base / "names.json").write_text(json.dumps(names()))
    yield host
    host.close()


def told(remote: Remote, liar: Host, lie: str) -> str:
    """What is said of ``liar``, whose ``lie`` ends nothing but its own part in the run."""
    (liar.base / "lie").write_text(lie)
    (second,) = remote.standing("h2")
    remote.client.trust(liar, second)
    remote.hosts_text(
        remote.item(liar, labels=["any"], slots=1) + remote.item(second, labels=["any"], slots=1)
    )
    remote.write("in", "input\n")
    remote.write("secret", "a secret of this machine\n")
    remote.recipe(RECIPE)
    result = remote.there(*FAST)
    assert ran_at(result) == {"s": "h2"}
    assert (remote.workspace / "s").read_text() == f"input\n{second.user}\n"
    left = [reason for status, reason in host_events(result, "z-liar") if status == "left-out"]
    assert len(left) == 1, result.events
    assert not set("\x1b\x9b\x07\u202e") & set(left[0] + result.stderr)
    return left[0]


@pytest.mark.parametrize("lie", ["slots without end", "a frame without end", "trouble in colours"])
def test_a_lie_at_the_beginning(remote: Remote, liar: Host, lie: str) -> None:
    told(remote, liar, lie)


@pytest.mark.parametrize(
    "lie",
    [
        "another output",
        "memory without end",
        "an outcome twice",
        "more than the disk holds",
        "asks for a secret",
        "contents unasked",
        "a bomb",
        "more than announced",
        "begins anew",
        "goodbye",
        "trouble later",
    ],
)
def test_a_lie_about_a_step(remote: Remote, liar: Host, lie: str) -> None:
    assert "z-liar" in told(remote, liar, lie)


@pytest.mark.parametrize("lie", lying_agent.BEFORE)
def test_what_is_no_beginning_is_not_taken_for_one(lie: str) -> None:
    if "trouble" not in lie:
        with pytest.raises(wire_format.Garbled):
            messages = wire_format.Frames(check_answers.LIMITS).feed(lying_agent.BEFORE[lie])
            check_answers.about_of(messages[0][1], 0)


@pytest.mark.parametrize("lie", [lie for lie in lying_agent.LIES if lie not in BY_ORDER])
def test_what_is_no_answer_is_not_taken_for_one(tmp_path: Path, lie: str) -> None:
    """All lies that can be seen in the message itself."""
    lying_agent.NAMES = names()
    bundle = Bundle("t/1", "s", "s", 1, "shell", "", outputs=[("s", False)], contents={"in": "0" * 64})
    said = lying_agent.LIES[lie]({"token": "t/1", "contents": bundle.contents})
    with pytest.raises(wire_format.Garbled):
        for kind, payload in wire_format.Frames(check_answers.LIMITS).feed(said):
            if kind == wire_format.OUTCOME:
                check_answers.outcome_of(payload, {"t/1": bundle}.get)
            elif kind in (wire_format.WANT, wire_format.BAD, wire_format.GONE):
                check_answers.digests_of(payload, bundle.contents.__contains__, "no")
            elif kind in (wire_format.PACK, wire_format.PART):
                intake = Intake(Blobs(str(tmp_path / "store")), {})
                (intake.pack if kind == wire_format.PACK else intake.part)(payload)


def test_what_an_agent_says_is_taken() -> None:
    """The measure of the lies: without one, the same message is good."""
    lying_agent.NAMES = names()
    bundle = Bundle("t/1", "s", "s", 1, "shell", "", outputs=[("s", False)])
    ((_, payload),) = wire_format.Frames(check_answers.LIMITS).feed(lying_agent.outcome({"token": "t/1"}))
    outcome, sizes = check_answers.outcome_of(payload, {"t/1": bundle}.get)
    assert (outcome.ok, outcome.outputs, sizes) == (
        True,
        {"s": lying_agent.ELSE},
        {lying_agent.ELSE: 4},
    )


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("d/x", True),
        ("/usr/include/x.h", True),
        ("d/../../secret", False),
        ("d/./x", False),
        ("/usr/../etc/passwd", False),
        ("d/" + "x" * 256, False),
        ("d/x\0", False),
        ("/etc/passwd", False),
        ("in/secret", False),
    ],
)
def test_files_that_an_agent_may_say_its_step_has_read(path: str, kept: bool) -> None:
    lying_agent.NAMES = names()
    bundle = Bundle("t/1", "s", "s", 1, "shell", "", outputs=[("s", False)], contents={"in": "0" * 64})
    bundle.trees = {"d": {"x": "0" * 64}}
    message = lying_agent.outcome({"token": "t/1"}, discovered=[path], absent=[path])
    ((_, payload),) = wire_format.Frames(check_answers.LIMITS).feed(message)
    outcome, _ = check_answers.outcome_of(payload, {"t/1": bundle}.get)
    assert outcome.discovered == [path] * kept
    assert all("/../" not in found and len(found) < 250 and "\0" not in found for found in outcome.absent)


@pytest.mark.parametrize(
    ("make", "declared"),
    [
        ("ln -s $SECRET key", "key"),
        ("ln -s ../../../../../../../../../../$SECRET key", "key"),
        ("mkdir key; ln -s $SECRET key/a", "key/"),
        ("mkdir -p key/d; ln -s ../../.. key/d/up", "key/"),
        ("ln -s $(dirname $SECRET) key", "key"),
    ],
)
def test_a_link_that_a_host_made_and_that_leads_out_is_no_result(
    remote: Remote, make: str, declared: str
) -> None:
    (host,) = remote.standing("h1")
    secret = remote.workspace.parent / "secret"
    secret.write_text("nobody there may read this\n")
    remote.hosts(host)
    remote.recipe(
        f"""\
steps:
  - name: get
    outputs: {declared}
    env:
      SECRET: {secret}
    run: {make}
  - name: send
    inputs: {declared}
    outputs: sent
    run: cat key key/a key/secret key/d/up/secret > sent 2>/dev/null || true
"""
    )
    result = remote.there(code=1)
    assert "leads out of the workspace" in result.stderr
    assert not (remote.workspace / "sent").exists()
    # One that a step here made is this machine's business; what it leads to does not travel either.
    here = remote.workspace / "recipe.yaml"
    here.write_text(here.read_text().replace("    env:", "    runs_on: local\n    env:"))
    result = remote.there("--force", "get", jobs=1, code=None)
    assert not remote.inside_any(host, "nobody there may read this")


@pytest.mark.parametrize("link", ["own", "dir/own"])
def test_a_link_of_the_persons_own_is_followed(remote: Remote, link: str) -> None:
    (host,) = remote.standing("h1")
    (remote.workspace.parent / "data").write_text("elsewhere\n")
    (remote.workspace / link).parent.mkdir(exist_ok=True)
    (remote.workspace / link).symlink_to(remote.workspace.parent / "data")
    remote.hosts(host)
    remote.recipe(f"steps:\n  - name: s\n    inputs: {link}\n    outputs: s\n    run: cat {link} > s\n")
    remote.there()
    assert (remote.workspace / "s").read_text() == "elsewhere\n"
