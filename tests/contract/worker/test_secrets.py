"""`secrets:` reach the steps that list them, and nothing else: no log, no record, no message, no other step."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.worker.mask_secrets import Mask
from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0

SECRET = "hush-e1f0 'q\"$x"
RECIPE = f"""\
secrets:
  - TOKEN
  - FROM_FILE: token.txt
steps:
  - name: use
    secrets:
      - TOKEN
      - FROM_FILE
    outputs: used.txt
    run: |
      {TRACE}
      echo "it is $TOKEN and $FROM_FILE"
      python3 -c 'import os,sys,time
      for c in os.environ["TOKEN"]: sys.stdout.write(c); sys.stdout.flush(); time.sleep(0.005)'
      printf %s "$TOKEN$FROM_FILE" | sha256sum > used.txt
  - name: other
    outputs: other.txt
    run: |
      {TRACE}
      echo "$PPID ${{TOKEN-none}} ${{FROM_FILE-none}}" > other.txt
      cat /proc/[0-9]*/environ > all.bin 2>/dev/null || true
      cat /proc/[0-9]*/cmdline >> all.bin 2>/dev/null || true
"""


@pytest.fixture
def traced(f0: F0) -> Traced:
    """A workspace with the recipe and the secret that is a file."""
    found = Traced(f0.workspace)
    found.recipe(RECIPE)
    found.write("token.txt", "filed-77aa\n")
    return found


def everything(directory: Path) -> bytes:
    """All bytes that lie below ``directory``."""
    return b"\0".join(p.read_bytes() for p in directory.rglob("*") if p.is_file())


def test_a_secret_reaches_its_step_and_nothing_else(traced: Traced, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    here = {
        "TOKEN": SECRET,
        "HOME": str(home),
        "F0MAKE_CACHE_PASSWORD": "cache-pass-12",
        "F0MAKE_CACHE_USER": "u",
    }
    # As a shell starts it: the variables stand in f0make's own initial environment.
    result = traced("run", "recipe.yaml", "-v", "--debug", "--cache", str(tmp_path / "cache"), env=here)
    assert result.code == 0, result.stderr
    assert traced.executed() == ["other", "use"]
    want = subprocess.run(["sha256sum"], input=(SECRET + "filed-77aa").encode(), capture_output=True).stdout
    assert traced.read("used.txt").encode() == want
    assert traced.read("other.txt").split()[1:] == ["none", "none"]
    seen = traced.read("all.bin").encode("utf-8", "surrogateescape")
    assert b"cache-pass-12" not in seen
    rest = everything(traced.workspace / ".f0make") + everything(tmp_path / "cache")
    rest += (result.stdout + result.stderr).encode()
    report = traced("report", "recipe.yaml", "-o", "report.html", env=here)
    assert report.code == 0
    why = traced("why", "recipe.yaml", "use", env={**here, "TOKEN": "another"})
    log = traced("log", "use", "recipe.yaml", env=here)
    rest += traced.read("report.html").encode() + (why.stdout + why.stderr + log.stdout).encode()
    for secret in (SECRET, "filed-77aa", "cache-pass-12"):
        assert secret.encode() not in rest and json.dumps(secret)[1:-1].encode() not in rest
    assert "it is *** and ***" in log.stdout and log.stdout.rstrip().endswith("***")
    assert "secret.TOKEN" in why.stdout
    # It is part of the key.
    cache = ("--cache", str(tmp_path / "cache"))
    assert set(traced.run(*cache, env=here).states.values()) == {"current"}
    changed = traced.run(*cache, env={**here, "TOKEN": "another-1"})
    assert changed.states == {"use": "ran", "other": "current"}
    assert traced.run(*cache, env=here).states["use"] == "restored"


def test_no_process_of_f0make_shows_a_secret(traced: Traced) -> None:
    traced.write("recipe.yaml", RECIPE.replace("- name: other", "- name: other\n    depends_on: use"))
    traced.run(env={"TOKEN": "seen-by-nobody-5"})
    # The test's own environment has no such variable, so whatever shows it belongs to this run.
    assert "seen-by-nobody-5" not in traced.read("all.bin")


@pytest.mark.parametrize("how", ["unset", "empty", "no file", "empty file", "fifo"])
def test_a_missing_secret_ends_the_run_before_anything_runs(traced: Traced, how: str) -> None:
    environment = {} if how == "unset" else {"TOKEN": "" if how == "empty" else "x-1"}
    path = traced.workspace / "token.txt"
    if how in ("no file", "fifo"):
        path.unlink()
    if how == "fifo":
        import os

        os.mkfifo(path)
    if how == "empty file":
        path.write_text("\n")
    name = "TOKEN" if how in ("unset", "empty") else "FROM_FILE"
    result = traced("run", "recipe.yaml", env=environment, timeout=20)
    assert result.code == 2 and f"secret {name}" in result.stderr and "recipe.yaml:7" in result.stderr, result
    assert traced.executed() == []
    if how not in ("unset", "fifo"):
        return
    for words in (("validate", "recipe.yaml"), ("plan", "recipe.yaml"), ("why", "recipe.yaml", "use")):
        assert traced(*words, env=environment, timeout=20).code == 0
    assert traced.run("other", env=environment).states == {"other": "ran"}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("      - TOKEN\n      - FROM_FILE\n", "      - TOKEM\n", 7),
        ("  - TOKEN\n", "  - 1x\n", 2),
        ("  - FROM_FILE: token.txt\n", "  - a b: token.txt\n", 3),
        ("    secrets:\n      - TOKEN\n      - FROM_FILE\n", "    secrets: NONE\n", 6),
    ],
)
def test_names_that_cannot_be(traced: Traced, old: str, new: str, line: int) -> None:
    traced.edit("recipe.yaml", old, new)
    result = traced("validate", "recipe.yaml")
    assert result.code == 2 and f"recipe.yaml:{line}" in result.stderr, result.stderr


def test_a_failing_step_and_a_python_step(traced: Traced) -> None:
    traced.write(
        "mod.py",
        "import os\n\n\ndef main(how):\n    print('printed', os.environ['TOKEN'])\n"
        "    if how == 'raise':\n        raise ValueError('bad ' + os.environ['TOKEN'])\n",
    )
    traced.recipe(
        "secrets: TOKEN\nsteps:\n"
        + "".join(
            f"  - name: {how}\n    secrets: TOKEN\n    module: mod\n    function: main\n    args:\n      how: {how}\n"
            for how in ("raise", "return")
        )
        + "  - name: shell\n    secrets: TOKEN\n    run: echo $TOKEN >&2; exit 3\n"
    )
    result = traced("run", "recipe.yaml", "-k", "-v", "--json", env={"TOKEN": "py-secret-42"})
    assert result.code == 1
    shown = (
        result.stdout + result.stderr + everything(traced.workspace / ".f0make").decode("utf-8", "replace")
    )
    assert "py-secret-42" not in shown and "bad ***" in shown


def test_results_are_shared_between_those_who_share_a_key(traced: Traced, tmp_path: Path) -> None:
    def run(name: str, **more: str) -> dict[str, str]:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        traced.remove(".f0make"), traced.remove("used.txt")
        found = {"HOME": str(home), "XDG_CONFIG_HOME": "", "TOKEN": "t-1", **more}
        return traced.run("use", "--cache", str(tmp_path / "cache"), env=found).states

    traced.write(".f0make/x", ""), traced.write("used.txt", "")
    assert run("a") == {"use": "ran"}
    assert run("a") == {"use": "restored"}
    assert run("b") == {"use": "ran"}
    team = {"F0MAKE_SECRETS_KEY": "of the team"}
    assert run("a", **team) == {"use": "ran"}
    assert run("b", **team) == {"use": "restored"}


@given(
    st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3),
    st.text("abc\n"),
    st.integers(1, 5),
)
def test_however_a_stream_is_cut_no_secret_passes(secrets: list[str], text: str, size: int) -> None:
    mask, data = Mask(secrets), text.encode()
    out = b"".join(mask.feed(data[at : at + size]) for at in range(0, len(data), size)) + mask.rest()
    assert not any(part and secret.encode() in part for secret in secrets for part in out.split(b"***"))


@given(
    st.binary(min_size=6, max_size=90).filter(lambda b: b"\0" not in b),
    st.binary(max_size=4),
    st.binary(max_size=4),
    st.booleans(),
    st.sampled_from([0, 64, 76]),
)
def test_of_a_secret_in_base64_hardly_anything_is_left(
    secret: bytes, before: bytes, after: bytes, urlsafe: bool, width: int
) -> None:
    """Three letters at each end hold bits of what stands around it; lines are those of a secret by itself."""
    before, after = (b"", b"\n") if width else (before, after)
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(before + secret + after)
    lines = [text[at : at + width] for at in range(0, len(text), width)] if width else [text]
    mask = Mask([os.fsdecode(secret)])
    shown = mask.feed(b"\n".join(lines)) + mask.rest()
    left = b"".join(part for part in shown.replace(b"\n", b"").split(b"***"))
    assert len(left) <= (4 * len(before + after) + 2) // 3 + 4 + (10 if width else 2), (text, shown)


@pytest.mark.parametrize(
    "form",
    [
        json.dumps,
        lambda t: json.dumps(t, ensure_ascii=False),
        lambda t: json.dumps(t).replace("/", "\\/"),
        lambda t: json.dumps(t).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        urllib.parse.quote,
        urllib.parse.quote_plus,
        lambda t: re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(t, safe="")),
        repr,
        shlex.quote,
    ],
)
@pytest.mark.parametrize("secret", ["Zq/ü<x&y>'w\"v\\u", "line-one\nline-two\ttab"])
def test_a_secret_as_others_write_it(form: Callable[[str], str], secret: str) -> None:
    shown = Mask([secret]).text(f"before {form(secret)} after")
    assert shown.strip("beforat '\"") == "***", (form(secret), shown)


def test_a_line_in_a_longer_form_gives_nothing_away() -> None:
    """However it is cut: once its line was masked, the rest of the whole would no longer be found."""
    secret = "abcdef\nxy\nghijkl"
    for form in (secret, json.dumps(secret)[1:-1]):
        for cut in range(len(form)):
            mask = Mask([secret])
            shown = mask.feed(form[:cut].encode()) + mask.feed(form[cut:].encode()) + mask.rest()
            assert shown == b"***"


@pytest.mark.parametrize("secret", ["7", "ab", "xyz"])
def test_a_short_secret_is_masked_as_it_is(secret: str) -> None:
    mask = Mask([secret])
    assert mask.text(f"a {secret} b") == "a *** b"
    for text in ("YWJheHl6", base64.b64encode(secret.encode()).decode(), "N3", "YW"):
        assert mask.text(text) == text  # so short a code stands there by chance


@pytest.mark.parametrize(
    ("secret", "said", "hidden"),
    [
        ("first-line\nsecond", "echo second; echo first-line", "second"),
        ("{\n  key\n}", "echo a key; echo '{ }'", "key "),
        ("one1\r\ntwo2\r\n", "echo x one1; echo two2 y", "two2"),
    ],
)
def test_each_line_of_a_secret(traced: Traced, secret: str, said: str, hidden: str) -> None:
    traced.write("cred", secret)
    traced.recipe(f"secrets:\n  - C: cred\nsteps:\n  - name: s\n    secrets: C\n    run: |\n      {said}\n")
    assert traced("run", "recipe.yaml").code == 0
    log = traced("log", "s", "recipe.yaml").stdout
    if hidden == "key ":  # of three letters, and braces: what stands everywhere says nothing
        assert "a key" in log and "{ }" in log
    else:
        assert log.count("***") == 2 and hidden not in log


def test_a_secret_in_other_clothes(traced: Traced) -> None:
    """As Python, JSON, `set -x` and an address write it; and each longer line of one that has several."""
    traced.write("cred", "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n")
    script = (
        "import json, os, urllib.parse as u; t = os.environ['T']; print(repr(t), json.dumps(t), u.quote(t))"
    )
    traced.recipe(
        "secrets:\n  - T\n  - C: cred\nsteps:\n  - name: s\n    secrets:\n      - T\n      - C\n    run: |\n"
        f'      python3 -c "{script}"\n      set -x\n      : "$T"\n      echo "$C" | sed "s/^/> /"\n'
    )
    traced("run", "recipe.yaml", env={"T": "hush 'it' \\ \"is\" e1f0/ü"})
    log = traced("log", "s", "recipe.yaml").stdout
    assert "***" in log and not any(part in log for part in ("e1f0", "line-of-it")), log


# What a shared cache offers is for the platform that made it.

PLATFORM = f"""\
steps:
  - name: shell
    outputs: a.txt
    run: |
      {TRACE}
      echo a > a.txt
  - name: python
    module: mod
    function: main
    outputs: b.txt
  - name: anywhere
    any_platform: yes
    outputs: c.txt
    run: |
      {TRACE}
      echo c > c.txt
