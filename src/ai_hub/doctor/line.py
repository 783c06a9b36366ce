"""One line of what the doctor says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "fault"]

MOST_ALIKE = 10
"""Lines of one name that are told one by one."""


def counted(count: int, one: str, several: str) -> str:
    """A number with what it is of, and what is said of it: `1 key is`, `2,000 keys are`."""
    return f"{count:,} {one if count == 1 else several}"


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at, how it is, a sentence with its figure, and the command that mends it.

    `command` is a line of a shell; None where nothing is wrong, or no command can mend it. What
    only the user knows stands there in capitals, such as FILE.
    """

    name: str
    state: State
    said: str
    figure: float | None = None
    command: str | None = None
    tenant_id: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """As a member of a JSON document."""
        return {
            "line": self.name,
            "state": self.state,
            "said": self.said,
            "figure": self.figure,
            "command": self.command,
            "tenant_id": self.tenant_id,
        }


def ok(name: str, said: str, figure: float | None = None) -> Line:
    """All is well."""
    return Line(name, "ok", said, figure)


def warning(
    name: str,
    said: str,
    figure: float | None = None,
    command: str | None = None,
    tenant_id: str | None = None,
) -> Line:
    """Something is worse than it could be, or soon will be."""
    return Line(name, "warning", said, figure, command, tenant_id)


def fault(
    name: str,
    said: str,
    figure: float | None = None,
    command: str | None = None,
    tenant_id: str | None = None,
) -> Line:
    """Answers are wrong or missing, data is lost, or something does not work at all."""
    return Line(name, "fault", said, figure, command, tenant_id)


def shell(*words: object) -> str:
    """A line of a shell; what is left to the user, such as FILE, is not quoted."""
    return " ".join(shlex.quote(str(word)) for word in words)


def exported(setting: str, value: object) -> str:
    """The line of a shell that gives a setting to the processes that are started from it."""
    return f"export AI_HUB_{setting.upper()}={shlex.quote(str(value))}"


def limited(lines: Iterable[Line]) -> list[Line]:
    """The lines, of each name at most so many, and one that counts the others."""
    by_name: dict[str, list[Line]] = {}
    for line in lines:
        by_name.setdefault(line.name, []).append(line)
    told: list[Line] = []
    for name, some in by_name.items():
        # The worst first: those are the last to be left out.
        some.sort(key=lambda one: ("fault", "warning", "ok").index(one.state))
        told += some[:MOST_ALIKE]
        if more := some[MOST_ALIKE:]:
            told.append(Line(name, more[0].state, f"and {len(more):,} more like these", len(more)))
    return told


def width(micros: float) -> str:
    """A width of time as people read it, such as `3.2 h`."""
    seconds = micros / 1e6
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
