"""What a plan says, and every refusal of a definition: the texts are read by people, and stay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.changes import changes_of, check_allowed, differences
from ai_hub.definitions.document import read_document
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Calendar, Lag, Rolling
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import Duration
from ai_hub.errors import InvalidInput
from ai_hub.testing import sets

LAG = Lag("lag_2h", Duration.of("2h"))
MEAN = Rolling("avg_48h", "mean", Duration.of("48h"))


def own(version: int, *features: object, **more: object) -> FeatureSet:
    return FeatureSet("own", version, features, **more)  # type: ignore[arg-type]


def actions(registry: Registry, *wanted: FeatureSet, **stored: str) -> list[str]:
    known = {one.label: one.fingerprint for one in registry.versions()} | stored
    return [one.action for one in changes_of(registry, known, wanted)]


def test_a_version_is_new_or_there_or_refused() -> None:
    registry = Registry([own(1, LAG)])
    assert actions(registry, own(1, LAG), own(2, MEAN), own(1, MEAN)) == [
        "none",
        "create",
        "refuse",
    ]
    assert actions(registry, own(1, LAG, owner="me")) == ["describe"]
    assert actions(registry, own(1, LAG), **{"own@1": "of older semantics"}) == ["update semantics"]
    assert actions(Registry(), FORECAST_BASIC) == ["none"]
    assert actions(Registry(), replace(FORECAST_BASIC, missing="zero")) == ["refuse"]


def test_the_first_version_of_a_name_is_its_default() -> None:
    other = FeatureSet("other", 4, (LAG,))
    found = changes_of(
        Registry([own(1, LAG)]), {}, [own(2, MEAN), other, replace(other, version=3)]
    )
    assert [(one.label, one.is_default) for one in found] == [
        ("own@2", False), ("other@4", True), ("other@3", False),
    ]  # fmt: skip


@given(sets.feature_sets(), sets.feature_sets())
def test_sets_differ_where_there_are_differences(one: FeatureSet, other: FeatureSet) -> None:
    assert differences(one, one) == ()
    assert bool(differences(one, other)) == (one != other)
    assert {*map(str, differences(one, other))} != {""} or one == other


def test_a_changed_version_is_refused_with_its_differences() -> None:
    before = own(1, LAG, MEAN, Calendar("hour", "hour_of_day"), missing="zero")
    after = own(
        1,
        Calendar("hour", "hour_of_day", tz="Europe/Berlin"),
        replace(MEAN, window="72h", missing=0),
        Lag("lag_3h", Duration.of("3h")),
        owner="grid-team",
    )
    registry = Registry([before, own(7, LAG)])
    with pytest.raises(InvalidInput) as caught:
        check_allowed(registry, changes_of(registry, {}, [after, own(8, LAG)]))
    assert str(caught.value) == (
        "version: got 'own@1', expected a version whose definition is unchanged. Raise the "
        "version: apply the new definition as own@8.\n"
        "own@1 is there and differs:\n"
        "  ~ missing: zero -> mean\n"
        "  ~ owner: none -> grid-team\n"
        "  ~ order: lag_2h, avg_48h, hour -> hour, avg_48h, lag_3h\n"
        "  - lag_2h: Lag(by=2h, tolerance=1h, series=value)\n"
        "  ~ avg_48h.window: 48h -> 72h\n"
        "  ~ avg_48h.missing: none -> 0.0\n"
        "  ~ hour.tz: UTC -> Europe/Berlin\n"
        "  + lag_3h: Lag(by=3h, tolerance=1h, series=value)"
    )


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (
            [{"kind": "Calendar", "name": "a", "part": "minute"}],
            "own@1.a.part: got 'minute', expected one of ",
        ),
        (
            [{"kind": "Derived", "name": "a", "expression": "b + 1"},
             {"kind": "Derived", "name": "b", "expression": "a + 1"}],
            "own@1.features: got 'a <- b <- a', expected no circle of features",
        ),
        (
            [{"kind": "Derived", "name": "a", "expression": "lag_1h / rolling"}, "lag_1h"],
            "own@1.a.expression: got 'lag_1h / rolling', expected features of the same set or "
            "built-in ones, not 'rolling'",
        ),
        (
            [{"kind": "Calendar", "name": "a", "part": "month", "tz": "Europe/Berln"}],
            "own@1.a.tz: got 'Europe/Berln', expected an IANA time zone such as Europe/Berlin",
        ),
        (
            [{"kind": "Derived", "name": "a", "expression": "__import__('os')"}],
            "own@1.a.expression: got \"__import__('os')\", expected arithmetic ",
        ),
        (["lag_1h", "lag_1h"], "own@1.features: got 'lag_1h', expected each name once"),
        (
            [{"kind": "Lag", "name": "tenant_id", "by": "1h"}],
            "own@1.tenant_id.name: got 'tenant_id', expected a name that no column of an export "
            "has already",
        ),
        (
            [{"kind": "Lag", "name": "lag__missing", "by": "1h"}],
            "own@1.lag__missing.name: got 'lag__missing', expected a name that no column of an "
            "export has already",
        ),
    ],
)  # fmt: skip
def test_refusals(features: list[object], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document({"feature_sets": [{"name": "own", "version": 1, "features": features}]})
    assert str(caught.value).startswith(said)
