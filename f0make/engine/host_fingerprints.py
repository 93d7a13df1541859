"""Fingerprints of a run with hosts: each is taken once at every place where its step may run, and those places may differ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from f0make.engine.fingerprints import FingerprintError, Taken
from f0make.engine.placement import HERE, Place
from f0make.model import Instance

Commands = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
"""Fingerprint commands, and the variables that they see."""
Ask = Callable[[str, int, Sequence[str], Mapping[str, str]], None]
"""Has commands run at a host: its name, the number of the question, commands, variables."""


class PlacePrints:
    """What the commands gave at each of ``places``; ``ask`` has them run at a host, whose answer comes to `hear`."""

    def __init__(self, taken: Taken, places: Mapping[str, Place], ask: Ask) -> None:
        self._taken, self._places, self._ask = taken, places, ask
        self._known: dict[tuple[str, Commands], list[str] | str] = {}
        """(Place, commands) -> their outputs, or what went wrong."""
        self._asked: dict[int, tuple[str, Commands]] = {}
        self._number = 0

    def __call__(self, instance: Instance) -> list[list[str]]:
        """The outputs that are known by now, those of this machine first, each once."""
        found: list[list[str]] = []
        for place in self._able(instance):
            texts = self.at(instance, place.name)
            if texts is not None and texts not in found:
                found.append(texts)
        return found

    def at(self, instance: Instance, place: str) -> list[str] | None:
        """The outputs at ``place``, None where they are not known or a command failed."""
        known = self._look(instance, place)
        return known if isinstance(known, list) else None

    def complete(self, instance: Instance, undecided: Collection[str]) -> bool:
        """Whether every place has answered that may run ``instance``; those that were not asked are asked now.

        ``undecided`` are the hosts of which it is not known whether they are there. Raises FingerprintError when
        the commands failed everywhere.
        """
        waits, errors = False, []
        for place in self._able(instance):
            if place.name in undecided:
                waits = True
            elif place.slots:
                known = self._look(instance, place.name)
                waits |= known is None
                if isinstance(known, str):
                    errors.append(known if place.name == HERE else f"{place.name}: {known}")
        if not waits and errors and not self(instance):
            raise FingerprintError("; ".join(errors))
        return not waits

    def fails(self, instance: Instance, place: str) -> bool:
        """Whether ``place`` cannot run ``instance`` because a command failed there."""
        return isinstance(self._known.get((place, _commands(instance))), str)

    def hear(self, number: int, texts: list[str] | None, error: str) -> None:
        """The answer to a question."""
        asked = self._asked.pop(number, None)
        if asked is not None:
            self._known[asked] = texts if texts is not None else error

    def forget(self, host: str) -> None:
        """``host`` is lost: when it comes back it may be another machine."""
        self._known = {asked: known for asked, known in self._known.items() if asked[0] != host}
        self._asked = {number: asked for number, asked in self._asked.items() if asked[0] != host}

    def _able(self, instance: Instance) -> list[Place]:
        return [place for place in self._places.values() if place.hope and place.takes(instance.runs_on)]

    def _look(self, instance: Instance, place: str) -> list[str] | str | None:
        key = place, _commands(instance)
        if key in self._known:
            return self._known[key]
        if place == HERE:
            try:
                self._known[key] = self._taken.of(instance)
            except FingerprintError as error:
                self._known[key] = str(error)
            return self._known[key]
        if self._places[place].slots and key not in self._asked.values():
            self._number += 1
            self._asked[self._number] = key
            self._ask(place, self._number, instance.fingerprint, instance.env)
        return None


def _commands(instance: Instance) -> Commands:
    return tuple(instance.fingerprint), tuple(sorted(instance.env.items()))
