"""The registry as a store keeps it: feature sets by version, which one a name alone means, the
models that are bound to them, rollouts, and access keys.

Times are microseconds since the epoch. Every change raises the registry's revision, in the
transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any, Literal, Protocol

from ai_hub.stores.audit_log import AuditRecord

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


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a version of a model is served with: a row of `feature_models`.

    `fingerprint` and `policy` (as `FeatureSet.policy_name` says it) are those of when it was bound.
    """

    model: str
    model_version: int
    feature_set: str
    set_version: int
    fingerprint: str
    policy: str
    bound_at: int
    bound_by: str

    @property
    def label(self) -> str:
        """The model, as `name@version`."""
        return f"{self.model}@{self.model_version}"

    @property
    def set_label(self) -> str:
        """The feature set that it is bound to, as `name@version`."""
        return f"{self.feature_set}@{self.set_version}"


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """A name that means another version for some of the entities: a row of `feature_rollouts`.

    `share` is how many of ten thousand have `to_version` already.
    """

    name: str
    from_version: int
    to_version: int
    share: int
    begun_at: int
    begun_by: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An access key: a row of `access_keys`.

    `sha256` is all that is kept of it, in hexadecimal. `tenants` is a list in JSON, None for every
    tenant; `scopes` are words. `expires_at` and `revoked_at` are None where it does not end.
    """

    key_id: str
    name: str
    sha256: str
    tenants: str | None
    scopes: str
    created_at: int
    created_by: str
    expires_at: int | None = None
    revoked_at: int | None = None


Row = StoredSet | StoredModel | StoredRollout | StoredKey


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the registry: its columns are the fields of its rows, the first ones its key."""

    name: str
    row: type[Row]
    key_columns: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in the order of a row's fields."""
        return tuple(one.name for one in fields(self.row))

    @property
    def key(self) -> tuple[str, ...]:
        """The columns by which there is one row."""
        return self.columns[: self.key_columns]

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """What tells a row from the others."""
        return astuple(row)[: self.key_columns]


SETS = Table("feature_sets", StoredSet, 2)
MODELS = Table("feature_models", StoredModel, 2)
ROLLOUTS = Table("feature_rollouts", StoredRollout, 1)
KEYS = Table("access_keys", StoredKey, 1)
TABLES: Mapping[type[Row], Table] = {one.row: one for one in (SETS, MODELS, ROLLOUTS, KEYS)}
INSTANTS = frozenset(
    {"applied_at", "bound_at", "begun_at", "created_at", "expires_at", "revoked_at"}
)
"""The columns that are times."""


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    """All of it at one revision: the sets in the order in which they came, the rest by name."""

    revision: int = 0
    sets: tuple[StoredSet, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)
    models: tuple[StoredModel, ...] = ()
    rollouts: tuple[StoredRollout, ...] = ()
    keys: tuple[StoredKey, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryChange:
    """Rows that are new or take the place of those of the same key, and rows that go.

    `audit` says who did that; where nothing is to be done, it is not written.
    """

    sets: tuple[StoredSet, ...] = ()
    defaults: Mapping[str, int] = field(default_factory=dict)
    models: tuple[StoredModel, ...] = ()
    rollouts: tuple[StoredRollout, ...] = ()
    keys: tuple[StoredKey, ...] = ()
    gone: tuple[StoredModel | StoredRollout | StoredKey, ...] = ()
    audit: tuple[AuditRecord, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows to write, those of defaults aside."""
        return (*self.sets, *self.models, *self.rollouts, *self.keys)

    def __bool__(self) -> bool:
        return bool(self.rows or self.defaults or self.gone)


@dataclass(frozen=True, slots=True)
class WithoutData:
    """Series, weather columns and attributes that nobody has data of."""

    series: frozenset[str] = frozenset()
    weather: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


Decision = Callable[[StoredRegistry], RegistryChange]
"""What is to change, seeing what is there; what it raises ends the transaction."""
Heard = Callable[[StoredRegistry], Awaitable[None]]


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
