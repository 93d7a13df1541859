"""Whether what others may have written has the form that f0make writes itself. Pure.

Everything that comes from elsewhere passes here before it is used: lines of the logs in `.f0make` (a clone, a tarball or a
shared disk may have brought them), records of shared caches, what hosts and workers of clusters answer, and what a python
step says of itself. What does not fit counts as if it were not there. Forms stand here and nowhere else, so that whatever is
taken from a host can be read back from the log; what an answer may say about *its* step is seen to by `backends.ssh.check_answers`.
`compact.loads` has seen to the JSON itself: its depth, its numbers, text that cannot be encoded. Part of what is sent to hosts.
"""

from __future__ import annotations

from f0make import STATE
from f0make.files.content_digest import EMPTY_DIR, tree_token
from f0make.files.times_and_modes import sound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

MOST_PATH = 4096
"""Bytes of a path, and …"""
MOST_NAME = 255
"""… of each of its names: the limits of Linux, beyond which no file can lie there."""
MOST_TOKEN = 256 + 66 * 40
"""Characters: a link's token holds that of what it leads to."""
MOST_SECONDS = 1e12
"""What a time, a duration or an amount of energy may come to; as a date that is far beyond all calendars."""
MOST_BYTES = 1 << 62
_HEX = "0123456789abcdef"
_SECONDS = ("seconds", "cpu_seconds", "energy_kwh", "carbon_g", "saved_seconds", "saved_energy_kwh")
_SIZES = ("peak_mem", "read", "written", "attempt")
_TEXTS = ("step", "run", "host", "reason", "variant", "python")
_CLOCK = 1e11
"""Unix time; the year 5138."""
_WORD = 1 << 63
"""What a function returns, or a process ends with, lies between this and its negative."""


def valid_path(path: Any) -> bool:
    """Whether ``path`` can be that of an output: relative and normalised, in the workspace, not in `.f0make`."""
    return valid_name(path) and path.partition("/")[0] != STATE


def valid_name(name: Any) -> bool:
    """Whether ``name`` leads downwards from a directory: no `..`, no empty part, nothing that no file can be called."""
    if type(name) is not str or not name or "\0" in name:
        return False
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return False
    if len(name) <= MOST_NAME and name.isascii():
        return True
    return _encodable(name) and all(_bytes(part) <= MOST_NAME for part in parts)


def valid_place(path: Any) -> bool:
    """Whether ``path`` can be that of an input: as `valid_name`, or normalised and outside of the workspace."""
    if type(path) is not str:
        return False
    while path[:3] == "../":
        path = path[3:]
    return valid_name(path[1:] if path[:1] == "/" else path)


def valid_discovery(path: Any) -> bool:
    """As `valid_place`, or such a directory, or the workspace, with a slash: the modules in it."""
    listing = type(path) is str and len(path) > 1 and path[-1] == "/"
    return path == "./" or valid_place(path[:-1] if listing else path)


def valid_token(token: Any) -> bool:
    """Whether ``token`` is that of a file or of a symlink."""
    if type(token) is not str or len(token) > MOST_TOKEN:
        return False
    if token[:1] == "@":
        return _is_hex(token[1:65]) and (len(token) == 65 or (token[65] == "+" and token.isprintable()))
    return _is_hex(token[:64]) and token[64:] in ("", "x")


def valid_tree(tree: Any) -> bool:
    """Whether ``tree`` (relative path -> token) can be that of a directory: no entry lies below another."""
    if type(tree) is not dict:
        return False
    for name, token in tree.items():
        if not valid_name(name) or not (token == EMPTY_DIR or valid_token(token)):
            return False
    return not _nested(tree)


def valid_outputs(outputs: Any, trees: Any) -> bool:
    """Whether ``outputs`` (path -> token) and ``trees`` (for each directory among them) belong together."""
    if type(outputs) is not dict or type(trees) is not dict or not trees.keys() <= outputs.keys():
        return False
    for path, token in outputs.items():
        if not valid_path(path):
            return False
        if path in trees:
            if not _is_tree_token(token) or not valid_tree(trees[path]):
                return False
        elif not valid_token(token):
            return False
    return len(outputs) < 2 or not _nested(outputs)


