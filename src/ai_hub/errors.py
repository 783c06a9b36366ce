"""Every error this package raises, on one page.

AiHubError
├── ConfigError            a setting is unknown or malformed
├── InvalidInput           a value from a caller is not what is expected
│   ├── UnknownFeature     a feature name that no registered set has
│   ├── InvalidDefinition  a definition is not what is expected; its place is named
│   └── RegistryConflict   a change that what is in the registry does not allow
├── NotFound               a name or id that nothing answers to
│   ├── UnknownFeatureSet
│   ├── RetiredFeatureSet  a version of a set that nobody is served any more
│   ├── UnknownModel       a version of a model that is bound to no feature set
│   ├── UnknownRollout     a feature set without a rollout under way
│   ├── UnknownKey         an access key that nobody made
│   └── UnknownExport
├── OutOfRange             values outside their range, of a set that rejects such
├── Unauthorized           a request without a key or token that is valid
│   └── UnknownSigner      a token that was signed with a key which is not known
├── IssuerUnreachable      who issues tokens does not answer, or not with what is expected
├── Forbidden              what a key does not allow
├── TooMany                more requests of a key than it may make
├── TooLarge               a body over the limit
├── ExportFailed           an export stopped; nothing of it is left behind
│   └── ExportTaken        another process goes on with it
├── StorageError           object storage, or a folder, did not do what was asked
│   ├── StorageUnavailable it cannot be reached, or did not answer in time
│   ├── StorageRefused     its credentials are missing, wrong, or do not allow it
│   ├── ObjectMissing      a file, or its bucket, is not there
│   └── ObjectExists       a file that must be new is there
├── Busy                   as much as may is under way or waits; it is tried again later
├── ServerUnreachable      a command or client needs a running server and there is none
├── ServerFailed           a server did not do what was asked, or is none of ours
└── StoreError             the offline store did not do what was asked
    ├── HistoryArchived    it has no more of the rows that an answer reads: they are archived
    ├── StoreUnavailable   it cannot be reached, or did not answer in time
    ├── StoreLocked        another process holds the embedded file
    ├── StoreRefused       the database does not let this user do what was asked
    │   └── StoreReadOnly  it takes no writes: it is a standby
    └── NotMigrated        the database lacks the tables of this release, or has newer ones
        └── NoDatabase     there is nothing of ours at all: no file, or no tables
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 80
_MOST_VALUES = 500
_MOST_NAMED = 10
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def shown(value: object) -> str:
    """`value` as an error message shows it: its repr, cut to a readable length, without where it
    is in memory.

    What holds very many values is not written out, which would take long.
    """
    if isinstance(value, list | dict) and _many(value):
        return f"a {type(value).__name__} with very many values"
    try:
        text = ascii(value) if isinstance(value, str) else _ADDRESS.sub("", repr(value))
    except ValueError:  # an integer with more digits than Python prints
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """A question that names the word nearest to `value`, whatever their case; empty where none is
    near, and for what is no text."""
    if not isinstance(value, str):
        return ""
    by_folded = {word.casefold(): word for word in known}
    near = get_close_matches(value[:_SHOWN].casefold(), by_folded, 1)
    return f"Did you mean {by_folded[near[0]]}?" if near else ""


def named(names: Iterable[str]) -> str:
    """Names as a message lists them: ten, and how many more there are."""
    all_of = [*names]
    more = f" and {len(all_of) - _MOST_NAMED} more" if len(all_of) > _MOST_NAMED else ""
    return ", ".join(all_of[:_MOST_NAMED]) + more


def _many(value: list[object] | dict[object, object]) -> bool:
    """Whether a list or dict holds very many values, those of its members counted too."""
    rest: list[object] = [value]
    count = 0
    while rest and count <= _MOST_VALUES:
        one = rest.pop()
        if isinstance(one, list | dict):
            count += len(one)
            if count <= _MOST_VALUES:
                rest += one.values() if isinstance(one, dict) else one
    return count > _MOST_VALUES


class AiHubError(Exception):
    """The root: catch this to catch everything this package raises on purpose."""


class ConfigError(AiHubError):
    """A setting is unknown or malformed; the message names it and its source."""


class InvalidInput(AiHubError, ValueError):
    """A value from a caller is not what is expected.

    The message names the field, the value, what is expected and, where it helps, what to do.
    """

    def __init__(self, field: str, value: object, expected: str, hint: str = "") -> None:
        self.field = field
        self.value = value
        self.expected = expected
        self.hint = hint
        message = f"{field}: got {shown(value)}, expected {expected}"
        super().__init__(f"{message}. {hint}" if hint else message)


class UnknownFeature(InvalidInput):
    """A feature name that no registered feature set has."""

    def __init__(self, name: object, known: Iterable[str], field: str = "feature_names") -> None:
        super().__init__(field, name, f"one of {', '.join(known)}")


class InvalidDefinition(InvalidInput):
    """A definition is not what is expected.

    `place` says where in its document: names of members, and positions in lists.
    """

    def __init__(
        self,
        place: tuple[str | int, ...],
        field: str,
        value: object,
        expected: str,
        hint: str = "",
    ) -> None:
        self.place = place
        super().__init__(field, value, expected, hint)


class RegistryConflict(InvalidInput):
    """A change that what is in the registry does not allow."""


class NotFound(AiHubError, LookupError):
    """A name or id that nothing answers to."""


class UnknownFeatureSet(NotFound):
    """A feature set (or a version of one) that is not registered."""

    def __init__(self, name: object, known: Iterable[str]) -> None:
        self.field = "feature_set"
        super().__init__(f"feature_set: got {shown(name)}, expected one of {', '.join(known)}")


class RetiredFeatureSet(NotFound):
    """A version of a feature set that nobody is served any more."""

    def __init__(self, label: str, default: int) -> None:
        self.field = "feature_set"
        name = label.partition("@")[0]
        super().__init__(
            f"feature_set: got {shown(label)}, expected a version that is not retired. "
            f"The default version is {name}@{default}."
        )


class UnknownModel(NotFound):
    """A version of a model that is bound to no feature set."""

    def __init__(self, model: object, known: Iterable[str]) -> None:
        self.field = "model"
        bound = named(known)
        told = f"one that is bound: {bound}" if bound else "one that is bound, and none is"
        super().__init__(f"model: got {shown(model)}, expected {told}")


class UnknownRollout(NotFound):
    """A feature set without a rollout under way."""

    def __init__(self, name: object) -> None:
        self.field = "name"
        super().__init__(f"name: got {shown(name)}, expected a set with a rollout under way")


class UnknownKey(NotFound):
    """An access key that nobody made, by its id."""

    field = "id"

    def __init__(self, id: object) -> None:
        super().__init__(f"id: got {shown(id)}, expected the id of an access key")


class UnknownExport(NotFound):
    """An export id that was never recorded."""

    def __init__(self, export_id: str) -> None:
        self.field = "export_id"
        super().__init__(f"export_id: got {shown(export_id)}, expected the id of a recorded export")


class UnknownBaseline(NotFound):
    """A baseline that is not kept of a version of a feature set, or none that is."""

    field = "baseline_id"

    def __init__(self, baseline_id: object, label: str, known: Iterable[str]) -> None:
        one_of = named(known)
        told = f"one of {label}: {one_of}" if one_of else f"one of {label}, which has none"
        super().__init__(
            f"baseline_id: got {shown(baseline_id)}, expected {told}. An export keeps one, and so "
            "does `ai-hub drift baseline`."
        )


class NoRows(NotFound):
    """A time in which there are no rows of what was asked about."""

    field = "start_time"

    def __init__(self, between: str, expected: str, hint: str) -> None:
        super().__init__(f"start_time: got {shown(between)}, expected {expected}. {hint}")


class OutOfRange(AiHubError):
    """Values outside their range, of an asset and a set that rejects such vectors."""

    field = "feature_set"

    def __init__(self, asset_id: str, timestamp: str, why: str) -> None:
        super().__init__(f"asset {shown(asset_id)} at {timestamp}: {why}")


class Unauthorized(AiHubError):
    """A request without an access key, or a token, that is valid."""

    field = "authorization"

    def __init__(
        self, got: str, expected: str = "one that is valid (Authorization: Bearer aih_...)"
    ) -> None:
        super().__init__(f"authorization: got {got}, expected {expected}")


class UnknownSigner(Unauthorized):
    """A token that was signed with a key which is not known: its issuer may have a new one."""

    def __init__(self) -> None:
        super().__init__("a token of a key that is not known", "one of the issuer that is valid")


class IssuerUnreachable(AiHubError):
    """Who issues tokens does not answer, or not with what is expected."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"authorization: the public keys at {url} cannot be read ({why})")


