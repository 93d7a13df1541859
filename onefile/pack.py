"""From shiv's archive to the zipapp: shiv's parts stay, the packages become one inner archive, front.py comes first."""

from __future__ import annotations

import io
import json
import marshal
import re
import time
import zipfile
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

from onefile import front
from onefile.unpack import INNER

EPOCH = 315_532_800
"""1980-01-01, the oldest time that a zip file can hold."""
_HERE = Path(__file__).parent
_PACKAGES = "site-packages/"
_METADATA = re.compile(r"site-packages/[^/]+\.dist-info/METADATA")
"""Stays readable from outside, so that it can be seen what a zipapp holds: a name and a version for each package."""


def repack(shivs: Path, target: Path, entry: str, interpreter: str, libc: str) -> None:
    """Write ``target`` from the archive ``shivs``. See front.py and unpack.py for what it does and why."""
    with zipfile.ZipFile(shivs) as archive:
        build = json.loads(archive.read("environment.json"))["build_id"]
        words = {"BUILT_FOR": front.here(), "LIBC": libc, "BUILD": build, "ENTRY": entry}
        main = _filled((_HERE / "front.py").read_text(encoding="ascii"), words).encode("ascii")
        members = {
            "__main__.py": main,
            "__main__.pyc": _compiled(main, f"{target.name}/__main__.py"),
            "unpack.py": (_HERE / "unpack.py").read_bytes(),
        }
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as packages:
            for info in archive.infolist():
                data = archive.read(info)
                if info.filename.startswith(_PACKAGES):
                    packages.writestr(info, data)
                    if _METADATA.fullmatch(info.filename):
                        members[info.filename] = data
                elif info.filename not in members:
                    members[info.filename] = data
    members[INNER] = inner.getvalue()
    aside = target.with_name(target.name + ".new")
    with aside.open("wb") as file:
        file.write(b"#!" + interpreter.encode("utf-8") + b"\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as outer:
            for name in sorted(members):
                info = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
                if name.startswith(_PACKAGES):
                    info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o100644 << 16
                outer.writestr(info, members[name])
    aside.chmod(0o755)
    aside.replace(target)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f'"@{word}@"', json.dumps(value))
    return text


def _compiled(source: bytes, name: str) -> bytes:
    """Byte code that this Python takes and every other one passes over: the first thing that a process compiles
    takes it some milliseconds."""
    code = compile(source, name, "exec", dont_inherit=True)
    # Not checked against the source (PEP 552). Up to version 2 of marshal, bytes depend on the value alone.
    flags = (0b01).to_bytes(4, "little")
    return MAGIC_NUMBER + flags + source_hash(source) + marshal.dumps(code, 2)