def own_trees(outputs: Mapping[str, str], trees: Mapping[str, dict[str, str]]) -> bool:
    """Whether each of ``trees`` (valid ones) is the directory that the token of its output says."""
    return all(tree_token(tree) == outputs[path] for path, tree in trees.items())


def valid_record(record: Any) -> bool:
    """Whether ``record`` has the form of a record."""
    if not _has_instance(record) or not valid_digest(record.get("key")):
        return False
    get = record.get
    if not valid_parts(get("parts", {})) or not _map_of(get("inputs", {}), valid_place, _is_short):
        return False
    if not _map_of(get("discovered", {}), valid_discovery, _is_short):
        return False
    if not _map_of(get("sources", {}), _is_text, valid_digest):
        return False
    return _map_of(get("test_meta", {}), _is_text, _is_text) and not wrong_result(record)


def wrong_result(result: Mapping[str, Any]) -> str:
    """What of ``result`` has another form than a record's has, in words; empty when all is well.

    It may be a record, or the fields of an outcome, which become one.
    """
    get = result.get
    if not valid_outputs(get("outputs", {}), get("trees", {})):
        return "outputs"
    if not sound(result):
        return "times or rights of its outputs"
    if not valid_measures(result):
        return "times, sizes or names"
    return wrong_context(get("reads", {}), get("missing_reads", []), get("writes", []))


def wrong_context(reads: Any, missing: Any, writes: Any) -> str:
    """Which of what a step read from the context, missed there and wrote has another form; empty: none."""
    if type(reads) is not dict or not valid_texts(missing):
        return "reads"
    return "" if type(writes) is list and all(map(_is_write, writes)) else "writes"


def valid_measures(record: Mapping[str, Any]) -> bool:
    """Whether the times, sizes and names that ``record`` holds are some."""
    get = record.get
    for name in _TEXTS:
        if type(get(name, "")) is not str:
            return False
    for name in _SECONDS:
        if not _is_number(get(name), MOST_SECONDS):
            return False
    for name in _SIZES:
        if not _is_number(get(name), MOST_BYTES):
            return False
    return _is_number(get("started"), _CLOCK)


def valid_digest(text: Any) -> bool:
    """Whether ``text`` is a SHA-256 in hex."""
    return type(text) is str and _is_hex(text)


def valid_texts(texts: Any) -> bool:
    """Whether ``texts`` is a list of texts."""
    return type(texts) is list and all(map(_is_text, texts))


def valid_exit_code(code: Any) -> bool:
    """Whether ``code`` is what a process or a function can have ended with; None where nothing is known."""
    return code is None or (type(code) is int and -_WORD <= code < _WORD)


def valid_parts(parts: Any) -> bool:
    """Whether ``parts`` can be those of a key (`f0make.plan.key`): what is text there is text."""
    if type(parts) is not dict:
        return False
    for name, value in parts.items():
        if type(value) is str:
            continue
        if name == "outputs":
            if not valid_texts(value):
                return False
        elif not (name == "success" or name.startswith("args.") or (value is None and name == "code")):
            return False
    return True


def valid_line(kind: str, payload: Any) -> bool:
    """Whether ``payload`` is what a line of type ``kind`` in the record log has; unknown types have anything."""
    check = _LINES.get(kind)
    return check is None or check(payload)


def valid_run(run: Any) -> bool:
    """Whether ``run`` is what a line of the history has."""
    if type(run) is not dict or not valid_measures(run) or not _is_text(run.get("recipe", "")):
        return False
    targets, failures = run.get("targets", []), run.get("failures", {})
    if not valid_texts(targets):
        return False
    if not all(_is_number(run.get(name), MOST_BYTES) for name in _COUNTS):
        return False
    if not _map_of(run.get("steps", {}), _is_instance, _is_text) or not _is_text(run.get("status", "")):
        return False
    return _map_of(failures, _is_instance, _is_failure)


