"""What is known about a host before anything is connected: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from f0make.errors import UsageError, Where

if TYPE_CHECKING:
    from f0make.options import RunOptions

WORKDIR = ".cache/f0make"


@dataclass(slots=True)
class Host:
    """One host; empty fields mean: as the user's ssh config says, or its defaults."""

    name: str
    address: str = ""
    port: int = 0
    user: str = ""
    key: str = ""
    """Path of a private key."""
    slots: int = 0
    """Steps at one time; 0: the cores that its agent may use."""
    labels: list[str] = field(default_factory=list)
    workdir: str = WORKDIR
    known_hosts: str = ""
    env: dict[str, str] = field(default_factory=dict)
    where: Where | None = None

    @property
    def all_labels(self) -> frozenset[str]:
        """Its labels, its name among them."""
        return frozenset([self.name, *self.labels])


@dataclass(slots=True)
class Patience:
    """How long hosts are waited for. Seconds."""

    connect: float = 5.0
    lease: float = 20.0
    """Without a sign of life for so long a host is lost, and its agent ends what it runs."""
    reconnect: float = 60.0
    """How long lost hosts are tried again."""
    accept_new: bool = False
    """Unknown host keys are added to the known ones."""


def patience_of(options: RunOptions) -> Patience:
    """What the options say, defaults for the rest. Raises UsageError."""
    from f0make.recipe.scalars import to_duration, to_timeout

    patience = Patience(accept_new=options.accept_new_host_keys)
    for flag, text, field_name, convert in (
        ("--connect-timeout", options.connect_timeout, "connect", to_timeout),
        ("--lease", options.lease, "lease", to_timeout),
        ("--reconnect", options.reconnect, "reconnect", to_duration),
    ):
        if text is not None:
            try:
                setattr(patience, field_name, convert(text))
            except ValueError as error:
                raise UsageError(f"{flag} {text}: {error}") from None
    return patience
