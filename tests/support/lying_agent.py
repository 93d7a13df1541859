"""A host's side of the wire that lies: `python3 lying_agent.py LIE`, started by sshd in the place of any command.

It needs `names.json` beside it: the fields of a bundle, and an outcome's with their defaults. Each lie is a function
of the first bundle that arrives; what it returns is sent.
"""

import base64
import hashlib
import json
import os
import struct
import sys
import zlib

HELLO, BUNDLE, PING, FETCH, STOP = 1, 2, 8, 4, 9
UP, WANT, OUTCOME, GONE, PONG, TROUBLE, BYE, BAD, PACK, PART = 20, 21, 22, 23, 24, 25, 26, 27, 40, 41
HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {}
ABOUT = {"python": "3.11.2", "slots": 1, "cores": 1, "free": 1 << 40, "workdir": "/w", "noexec": False}
SECRET = hashlib.sha256(b"a secret of this machine\n").hexdigest()
ELSE = hashlib.sha256(b"else").hexdigest()


def frame(kind, payload=b""):
    return struct.pack(">IB", len(payload), kind) + payload


def text(kind, value):
    return frame(kind, value if isinstance(value, bytes) else json.dumps(value).encode())


def outcome(bundle, sizes=None, **fields):
    good = {"ok": True, "outputs": {"s": ELSE}, "stored": True, "started": 1.0, "token": bundle["token"]}
    values = {**NAMES["outcome"], **good, **fields}
    return text(OUTCOME, [list(values.values()), {ELSE: 4} if sizes is None else sizes])


def tree(bundle, entries):
    token = hashlib.sha256()
    for name, entry in sorted(entries.items()):
        token.update(name.encode() + b"\0" + entry.encode() + b"\n")
    return outcome(bundle, outputs={"s": token.hexdigest() + "/"}, trees={"s": entries})


def pack(*contents, digests=None):
    names = digests or [hashlib.sha256(data).digest() for data in contents]
    body = struct.pack(">I", len(contents))
    body += b"".join(
        struct.pack(">32sI", name, len(data)) for name, data in zip(names, contents, strict=True)
    )
    return frame(PACK, b"\0" + body + b"".join(contents))


def part(data, digest=ELSE, flags=0):
    return frame(PART, bytes([flags]) + bytes.fromhex(digest) + data)


WRITE = {"key": "k", "value": 1, "who": "s", "when": 1.5}


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def replaced(message, old, new):
    """``message`` with other text in its JSON than a JSON encoder writes."""
    size, kind = struct.unpack_from(">IB", message)
    return frame(kind, message[5 : 5 + size].replace(old, new))


BEFORE = {
    "slots without end": text(UP, {**ABOUT, "slots": 10**9}),
    "slots that are none": text(UP, b'{"python":"3.11.2","slots":NaN}'),
    "a list for an object": text(UP, [ABOUT]),
    "no version": text(UP, {**ABOUT, "python": "\x1b]0;x\x07"}),
    "an outcome first": text(OUTCOME, []),
    "a frame without end": struct.pack(">IB", 0xFFFFFFFF, UP),
    "trouble in colours": text(TROUBLE, "\x1b[31mred\x1b[0m \u202eback\x9bm"),
}
"""Said in the place of UP."""