def fits(record: Mapping[str, Any], outputs: Iterable[tuple[str, bool]]) -> bool:
    """Whether ``record`` is about just these ``outputs``: (path, whether it is declared as a directory)."""
    tokens = record.get("outputs", {})
    declared = dict(outputs)
    return tokens.keys() == declared.keys() and all(
        tokens[path].endswith("/") for path, directory in declared.items() if directory
    )


# Parts.


def _begin(payload: Any) -> bool:
    if not _has_instance(payload) or type(payload.get("token", "")) is not str:
        return False
    outputs = payload.get("outputs", [])
    return type(outputs) is list and all(map(valid_path, outputs))


def _made(payload: Any) -> bool:
    return (
        type(payload) is dict
        and _is_recipe(payload.get("instance"))
        and _is_recipe(payload.get("recipe", ""))
        and type(payload.get("key", "")) is str
        and _map_of(payload.get("paths"), valid_path, _is_output_token)
    )


def _gone(payload: Any) -> bool:
    return (
        type(payload) is dict
        and type(payload.get("paths")) is list
        and all(map(valid_path, payload["paths"]))
    )


def _fail(payload: Any) -> bool:
    return _has_instance(payload) and type(payload.get("token", "")) is str and valid_measures(payload)


def _forget(payload: Any) -> bool:
    if type(payload) is not dict or not valid_digest(payload.get("key")):
        return False
    instances, variant = payload.get("instances", []), payload.get("variant")
    return (
        type(instances) is list and all(map(_is_named, instances)) and (variant is None or _is_text(variant))
    )


def _is_named(value: Any) -> bool:
    """An instance alone, as format 1 names it, or (recipe, instance)."""
    return _is_instance(value) or (
        type(value) is list and len(value) == 2 and _is_recipe(value[0]) and _is_instance(value[1])
    )


_LINES = {
    "record": valid_record,
    "begin": _begin,
    "made": _made,
    "gone": _gone,
    "fail": _fail,
    "forget": _forget,
}
_COUNTS = ("ran", "restored", "current", "failed", "skipped", "cancelled")


def _has_instance(payload: Any) -> bool:
    return (
        type(payload) is dict
        and _is_instance(payload.get("instance"))
        and _is_recipe(payload.get("recipe", ""))
    )


def _is_recipe(path: Any) -> bool:
    return type(path) is str and "\0" not in path


def _is_instance(name: Any) -> bool:
    return type(name) is str and name != "" and "\0" not in name


def _is_failure(about: Any) -> bool:
    return type(about) is dict and valid_measures(about) and valid_exit_code(about.get("exit_code"))


def _is_write(write: Any) -> bool:
    return (
        type(write) is dict
        and type(write.get("key")) is str
        and write["key"] != ""
        and "value" in write
        and type(write.get("who", "")) in (str, type(None))
        and _is_number(write.get("when"), _CLOCK)
    )


def _map_of(value: Any, key: Any, item: Any) -> bool:
    return type(value) is dict and all(map(key, value)) and all(map(item, value.values()))


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_short(token: Any) -> bool:
    return type(token) is str and len(token) <= MOST_TOKEN


def _is_hex(text: str) -> bool:
    return len(text) == 64 and not text.strip(_HEX)


def _is_tree_token(token: Any) -> bool:
    return type(token) is str and token[64:] == "/" and _is_hex(token[:64])


def _is_output_token(token: Any) -> bool:
    return _is_tree_token(token) or valid_token(token)


def _is_number(value: Any, most: float) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= most)


def _encodable(text: str) -> bool:
    try:
        return len(text.encode("utf-8", "surrogateescape")) <= MOST_PATH
    except UnicodeEncodeError:
        return False


def _bytes(part: str) -> int:
    return len(part.encode("utf-8", "surrogateescape"))


def _nested(paths: Collection[str]) -> bool:
    """Whether one of ``paths`` lies below another one of them."""
    seen: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in seen:
            if above in paths:
                return True
            seen.add(above)
            above = above.rpartition("/")[0]
    return False