"""


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ("pass", {"shell", "python", "anywhere"}),
        ("platform.machine = lambda: 'linux riscv64'", {"anywhere"}),
        ("platform.machine = lambda: 'darwin x86_64'", {"anywhere"}),
        ("platform.ForPlatform._python = lambda self, declared: '3.99'", {"shell", "anywhere"}),
    ],
)
def test_a_shared_cache_hands_out_what_fits_this_platform(
    f0: F0, tmp_path: Path, change: str, shared: set[str]
) -> None:
    code = (
        "import sys\nfrom f0make.cache import platform_keys as platform\n"
        f"{change}\n"
        "from f0make.executor import Executor\n"
        "r = Executor(workspace=sys.argv[1], cache=sys.argv[2], jobs=1).execute('recipe.yaml')\n"
        "print(*(n for n, s in r.steps.items() if s == 'restored'), r.status)"
    )
    for name in ("one", "two"):
        here = Traced(tmp_path / name)
        here.workspace.mkdir()
        here.recipe(PLATFORM)
        here.write("mod.py", "def main():\n    open('b.txt', 'w').write('b')\n")
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code if name == "two" else code.replace(change, "pass"),
                str(here.workspace),
                str(tmp_path / "cache"),
            ],
            env=f0.environment({"TRACE": str(tmp_path / "trace")}),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) - {"ok"} == shared
    here = Traced(tmp_path / "one")
    assert set(here.run("--cache", str(tmp_path / "cache")).states.values()) == {"current"}