LIES = {
    "another output": lambda b: outcome(b, outputs={"s": ELSE, "../../.bashrc": ELSE}),
    "no output": lambda b: outcome(b, outputs={}),
    "an output of no content": lambda b: outcome(b, outputs={"s": "../../etc/passwd"}),
    "a number for a content": lambda b: outcome(b, outputs={"s": 5}),
    "a directory for a file": lambda b: tree(b, {"a": ELSE}),
    "a name that climbs": lambda b: tree(b, {"../a": ELSE}),
    "a file below a link": lambda b: tree(b, {"a": "@" + ELSE, "a/b": ELSE}),
    "a file below a file": lambda b: tree(b, {"a": ELSE, "a/b": ELSE}),
    "no time": lambda b: outcome(b, seconds=float("nan")),
    "time without end": lambda b: outcome(b, cpu_seconds=float("inf")),
    "time that is text": lambda b: outcome(b, seconds="1"),
    "time before": lambda b: outcome(b, cpu_seconds=-1.0),
    "memory without end": lambda b: outcome(b, peak_mem=10**400),
    "a time after all calendars": lambda b: outcome(b, started=2e11),
    "memory that no record holds": lambda b: outcome(b, peak_mem=2**62 + 1),
    "an exit code without end": lambda b: outcome(b, ok=False, exit_code=1 << 64),
    "a read without end": lambda b: replaced(outcome(b, reads={"k": 12345.5}), b"12345.5", b"1e99999"),
    "a read of half a character": lambda b: replaced(outcome(b, reads={"k": "HALF"}), b"HALF", b"\\ud83d"),
    "a write of great depth": lambda b: outcome(b, writes=[{**WRITE, "value": nested(250)}]),
    "a write of nothing": lambda b: outcome(b, writes=[{**WRITE, "key": ""}]),
    "an exit code that is text": lambda b: outcome(b, ok=False, exit_code="1"),
    "a message that is a list": lambda b: outcome(b, message=["x"]),
    "good and lost": lambda b: outcome(b, lost=True),
    "writes that are none": lambda b: outcome(b, writes=[{"key": 5}]),
    "reads that are none": lambda b: outcome(b, reads=5),
    "prerequisites that are none": lambda b: outcome(b, discovered=[5]),
    "a log that is a path": lambda b: outcome(b, log="/etc/passwd"),
    "another token": lambda b: outcome(b, token="x/1"),
    "a machine that is none": lambda b: outcome(b, machine="\x1b[31m"),
    "a version that is none": lambda b: outcome(b, python="4"),
    "no token": lambda b: outcome(b, token=[1]),
    "an outcome twice": lambda b: outcome(b) + outcome(b),
    "fields that lack": lambda b: text(OUTCOME, [[1, 2], {}]),
    "depth without end": lambda b: text(OUTCOME, b"[" * 200_000),
    "sizes that are none": lambda b: outcome(b, {ELSE: -1}),
    "more than the disk holds": lambda b: outcome(b, {ELSE: 10**17}),
    "no JSON": lambda b: text(OUTCOME, b"{"),
    "no UTF-8": lambda b: text(OUTCOME, b'"\xff"'),
    "asks for a file": lambda b: text(WANT, ["/etc/passwd"]),
    "asks for a secret": lambda b: text(WANT, [SECRET]),
    "asks a thousand times": lambda b: text(WANT, [b["contents"]["in"]]) * 1000,
    "complains of a secret": lambda b: text(BAD, [SECRET]),
    "lost what nobody wants": lambda b: text(GONE, [ELSE]),
    "contents unasked": lambda b: pack(b"unasked") + frame(PONG),
    "contents beside a result": lambda b: pack(b"else", b"more") + outcome(b),
    "a pack that is none": lambda b: frame(PACK, b"\0\xff\xff\xff\xff"),
    "a piece unasked": lambda b: part(b"else"),
    "a piece without a digest": lambda b: frame(PART, b"\0abc"),
    "a bomb": lambda b: outcome(b) + part(zlib.compress(bytes(60 << 20), 9), flags=1),
    "more than announced": lambda b: outcome(b) + part(b"else and more"),
    "two at one time": lambda b: outcome(b) + part(b"e") + part(b"x", SECRET),
    "a frame without end later": lambda b: struct.pack(">IB", 0x7FFFFFFF, OUTCOME),
    "a large frame of a small kind": lambda b: struct.pack(">IB", 0xFFFF, PONG),
    "a kind that is none": lambda b: frame(99),
    "begins anew": lambda b: text(UP, ABOUT),
    "goodbye": lambda b: frame(BYE),
    "trouble later": lambda b: BEFORE["trouble in colours"],
}
"""Said when the first bundle has come."""


def messages():
    data = b""
    while True:
        got = os.read(0, 1 << 16)
        if not got:
            return
        data += got
        while len(data) >= 5:
            size, kind = struct.unpack_from(">IB", data)
            if len(data) < 5 + size:
                break
            yield kind, data[5 : 5 + size]
            data = data[5 + size :]


def say(data):
    while data:
        data = data[os.write(1, data) :]


def main(lie):
    about = os.environ["SSH_ORIGINAL_COMMAND"].split()[-1].rstrip("'")
    mark = json.loads(base64.b64decode(about))["mark"]
    say(f'\n{mark} {{"state": "ready", "python": "3.11.2"}}\n'.encode())
    for kind, payload in messages():
        if kind == HELLO:
            say(BEFORE.get(lie, text(UP, ABOUT)))
        elif kind == PING:
            say(frame(PONG))
        elif kind == BUNDLE:
            say(LIES[lie](dict(zip(NAMES["bundle"], json.loads(payload), strict=True))))
        elif kind == STOP:
            say(frame(BYE))
            return


if __name__ == "__main__":
    with open(os.path.join(HERE, "names.json")) as file:
        NAMES.update(json.load(file))
    with open(sys.argv[1]) as file:
        main(file.read())
