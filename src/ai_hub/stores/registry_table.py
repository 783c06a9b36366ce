"""The registry as a store keeps it: feature sets by version, and which one a name alone means.

Times are microseconds since the epoch. Every change raises the registry's revision, in the
transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any, Literal, Protocol

State = Literal["active", "retired"]


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A version of a feature set: a row of `feature_sets`.

    `document` is the text of its definition (`definitions.document`), `semantics` and `fingerprint`
    are those that it was applied with; `revision` is the registry's since which it is there.
    """

    name: str
    version: int
    state: State
    fingerprint: str
    semantics: int
    document: str
    applied_at: int
    applied_by: str
    revision: int


SET_COLUMNS = tuple(one.name for one in fields(StoredSet))
"""The columns of `feature_sets`, in the order of a StoredSet's fields."""


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    """All of it at one revision: the sets in the order in which they came."""

    revision: int = 0
    sets: tuple[StoredSet, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegistryChange:
    """Rows that are new or take the place of those of the same name and version."""

    sets: tuple[StoredSet, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sets or self.defaults)


@dataclass(frozen=True, slots=True)
class WithoutData:
    """Series, weather columns and attributes that nobody has data of."""

    series: frozenset[str] = frozenset()
    weather: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


Decision = Callable[[StoredRegistry], RegistryChange]
"""What is to change, seeing what is there; what it raises ends the transaction."""
Heard = Callable[[StoredRegistry], Awaitable[None]]


def set_of(row: Sequence[Any]) -> StoredSet:
    """The stored set of a row with the values of SET_COLUMNS."""
    return StoredSet(*row)


def row_of(stored: StoredSet) -> list[Any]:
    """A stored set as a row."""
    return [*astuple(stored)]


class RegistryTable(Protocol):
    """The registry of a database."""

    async def load(self) -> StoredRegistry:
        """All of it, as of one moment."""

    async def change(self, decide: Decision) -> StoredRegistry:
        """Change it in one transaction, alone; what is there afterwards.

        `decide` is asked inside the transaction, in a thread and maybe more than once. Where it
        decides on no change, nothing is written and the revision stays.
        """

    async def without_data(
        self, series: Sequence[str], weather: Sequence[str], attributes: Sequence[str]
    ) -> WithoutData:
        """Those of some series, weather columns and attributes that nobody has data of, as far as
        can be seen in a moment."""

    async def watch(self, heard: Heard) -> None:
        """Report what other processes change from now on, within a second; maybe how it is, too."""
