"""A file while it is made, and the parts that it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from ai_hub.intake.options import BatchKind
from intake.spreadsheets import Cell


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row says, or a cell of a wide one; `stamp` is the time that is written for it.

    It is the instant itself, or a naive one on the wall of the zone of the file. `value` is None
    where a row of weather says nothing of it, and `issued` is only there in weather.
    """

    at: datetime
    asset: str
    value: float | None
    stamp: datetime
    issued: datetime | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Cells, and what they mean; `line` is what stands there where it is no row at all."""

    cells: list[Cell]
    truth: list[Reading | None]
    line: str | None = None


@dataclass(slots=True)
class Draft:
    """A file while it is made: the draws so far, in words, and what the options would say."""

    random: Random
    kind: BatchKind = "observations"
    story: list[str] = field(default_factory=list)
    dialect: dict[str, str] = field(default_factory=dict)
    """How the file is written, which can be left to be found out."""
    hidden: set[str] = field(default_factory=lambda: {"wide", "time_column", "comment"})
    """Options of these that no cell shows, and that have to be said."""
    meaning: dict[str, object] = field(default_factory=dict)
    """What the rows mean, which is always said."""
    changes: bool = False
    """A clock changes between the readings."""
    vague: bool = False
    """The rows may not show which pass of a repeated hour they are of."""
    disguised: bool = False
    """What the file means is beyond telling."""
    broken: bool = False
    """Lines may be lost."""

    @property
    def timezone(self) -> str | None:
        found = self.meaning.get("timezone")
        return None if found is None else str(found)

    def draw(self, axis: str, *choices: str) -> str:
        choice = self.random.choice(choices)
        self.story.append(f"{axis}={choice!r}")
        return choice

    def happens(self, axis: str, share: float = 0.2) -> bool:
        found = self.random.random() < share
        if found:
            self.story.append(axis)
        return found
