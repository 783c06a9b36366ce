"""A named, versioned, ordered vector of features, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter

from ai_hub.definitions.builtin_features import BY_NAME, builtin_of, completed
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Derived, Feature, Reading, Seasonal, fields_of
from ai_hub.definitions.periods import NO_OFFSET, Offset, Period
from ai_hub.definitions.valid_range import ValidRange, ValidValues, valid_document
from ai_hub.definitions.values import (
    DEFAULT_SERIES,
    MAX_NAMES,
    MAX_SERIES_LENGTH,
    Duration,
    check_id,
    check_list,
    check_text,
)
from ai_hub.definitions.vocabulary import (
    ON_VIOLATION,
    Missing,
    OnViolation,
    check_choice,
    check_missing,
    check_name,
)
from ai_hub.errors import InvalidInput, did_you_mean

SEMANTICS = 2
"""What features mean, as a number: raised when the values of a definition change, and only then."""


MAX_VERSION = 2**31 - 1
"""What a column of a database holds."""
_MOST_SEASONAL = 10_000


@dataclass(frozen=True)
class FeatureSet:
    """Features in an order, with the policy for what is missing.

    `series` is the one whose times an export has rows for, and that targets are of: by default that
    of the first feature on observations. A set with a name has a version too, and a version's
    definition never changes. A set without a name is a request's own list of features; it has no
    version. A built-in feature may stand in `features` by its name. `owner` says who answers for
    the set. `on_violation` says what becomes of values outside their range: they are named
    ("report"), they are missing ("null"), or the asset has no answer ("reject").
    """

    name: str | None
    version: int | None
    features: tuple[Feature, ...]
    description: str = ""
    use_cases: tuple[str, ...] = ()
    missing: Missing = "mean"
    series: str = ""
    owner: str = ""
    on_violation: OnViolation = "report"

    def __post_init__(self) -> None:
        given = check_list("features", self.features, "features", MAX_NAMES)
        object.__setattr__(self, "features", tuple(map(_feature, given)))
        uses = check_list("use_cases", self.use_cases, "texts", MAX_NAMES)
        object.__setattr__(self, "use_cases", tuple(check_text("use_cases", use) for use in uses))
        object.__setattr__(self, "missing", check_missing(self.missing))
        check_text("description", self.description)
        check_text("owner", self.owner)
        check_choice("on_violation", self.on_violation, ON_VIOLATION)
        if self.name is not None:
            check_name("name", self.name)
            if type(self.version) is not int or not 1 <= self.version <= MAX_VERSION:
                raise InvalidInput(
                    "version", self.version, f"a whole number from 1 to {MAX_VERSION:,}"
                )
        elif self.version is not None:
            raise InvalidInput("version", self.version, "no version for a set without a name")
        if not self.features:
            raise InvalidInput("features", self.features, "at least one feature")
        names = self.feature_names
        for name, count in Counter(names).items():
            if count > 1:
                raise InvalidInput("features", name, "each name once")
        _check_derived({f.name: f for f in self.features})
        _check_seasonal(self.features)
        if self.series == "":
            object.__setattr__(self, "series", self._first_series)
        check_id("series", self.series, MAX_SERIES_LENGTH)

    @classmethod
    def unnamed(cls, features: tuple[Feature, ...]) -> FeatureSet:
        """The features of one request, under the default policy."""
        return _unnamed(features)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names, in the set's order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def computed(self) -> tuple[Feature, ...]:
        """The features, and behind them the built-in ones that derived features read besides."""
        named = set(self.feature_names)
        read = [name for f in self.features if isinstance(f, Derived) for name in f.inputs]
        return (*self.features, *(BY_NAME[n] for n in dict.fromkeys(read) if n not in named))

    @property
    def _first_series(self) -> str:
        read = (f for f in self.features if isinstance(f, Reading))
        return next((f.series for f in read if f.source == "observations"), DEFAULT_SERIES)

    @cached_property
    def label(self) -> str:
        """`name@version`, or `@` for a set without a name."""
        return "@" if self.name is None else f"{self.name}@{self.version}"

    @cached_property
    def canonical(self) -> str:
        """The definition as JSON: equal definitions have equal texts.

        Left out are the set's name, what only describes it, and fields at their default: a field
        that a later release adds changes no text. `semantics` is the number of the page that says
        what features mean.
        """
        definition: dict[str, object] = {
            "features": [_canonical(feature) for feature in self.features],
            "semantics": SEMANTICS,
        }
        if self.missing != "mean":
            definition["missing"] = self.missing
        if self.series != self._first_series:
            definition["series"] = self.series
        if self.on_violation != "report":
            definition["on_violation"] = self.on_violation
        return json.dumps(definition, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    def document(self) -> dict[str, object]:
        """The set as plain values, as the HTTP routes and `ai-hub sets --json` give it."""
        return {
            "name": self.name,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "description": self.description,
            "owner": self.owner,
            "use_cases": list(self.use_cases),
            "missing": self.missing,
            "on_violation": self.on_violation,
            "series": self.series,
            "feature_count": len(self.features),
            "features": list(self.feature_names),
            "definitions": [definition_of(feature) for feature in self.features],
        }

    def _repr_html_(self) -> str:
        from ai_hub.notebooks import table

        rows = [[one.name, type(one).__name__, one.unit, one.description] for one in self.features]
        caption = f"{self.label}, fingerprint {self.fingerprint}"
        return table(caption, ["feature", "kind", "unit", "what it is"], rows)

    def policy_of(self, feature: Feature, requested: Missing | None) -> Missing:
        """The missing policy that applies: the request's, else the feature's, else the set's."""
        if requested is not None:
            return requested
        return self.missing if feature.missing is None else feature.missing

    def policy_name(self, requested: Missing | None) -> str:
        """The policy as a cache field names it: the request's, else `default` features' own."""
        if requested is not None:
            return str(requested)
        own = any(f.missing is not None for f in self.features)
        return f"{self.missing}+own" if own else str(self.missing)


