"""Users' own views and tables as a database describes them, and what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

from ai_hub.definitions.kinds import FromView
from ai_hub.engines.plan import ViewReads
from ai_hub.engines.views import Fault
from ai_hub.errors import InvalidInput, StoreRefused, named

ColumnKind = Literal["time", "text", "number", "boolean", "other"]
KEYS: Mapping[str, ColumnKind] = {"timestamp": "time", "tenant_id": "text", "asset_id": "text"}
"""The columns that every view has, and what they are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it is here, and its type as the database calls it."""

    kind: ColumnKind
    type: str


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What a view or table is: the hash of what it says, its columns, and whether it may be read.

    A view's hash is of its own text and of those of the views that it reads; a table's of its
    columns.
    """

    digest: str
    columns: Mapping[str, Column]
    readable: bool = True

    @property
    def booleans(self) -> frozenset[str]:
        """The columns that are true or false."""
        return frozenset(name for name, one in self.columns.items() if one.kind == "boolean")


class Views(Protocol):
    """The views of a database."""

    async def facts(self, names: Iterable[str]) -> dict[str, ViewFacts]:
        """Those of some views and tables that are there."""

    async def probe(self, reads: ViewReads) -> Fault | None:
        """Read it as an answer does, of an asset that there is: why it has no value, if so."""


class ViewFault(Exception):
    """A view that has no value, and why."""

    def __init__(self, view: str, fault: Fault) -> None:
        super().__init__(f"{view}: {fault}")
        self.view = view
        self.fault = fault


def digest_of(parts: object) -> str:
    """The hash of what a view says: its texts as plain values."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_view(feature: FromView, facts: ViewFacts | None) -> ViewFacts:
    """The facts of a feature's view if it can be read. Raises InvalidInput."""
    if facts is None:
        expected = "a view or table of this database, its name as the database writes it"
        raise InvalidInput("view", feature.view, expected, _CASE)
    for name, kind in KEYS.items():
        found = facts.columns.get(name)
        if found is None or found.kind != kind:
            got = "none" if found is None else found.type
            expected = f"a view with a column {name} of {_words(kind)}, not {got}"
            raise InvalidInput("view", feature.view, expected)
    column = facts.columns.get(feature.column)
    if column is None:
        there = named([name for name in facts.columns if name not in KEYS]) or "none"
        raise InvalidInput("column", feature.column, f"a column of {feature.view}: {there}", _CASE)
    if column.kind not in ("number", "boolean"):
        expected = f"a column of numbers, or of true and false, not of {column.type}"
        raise InvalidInput("column", feature.column, expected)
    if not facts.readable:
        raise InvalidInput("view", feature.view, "a view that the server may read", _GRANT)
    return facts


def fault_of(reads: ViewReads, facts: ViewFacts | None) -> Fault | None:
    """Why a view has no value, by what it is now; None if it may be read."""
    if facts is None:
        return "gone"
    if reads.definition is not None and facts.digest != reads.definition:
        return "changed"
    if any(name not in facts.columns for name in (*KEYS, *reads.columns)):
        return "gone"
    return None if facts.readable else "refused"


def refusal_of(reads: ViewReads, fault: Fault) -> StoreRefused:
    """Why nothing in bulk is read of a view."""
    return StoreRefused(f"the view {reads.view} {fault_in_words(fault)}")


def fault_in_words(fault: Fault) -> str:
    """What is wrong with a view, after its name."""
    match fault:
        case "several":
            return "has several rows of one asset and time"
        case "changed":
            return (
                "says something else than when the feature set was applied: apply a new version of "
                "the set, or restore the view"
            )
        case "gone":
            return "is not there, or lacks a column that is read of it"
        case "refused":
            return f"may not be read. {_GRANT}"
        case "slow":
            return (
                "does not answer within AI_HUB_VIEW_TIMEOUT: give what it reads an index on "
                "tenant_id, asset_id and timestamp, or have answers wait longer with that setting"
            )
        case "failed":
            return "fails when it is read"
        case _:
            assert_never(fault)


def _words(kind: ColumnKind) -> str:
    match kind:
        case "time":
            return "times with a time zone"
        case "text" | "number":
            return f"{kind}s"
        case "boolean" | "other":
            return kind
        case _:
            assert_never(kind)


_CASE = "PostgreSQL writes names that were not quoted in lower case."
_GRANT = "Grant the role of AI_HUB_DATABASE_URL the right to it (SELECT)."
