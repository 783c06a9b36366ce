"""An answer as Python values: a feature vector and what else there is to know of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ai_hub.definitions.values import iso, to_micros
from ai_hub.definitions.vocabulary import Missing


@dataclass(frozen=True, slots=True)
class Answer:
    """The features of an entity as of `timestamp`, the effective (truncated) time.

    `missing` names the features that were filled, left null or, in a `degraded` answer, absent.
    `policy` is the missing policy of the request, else that of the set; features with one of their
    own say so in their definition.
    `violations` names the features whose values are outside their range. Where the set rejects
    such values, `error` says so in a batch, and there are no features. `reason` says why an answer
    is degraded where that is for good: what it reads is archived. `computed_at` is None where a
    server does not say it, in a batch.
    `feature_set` and `version` are None where features were asked for by name.
    """

    tenant_id: str
    asset_id: str
    timestamp: datetime
    feature_set: str | None
    version: int | None
    fingerprint: str
    policy: Missing
    features: dict[str, Any]
    missing: tuple[str, ...]
    degraded: bool
    cache_hit: bool
    computed_at: datetime | None
    violations: tuple[str, ...] = ()
    error: str | None = None
    reason: str | None = None

    @property
    def feature_count(self) -> int:
        """How many features there are: fewer than asked for when degraded."""
        return len(self.features)

    def _repr_html_(self) -> str:
        from ai_hub.notebooks import table

        named = "" if self.feature_set is None else f", {self.feature_set}@{self.version}"
        degraded = ", degraded" if self.degraded else ""
        at = iso(to_micros(self.timestamp))
        caption = f"{self.tenant_id} / {self.asset_id}{named} as of {at}{degraded}"
        if self.error is not None:
            return table(caption, ["error"], [[self.error]])
        names = dict.fromkeys((*self.features, *self.missing))
        return table(
            caption, ["feature", "value", ""],
            ([name, self.features.get(name), self._remark(name)] for name in names),
        )  # fmt: skip

    def _remark(self, name: str) -> str:
        remarks = ["missing"] * (name in self.missing)
        remarks += ["outside its range"] * (name in self.violations)
        return ", ".join(remarks)


class Features(dict[str, Any]):
    """Feature name to value: a plain dict that also knows the answer that it is of.

    Its copies do so too. A dict made of it with `dict(...)` or `|` is a plain one.
    """

    __slots__ = ("answer",)

    answer: Answer
    """Whatever else there is to know. Raises AttributeError where it is not of an answer."""

    def __init__(
        self,
        features: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        answer: Answer | None = None,
    ) -> None:
        super().__init__(features)
        # Without one, as in `type(features)(pairs)`, it does not claim that nothing was missing.
        if answer is not None:
            self.answer = answer

    def _repr_html_(self) -> str | None:
        answer = getattr(self, "answer", None)
        return None if answer is None else answer._repr_html_()

    def copy(self) -> Features:
        """The same features, of the same answer."""
        return copy.copy(self)

    @property
    def missing(self) -> tuple[str, ...]:
        """The features that were filled, left null or, in a degraded answer, absent."""
        return self.answer.missing

    @property
    def degraded(self) -> bool:
        """Whether the store gave no answer, so that only features of the clock are in it."""
        return self.answer.degraded

    @property
    def violations(self) -> tuple[str, ...]:
        """The features whose values are outside their range."""
        return self.answer.violations

    @property
    def error(self) -> str | None:
        """Why there are no features: the set rejects values, and some are outside their range."""
        return self.answer.error

    @property
    def timestamp(self) -> datetime:
        """The effective (truncated) time that the features are as of."""
        return self.answer.timestamp

    @property
    def policy(self) -> Missing:
        """The missing policy that applied: the request's, else the set's."""
        return self.answer.policy

    @property
    def feature_set(self) -> str | None:
        """The name of the set; None where features were asked for by name."""
        return self.answer.feature_set

    @property
    def version(self) -> int | None:
        """The version of the set that served; None where features were asked for by name."""
        return self.answer.version