class Forbidden(AiHubError):
    """Something that a key or token does not allow: what is there and what is not alike."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        super().__init__(f"{field}: got {shown(value)}, expected {expected}")


class TooMany(AiHubError):
    """More requests with one key or token than are allowed."""

    field = "authorization"
    retry_after = 1
    """Seconds."""

    def __init__(self) -> None:
        super().__init__(
            "authorization: who asks may not ask so often (AI_HUB_RATE_LIMIT). Try again in "
            f"{self.retry_after} s."
        )


class TooLarge(AiHubError):
    """A body over the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"body: over the limit of {limit} bytes (AI_HUB_MAX_BODY, or AI_HUB_MAX_REQUEST where "
            "no table is taken). Send it in several parts."
        )


class ExportFailed(AiHubError):
    """An export stopped part-way; no file of it is left behind."""


class ExportTaken(ExportFailed):
    """An export that another process goes on with."""

    def __init__(self, export_id: str) -> None:
        super().__init__(f"another process goes on with the export {export_id}")


class StorageError(AiHubError, OSError):
    """Object storage, or a folder, did not do what was asked; as when a disk fails."""


class StorageUnavailable(StorageError):
    """Object storage cannot be reached, or did not answer in time."""


class StorageRefused(StorageError):
    """Object storage said no: credentials are missing or wrong, or do not allow it."""


