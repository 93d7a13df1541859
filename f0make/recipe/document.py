"""A recipe's text to its top-level map and its steps, known steps without parsing them."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass, field
from f0make.recipe.finding import Finding
from f0make.recipe.split_steps import Chunk, Split, split
from f0make.recipe.step_cache import Digest, StepCache, digest
from f0make.recipe.step_data import Packed
from f0make.recipe.yaml_node import Entries, Items, Node, Text
from f0make.recipe.yaml_reader import needs_slow_parser, read


@dataclass(slots=True)
class StepSource:
    """One item of `steps`: either validated before (``packed``) or its node, still to be validated."""

    offset: int = 0
    """Lines before its text."""
    packed: Packed | None = None
    node: Node | None = None
    text: str | None = None
    """Its text, where it stands for itself."""
    name: Digest | None = None
    """Where to keep it once valid."""


@dataclass(slots=True)
class Document:
    """A recipe file, read but not yet understood."""

    head: Node | None
    """The top-level map (without the items of `steps` where they were cut out); None for an empty file."""
    steps: list[StepSource] = field(default_factory=list)
    head_text: str | None = None
    """The text of the head by itself; None where head and steps were read in one."""
    whole_text: str | None = None
    """The text of head and steps, where they were read in one."""
    head_name: Digest | None = None
    """Where to keep the head once valid; None for one that was kept."""


def read_document(text: str, findings: list[Finding], cache: StepCache | None) -> Document:
    """The document in ``text`` (normalised); what breaks YAML's or StrictYAML's rules goes to ``findings``."""
    parts = split(text)
    if parts is not None:
        document = _in_parts(parts, cache)
        if document is not None:
            return document
    return _whole(text, findings)


def _whole(text: str, findings: list[Finding]) -> Document:
    root = read(text, findings)
    document = Document(root, whole_text=text)
    if isinstance(root, Entries):
        steps = root.entries.get("steps")
        if isinstance(steps, Items):
            document.steps = [StepSource(node=item) for item in steps.items]
    return document


def _in_parts(parts: Split, cache: StepCache | None) -> Document | None:
    """The document from its parts; None where the cut does not hold or something is wrong."""
    head_name = digest(parts.outer)
    head = cache.head(head_name) if cache else None
    known = head is not None
    if head is None:
        findings: list[Finding] = []
        node = read(parts.outer, findings)
        if findings or not isinstance(node, Entries):
            return None
        head = node
    value = head.entries.get("steps")
    nothing = isinstance(value, Text) and not value.text and value.plain and value.line == parts.line
    if head.keys.get("steps") != (parts.line, 1) or not nothing:
        return None
    document = Document(head, head_text=parts.outer, head_name=None if known else head_name)
    run: list[Chunk] = []
    names: list[Digest] = []
    for chunk in parts.chunks:
        name = digest(chunk.text)
        packed = cache.step(name) if cache else None
        # what needs the slow parser is parsed by itself, and all that libyaml can read in one go
        alone = packed is None and needs_slow_parser(chunk.text)
        if run and (packed is not None or alone or needs_slow_parser(run[-1].text)):
            if not _read_run(run, names, document):
                return None
            run, names = [], []
        if packed is not None:
            document.steps.append(StepSource(chunk.offset, packed))
        else:
            run.append(chunk)
            names.append(name)
    if run and not _read_run(run, names, document):
        return None
    return document


def _read_run(run: list[Chunk], names: list[Digest], document: Document) -> bool:
    """Parse neighbouring steps in one go; False where they are not what the cut made of them."""
    findings: list[Finding] = []
    first = run[0].offset
    node = read("".join(chunk.text for chunk in run), findings, first, depth=1)
    if findings or not isinstance(node, Items) or len(node.items) != len(run):
        return False
    ends = [chunk.offset for chunk in run[1:]] + [len(run[-1].text) + run[-1].offset + 1]
    for item, chunk, end, name in zip(node.items, run, ends, names, strict=True):
        if not chunk.offset < item.line <= end:
            return False
        document.steps.append(StepSource(chunk.offset, node=item, text=chunk.text, name=name))
    return True
