"""One attempt in a private directory: what lies in it, what comes out, and that nothing of it stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from f0make.backends import bundle_sources
from f0make.backends.ssh import fetch_results
from f0make.cache.blobs import BlobMissing, Blobs
from f0make.code.code_digest import CodeBase
from f0make.files.content_cache import Contents
from f0make.worker.agent import manifest, outcome_digests
from f0make.worker.agent.remote_attempt import run_attempt
from f0make.worker.bundle import Bundle, Outcome

ENVIRON = {b"PATH": os.environb[b"PATH"], b"HOME": b"/nowhere"}


class Places:
    """A workspace here, a store and a directory there."""

    def __init__(self, path: Path) -> None:
        self.here = path / "here"
        self.there = path / "there"
        for directory in (self.here, self.there):
            directory.mkdir()
        self.store = Blobs(str(path / "store"))
        self.blobs = Blobs(str(path / "blobs"))

    def bundle(
        self, command: str | None, inputs: list[str], outputs: list[tuple[str, bool]], **more: Any
    ) -> Bundle:
        contents = Contents(str(self.here))
        tokens = {name: contents.token(name) or "" for name in inputs}
        bundle = Bundle(
            token="t",
            instance="step",
            step="step",
            attempt=1,
            kind="shell" if command else "python",
            workspace=str(self.here),
            command=command,
            inputs=inputs,
            outputs=outputs,
            log=str(self.here / "log"),
            **more,
        )
        sources: dict[str, bytes] = {}
        if bundle.module:
            code = CodeBase(str(self.here), [str(self.here)], {})
            sources = code.facts(bundle.module, bundle.function or "").sources
        bundle_sources.fill(bundle, tokens, contents, sources)
        return bundle

    def send(self, bundle: Bundle) -> None:
        for digest, source in bundle_sources.sources(bundle).items():
            if isinstance(source, bytes):
                assert self.store.add_bytes(source) == digest
            else:
                self.store.add(source, digest)
        assert not manifest.lacking(bundle, self.store.has)

    def run(self, bundle: Bundle) -> Outcome:
        before = os.getcwd()
        try:
            return run_attempt(bundle, str(self.there), self.store, ENVIRON)
        finally:
            os.chdir(before)

    def fetch(self, bundle: Bundle, outcome: Outcome) -> None:
        for digest in outcome_digests.wanted(outcome):
            self.blobs.add(self.store.path(digest), digest)
        fetch_results.place(bundle, outcome, self.blobs)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_inputs_lie_at_their_places_and_nothing_else(places: Places) -> None:
    name = os.fsdecode(b"in/\xff\n '\"x")
    (places.here / "in").mkdir()
    (places.here / name).write_bytes(b"odd")
    (places.here / "undeclared").write_text("no")
    tool = places.here / "tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    tree = places.here / "tree"
    (tree / "empty").mkdir(parents=True)
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "file").write_text("1")
    (tree / "link").symlink_to("deep/er/file")
    (places.here / "direct").symlink_to("in/target")
    (tree / "far").symlink_to("../in/target")
    elsewhere = places.here.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "f").write_text("!")
    (elsewhere / "l").symlink_to("f")
    (tree / "all").symlink_to(elsewhere)
    (places.here / "in" / "target").write_text("through a link")
    bundle = places.bundle(
        'find . -mindepth 1 -print0 | LC_ALL=C sort -z > "$TMPDIR/l"; mv "$TMPDIR/l" out/list; ./tool > out/tool; cat direct; test ! -L direct; cat tree/link tree/far tree/all/f; test -L tree/link; test ! -L tree/far',
        [name, "tool", "tree", "direct"],
        [("out/list", False), ("out/tool", False)],
    )
    places.send(bundle)
    outcome = places.run(bundle)
    assert outcome.ok, outcome.message
    places.fetch(bundle, outcome)
    listed = (places.here / "out" / "list").read_bytes()
    expected = [
        b"./direct",
        b"./in",
        b"./" + os.fsencode(name),
        b"./out",
        b"./tool",
        b"./tree",
        b"./tree/all",
        b"./tree/all/f",
        b"./tree/all/l",
        b"./tree/deep",
        b"./tree/deep/er",
        b"./tree/deep/er/file",
        b"./tree/empty",
        b"./tree/far",
        b"./tree/link",
    ]
    assert listed.split(b"\0")[:-1] == sorted(expected)
    assert (places.here / "out" / "tool").read_text() == "tool\n"
    assert (places.here / "log").read_text() == "through a link1through a link!"
    assert outcome.outputs == {p: Contents(str(places.here)).token(p) for p in ("out/list", "out/tool")}


def test_outputs_come_back_with_bits_links_and_empty_directories(places: Places) -> None:
    command = (
        "mkdir -p d/empty d/sub; echo x > d/sub/x; chmod +x d/sub/x; ln -s sub/x d/l;"
        " echo real > f; ln -s f link; printf '' > zero"
    )
    outputs = [("d", True), ("f", False), ("link", False), ("zero", False)]
    bundle = places.bundle(command, [], outputs)
    outcome = places.run(bundle)
    assert outcome.ok, outcome.message
    places.fetch(bundle, outcome)
    assert sorted(os.listdir(places.here / "d")) == ["empty", "l", "sub"]
    assert os.readlink(places.here / "d" / "l") == "sub/x"
    assert os.access(places.here / "d" / "sub" / "x", os.X_OK)
    assert os.readlink(places.here / "link") == "f"
    contents = Contents(str(places.here))
    assert outcome.outputs == {path: contents.own(path) for path, _ in outputs}


def test_environment_is_the_given_one_with_a_private_tmpdir(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_HERE", "1")
    bundle = places.bundle(
        'env | sort > e; echo "$TMPDIR" > t; touch "$TMPDIR/x"',
        [],
        [("e", False), ("t", False)],
        env={"OWN": "2"},
    )
    outcome = places.run(bundle)
    places.fetch(bundle, outcome)
    names = [line.partition("=")[0] for line in (places.here / "e").read_text().splitlines()]
    assert sorted(names) == ["F0MAKE_CPUS", "HOME", "OWN", "PATH", "PWD", "SHLVL", "TMPDIR", "_"]
    temporary = (places.here / "t").read_text().strip()
    assert temporary.startswith(str(places.there)) and not os.path.exists(temporary)


@pytest.mark.parametrize("command", ["exit 3", "mkdir -p a/b; chmod 500 a/b a; exit 1", "true"])
def test_nothing_stays_in_the_place(places: Places, command: str) -> None:
    outcome = places.run(places.bundle(command, [], [("never", False)]))
    assert not outcome.ok and not outcome.lost
    left = [os.path.join(d, f) for d, _, files in os.walk(places.there) for f in files]
    assert left == [] and sorted(os.listdir(places.there)) == ["logs", "scratch"]


def test_a_failure_brings_its_log_and_exit_code(places: Places) -> None:
    bundle = places.bundle("echo said; exit 7", [], [("never", False)])
    outcome = places.run(bundle)
    places.fetch(bundle, outcome)
    assert (outcome.ok, outcome.exit_code) == (False, 7)
    assert (places.here / "log").read_text() == "said\n"
    assert not (places.here / "never").exists()


def test_a_missing_blob_names_itself(places: Places) -> None:
    (places.here / "a").write_text("a")
    bundle = places.bundle("true", ["a"], [])
    with pytest.raises(BlobMissing) as caught:
        places.run(bundle)
    assert [caught.value.digest] == manifest.lacking(bundle, places.store.has)
    assert sorted(os.listdir(places.there)) == ["scratch"]


def test_a_python_step_finds_its_modules_and_the_base_classes(places: Places) -> None:
    (places.here / "pack").mkdir()
    (places.here / "pack" / "__init__.py").write_text("")
    (places.here / "pack" / "helper.py").write_text("WORD = 'helped'\n")
    (places.here / "pack" / "step.py").write_text(
        "from scriptlets.core.base import BaseScriptlet\n"
        "from pack.helper import WORD\n"
        "class Step(BaseScriptlet):\n"
        "    def run(self, ctx, params):\n"
        "        open('out', 'w').write(WORD + params['more'])\n"
        "        ctx.set('k', 1)\n"
        "        return 0\n"
    )
    bundle = places.bundle(
        None, [], [("out", False)], module="pack.step", function="Step", args={"more": "!"}
    )
    assert sorted(bundle.modules) == ["pack/__init__.py", "pack/helper.py", "pack/step.py"]
    places.send(bundle)
    outcome = places.run(bundle)
    assert outcome.ok, outcome.message
    places.fetch(bundle, outcome)
    assert (places.here / "out").read_text() == "helped!"
    assert [w["key"] for w in outcome.writes] == ["k"]


def test_an_input_outside_of_the_workspace_must_be_the_same_there(places: Places, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("1")
    bundle = places.bundle(f"cat {outside} > out", [str(outside)], [("out", False)])
    assert places.run(bundle).ok
    outside.write_text("2")
    outcome = places.run(bundle)
    assert outcome.lost and outcome.unfit and str(outside) in outcome.message
