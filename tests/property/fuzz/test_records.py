"""Records, logs and histories that others wrote: whatever stands there, it is taken or left out, and nothing is raised."""

from __future__ import annotations

import json
import os
import random
import tempfile
import zlib
from pathlib import Path
from typing import Any

from f0make.backends.ssh import check_answers
from f0make.cache.http.action_result import NotAnAction, parse
from f0make.cache.shared_records import ActionCache, foreign_record
from f0make.fast_dataclass import fields
from f0make.files.content_digest import tree_token
from f0make.store import log_lines
from f0make.store.record_store import Store
from f0make.store.run_history import read_runs
from f0make.store.validate_record import valid_line, valid_path, valid_run, valid_tree
from f0make.worker.agent.wire_format import Garbled
from f0make.worker.bundle import Bundle, Outcome
from tests.property.fuzz.running import fuzz, mutate, odd

KEY, TOKEN = "b" * 64, "a" * 64
TREE = {"sub/file": TOKEN + "x", "empty": "/", "link": "@" + TOKEN}
RECORD: dict[str, Any] = {
    "key": KEY,
    "instance": "copy[n=1]",
    "step": "copy",
    "parts": {
        "command": "cp a b",
        "outputs": ["d/", "f"],
        "args.n": [1, {"a": None}],
        "env.X": "y",
        "code": None,
    },
    "inputs": {"in": TOKEN, "../up": TOKEN, "/usr/x": TOKEN},
    "discovered": {"/usr/include/x.h": TOKEN, "gone": "-"},
    "reads": {"k": [1, 2.5]},
    "missing_reads": ["m"],
    "writes": [{"key": "k", "value": {"deep": [1]}, "who": "w", "when": 1.5}],
    "outputs": {"d": tree_token(TREE), "f": TOKEN},
    "trees": {"d": TREE},
    "sources": {"m.py": TOKEN},
    "run": "r",
    "attempt": 1,
    "started": 1.7e9,
    "seconds": 0.5,
    "cpu_seconds": 0.1,
    "peak_mem": 12,
    "read": 0,
    "written": 5,
    "host": "",
    "test_meta": {"tester": "t"},
    "energy_kwh": 0.1,
}
LINES: dict[str, Any] = {
    "record": RECORD,
    "begin": {"instance": "copy", "token": "r/1", "outputs": ["f", "d/x"]},
    "made": {"instance": "copy", "paths": {"f": TOKEN, "d": tree_token(TREE)}, "key": KEY},
    "gone": {"paths": ["f"]},
    "fail": {"instance": "copy", "token": "r/1", "lost": True},
    "forget": {"key": KEY, "instances": ["copy"], "variant": "0" * 16},
    "header": {"format": 1, "id": "x"},
    "strange": {"anything": 1},
}
RUN: dict[str, Any] = {
    **{
        "event": "summary",
        "status": "failed",
        "ran": 1,
        "failed": 1,
        "seconds": 0.5,
        "run": "r",
        "recipe": "r.yaml",
    },
    **{"targets": ["t"], "started": 1.7e9, "steps": {"copy": "failed"}, "test_meta": {}, "peak_mem": 5},
    "failures": {
        "copy": {"reason": "exit code 1", "exit_code": 1, "started": 1.7e9, "seconds": 0.5, "host": "h"}
    },
}


def line(kind: str, payload: object) -> bytes:
    """A line with a right checksum around whatever ``payload`` is."""
    body = f"{kind} ".encode() + json.dumps(payload).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def mutated(value: object, source: random.Random) -> object:
    """``value`` after one to three changes."""
    for _ in range(source.randrange(1, 4)):
        value = mutate(value, source)
    return value


def garbled(data: bytes, source: random.Random) -> bytes:
    """``data`` with some bytes changed, some lost and some doubled."""
    found = bytearray(data)
    for _ in range(source.randrange(4)):
        at = source.randrange(len(found) + 1)
        found[at : at + source.randrange(3)] = bytes(
            source.randrange(256) for _ in range(source.randrange(3))
        )
    return bytes(found)


def test_the_seeds_are_sound() -> None:
    assert foreign_record(line("record", RECORD), KEY) == RECORD
    with tempfile.TemporaryDirectory() as place:
        Path(place, ".f0make").mkdir()
        head = log_lines.encode(log_lines.HEADER, {"format": 1, "id": "x"})
        seeds = [line(kind, payload) for kind, payload in LINES.items() if kind != "header"]
        Path(place, ".f0make", "records.log").write_bytes(head + b"".join(seeds))
        Path(place, ".f0make", "runs.log").write_bytes(line("run", RUN))
        with Store(place, readonly=True) as store:
            assert store.damage == [] and store.recorded
        assert read_runs(place) == [RUN]