class ObjectMissing(StorageError):
    """A file, or the bucket it would be in, is not there."""


class ObjectExists(StorageError):
    """A file that must be new is there already."""


class Busy(AiHubError):
    """As much of something is under way, and waits for its turn, as may."""

    retry_after = 10
    """Seconds."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. Try again in {self.retry_after} s.")


class ServerUnreachable(AiHubError):
    """A command or client needs a running server and none answers."""


class ServerFailed(AiHubError):
    """A server did not do what was asked and its log says why, or what answers is none of ours."""


class StoreError(AiHubError):
    """The offline store did not do what was asked."""


class HistoryArchived(StoreError):
    """What an answer reads is in the archive alone, which exports read and answers do not."""


class StoreUnavailable(StoreError):
    """The offline store cannot be reached, or did not answer in time."""


class StoreSlow(StoreUnavailable):
    """The offline store is there, and gave up one request that took it too long."""


class StoreLocked(StoreError):
    """Another process holds the embedded database file."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is held by another process (or another store of this one), and an embedded "
            "database file has one owner. Close that one, or reach its server with --url."
        )


class StoreRefused(StoreError):
    """The database server said no: a password, a role, a database's name or a missing right."""


class StoreReadOnly(StoreRefused):
    """The database takes no writes, as a standby that replays those of its primary."""


class NotMigrated(StoreError):
    """The database does not have the tables of this release; `ai-hub migrate` creates them."""


class NoDatabase(NotMigrated):
    """Where the settings say there is no database of ours: no file, or none of our tables."""

    @classmethod
    def at(cls, path: str) -> NoDatabase:
        """That a database file is not there."""
        return cls(
            f"There is no database at {path}. `ai-hub ingest` and `ai-hub migrate` make one; "
            "AI_HUB_DATABASE_URL says where another is, and --url where its server is."
        )