def _feature(given: object) -> Feature:
    """A feature, or the built-in one of that name."""
    if isinstance(given, Feature):
        return completed(given)
    if not isinstance(given, str):
        raise InvalidInput("features", given, "features such as Lag or Rolling")
    found = BY_NAME.get(given)
    if found is None:
        expected = "the name of a built-in feature"
        raise InvalidInput("features", given, expected, did_you_mean(given, BY_NAME))
    return found


def _check_seasonal(features: tuple[Feature, ...]) -> None:
    """Raise InvalidInput for more values looked back at than one statement can name."""
    looked = sum(feature.count for feature in features if isinstance(feature, Seasonal))
    if looked > _MOST_SEASONAL:
        expected = f"seasonal features with counts of at most {_MOST_SEASONAL:,} together"
        raise InvalidInput("features", f"{looked:,} values", expected)


@lru_cache(maxsize=1024)
def _unnamed(features: tuple[Feature, ...]) -> FeatureSet:
    return FeatureSet(None, None, features)


def definition_of(feature: Feature) -> dict[str, object]:
    """A feature as plain values, its kind first: what documentation, JSON and metadata show.

    Holidays are shown by the digest of their dates, and what says nothing is left out.
    """
    plain: dict[str, object] = {"kind": type(feature).__name__}
    for field in fields_of(feature):
        value = getattr(feature, field.name)
        silent = field.kw_only or field.default in (None, NO_OFFSET)
        if silent and value == field.default:
            continue
        plain[field.name] = _plain(value)
    return plain


def _plain(value: object) -> object:
    match value:
        case Duration() | Period() | Offset():
            return str(value)
        case ValidRange() | ValidValues():
            return valid_document(value)
        case HolidayDates():
            return value.digest
        case _:
            return value


def _canonical(feature: Feature) -> dict[str, object]:
    """A feature as plain values without those at their default, and what only describes it.

    The range of a built-in feature is its default.
    """
    plain = definition_of(feature)
    left_out = ["unit", "description"]
    known = builtin_of(feature)
    if known is not None and feature.valid == known.valid:
        left_out.append("valid")
    for field in fields_of(feature):
        described = field.name in left_out
        if field.name in plain and (described or getattr(feature, field.name) == field.default):
            del plain[field.name]
    return plain


def _check_derived(by_name: dict[str, Feature]) -> None:
    """Every input of a derived feature is in the vector or built in; none depends on itself."""
    inputs: dict[str, tuple[str, ...]] = {}
    for name, feature in by_name.items():
        if not isinstance(feature, Derived):
            continue
        inputs[name] = feature.inputs
        for source in feature.inputs:
            if source not in by_name and source not in BY_NAME:
                raise InvalidInput(
                    "expression",
                    feature.expression,
                    f"features of the same set or built-in ones, not {source!r}",
                )
    try:
        TopologicalSorter(inputs).prepare()
    except CycleError as error:
        circle = " <- ".join(error.args[1])
        raise InvalidInput("expression", circle, "no circle of features") from None