def test_records_of_a_cache() -> None:
    with tempfile.TemporaryDirectory() as place:
        shelf = Path(place, "ac", KEY[:2], KEY)
        shelf.mkdir(parents=True)

        def once(source: random.Random) -> None:
            data = garbled(line("record", mutated(RECORD, source)), source) if source.random() < 0.2 else b""
            (shelf / "x").write_bytes(data or line("record", mutated(RECORD, source)))
            for record in ActionCache(place).find(KEY):
                assert record["key"] == KEY and all(map(valid_path, record.get("outputs", {})))
                for path, tree in record.get("trees", {}).items():
                    assert valid_tree(tree) and tree_token(tree) == record["outputs"][path]
                    for name in tree:
                        assert not os.path.normpath(f"{path}/{name}").startswith("..")
                log_lines.encode("record", record)

        fuzz(once)


def test_what_is_taken_from_a_host_can_be_read_back() -> None:
    """An answer that is believed gives a record that holds for the log, and so for every later run."""
    empty = Outcome("", True)
    names = [field.name for field in fields(Outcome)]
    good: dict[str, Any] = {name: getattr(empty, name) for name in names}
    good |= {name: value for name, value in RECORD.items() if name in names and name != "discovered"}
    good |= {"token": "t/1", "ok": True, "stored": True, "times": {"f": 5, "d": {"": 7}}, "python": "3.11"}
    good |= {"discovered": ["in/x", "/usr/include/x.h"], "absent": ["m/__init__.py"]}
    bundle = Bundle("t/1", "s", "s", 1, "shell", "", outputs=[("d", True), ("f", False)], trees={"in": {}})
    taken = 0

    def once(source: random.Random) -> None:
        nonlocal taken
        values = list(good.values())
        answer = json.dumps([mutated(values, source) if taken else values, {}])
        try:
            outcome, _ = check_answers.outcome_of(answer.encode(), {"t/1": bundle}.get)
        except Garbled:
            return
        taken += 1
        record = {name: getattr(outcome, name) for name in RECORD.keys() & set(names)}
        record |= {"discovered": dict.fromkeys([*outcome.discovered, *outcome.absent], "-")}
        about = {name: getattr(outcome, name) for name in ("exit_code", "started", "seconds", "peak_mem")}
        for kind, payload in (
            ("record", {**record, "key": KEY, "instance": "s"}),
            ("run", {**RUN, "failures": {"s": about}}),
        ):
            found = log_lines.decode(log_lines.encode(kind, payload))
            assert found is not None and (valid_line(*found) if kind == "record" else valid_run(found[1]))

    fuzz(once)
    assert taken > 1


def test_a_log_that_came_with_the_workspace() -> None:
    with tempfile.TemporaryDirectory() as place:
        state = Path(place, ".f0make")
        state.mkdir()

        def once(source: random.Random) -> None:
            data = log_lines.encode(log_lines.HEADER, {"format": 1, "id": "x"})
            for _ in range(source.randrange(1, 6)):
                kind = source.choice(list(LINES))
                data += line(kind, mutated(LINES[kind], source))
            (state / "records.log").write_bytes(garbled(data, source) if source.random() < 0.2 else data)
            for readonly in (True, False):
                with Store(place, readonly=readonly) as store:
                    ask_everything(store)
            (state / "records.idx").unlink(missing_ok=True)

        fuzz(once)


def ask_everything(store: Store) -> None:
    """Whatever a run and the verbs ask of a store."""
    for recipe, instance in store.instances():
        record = store.latest(instance, recipe)
        if record is not None:
            assert all(map(valid_path, record.get("outputs", {})))
            store.find(record["key"])
        store.stats(instance)
        store.spared(instance)
        store.last_fail(instance, recipe)
        store.step_stats(instance.partition("[")[0])
    for begun in store.open_begins():
        assert all(map(valid_path, begun.get("outputs", []))) and isinstance(begun.get("token", ""), str)
    for path, token in store.made.items():
        assert valid_path(path)
        store.maker(path)
        store.tree(token)
    if not store.readonly:
        store.append_gone(list(store.made)[:1])
        store.flush()


def test_a_history_that_came_with_the_workspace() -> None:
    import time

    with tempfile.TemporaryDirectory() as place:
        Path(place, ".f0make").mkdir()

        def once(source: random.Random) -> None:
            Path(place, ".f0make", "runs.log").write_bytes(line("run", mutated(RUN, source)))
            for run in read_runs(place):
                for about in (run, *(run.get("failures") or {}).values()):
                    time.localtime(about.get("started") or 0)
                    int(about.get("seconds") or 0)

        fuzz(once, 1.0)


def test_answers_of_a_server() -> None:
    answer = {"outputFiles": [{"path": "f0make-record/x", "digest": {"hash": TOKEN, "sizeBytes": "5"}}] * 2}

    def once(source: random.Random) -> None:
        data = json.dumps(mutated(answer, source)).encode()
        if source.random() < 0.5:
            data = garbled(data, source)
        elif source.random() < 0.5:
            data = bytes(source.randrange(256) for _ in range(source.randrange(40)))
        try:
            files = parse(data)
        except NotAnAction:
            return
        assert all(len(file.digest) == 64 and file.size >= 0 for file in files)

    fuzz(once, 1.0)


def test_odd_values_alone() -> None:
    def once(source: random.Random) -> None:
        for kind in LINES:
            foreign_record(line(kind, odd(source)), KEY)

    fuzz(once, 0.5)
