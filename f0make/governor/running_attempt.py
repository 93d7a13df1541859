"""What the governor knows of an attempt under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from f0make.governor.predict import Need
    from f0make.governor.react import Member
    from f0make.model import Instance


class Running:
    """One attempt under way."""

    __slots__ = ("began", "instance", "kwh", "member", "need", "seconds")

    def __init__(self, instance: Instance, need: Need, member: Member) -> None:
        self.instance = instance
        self.need = need
        self.member = member
        self.began = member.started
        self.seconds = need.seconds.value if need.seconds.known else 0.0
        """As predicted; what is not known is taken for nothing."""
        self.kwh = need.energy.value if need.energy.known else 0.0
        """The same."""
