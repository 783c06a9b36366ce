from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace

import pytest

from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.builtin_features import BY_NAME
from ai_hub.definitions.feature_set import FeatureSet, definition_of
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Calendar, Derived, Feature, Lag, Latest, Rolling, Seasonal
from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import InvalidInput

HOUR_OF_DAY = BY_NAME["hour_of_day"]
LAG = BY_NAME["lag_1h"]
MEAN = Rolling("mean_24h", "mean", Duration.of("24h"))


def one(*features: Feature, missing: Missing = "mean") -> FeatureSet:
    return FeatureSet("one", 1, features, missing=missing)


def test_a_set_keeps_its_features_in_order() -> None:
    assert one(LAG, HOUR_OF_DAY).feature_names == ("lag_1h", "hour_of_day")
    assert FeatureSet("one", 1, [LAG]).features == (LAG,)  # type: ignore[arg-type]


def test_a_set_is_labelled_by_name_and_version() -> None:
    assert FeatureSet("load", 3, (LAG,)).label == "load@3"
    assert FeatureSet.unnamed((LAG,)).label == "@"


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.0, True])
def test_a_named_set_has_a_whole_version_from_1(version: object) -> None:
    with pytest.raises(InvalidInput, match=r"^version: "):
        FeatureSet("one", version, (LAG,))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "a@1", "1a", 5])
def test_a_set_s_name_is_an_identifier(name: object) -> None:
    with pytest.raises(InvalidInput, match=r"^name: "):
        FeatureSet(name, 1, (LAG,))  # type: ignore[arg-type]


def test_a_request_s_own_features_have_no_name_no_version_and_the_default_policy() -> None:
    unnamed = FeatureSet.unnamed((LAG, MEAN))
    assert (unnamed.name, unnamed.version, unnamed.missing) == (None, None, "mean")
    assert FeatureSet.unnamed((LAG, MEAN)) is unnamed
    with pytest.raises(InvalidInput, match=r"^version: "):
        FeatureSet(None, 1, (LAG,))


def test_a_set_has_at_least_one_feature_and_each_name_once() -> None:
    with pytest.raises(InvalidInput, match="at least one feature"):
        one()
    with pytest.raises(InvalidInput, match="each name once"):
        one(LAG, MEAN, Calendar("lag_1h", "month"))


def test_a_set_s_policy_is_checked() -> None:
    assert one(LAG, missing=2).missing == 2.0
    with pytest.raises(InvalidInput, match=r"^missing: "):
        one(LAG, missing="drop")  # type: ignore[arg-type]


def test_a_set_s_series_is_that_of_its_first_feature_that_has_one() -> None:
    price = Rolling("price", "mean", Duration.of("24h"), series="price")
    assert one(HOUR_OF_DAY, price, LAG).series == "price"
    assert one(LAG, price).series == "value"
    assert one(HOUR_OF_DAY, Latest("temperature", "temperature")).series == "value"


def test_a_set_s_series_may_be_named() -> None:
    named = FeatureSet("one", 1, (LAG,), series="generation")
    assert named.series == "generation"
    # Naming the one that it would have anyway changes nothing.
    assert FeatureSet("one", 1, (LAG,), series="value") == one(LAG)
    with pytest.raises(InvalidInput, match=r"^series: "):
        FeatureSet("one", 1, (LAG,), series="a" * 65)


# Derived features


def test_a_derived_feature_reads_features_of_its_set_in_any_place() -> None:
    double = Derived("double", "both * 2")
    both = Derived("both", "lag_1h + mean_24h")
    assert one(double, both, LAG, MEAN).feature_names[0] == "double"


def test_a_derived_feature_reads_no_feature_of_elsewhere() -> None:
    with pytest.raises(
        InvalidInput, match="features of the same set or built-in ones, not 'mean_24h'"
    ):
        one(LAG, Derived("d", "lag_1h - mean_24h"))


@pytest.mark.parametrize(
    "circle",
    [
        (Derived("a", "a + 1"),),
        (Derived("a", "b + 1"), Derived("b", "a + 1")),
        (Derived("a", "lag_1h + b"), Derived("b", "c"), Derived("c", "b")),
    ],
)
def test_no_derived_feature_depends_on_itself(circle: tuple[Derived, ...]) -> None:
    with pytest.raises(InvalidInput, match="no circle"):
        one(LAG, *circle)


def test_two_derived_features_may_share_an_input() -> None:
    shared = Derived("s", "lag_1h * 2")
    assert one(LAG, shared, Derived("a", "s + s"), Derived("b", "a + s"))


# Policies


@pytest.mark.parametrize(
    ("requested", "own", "expected"),
    [
        (None, None, "zero"),
        (None, "keep", "keep"),
        ("mean", "keep", "mean"),
        ("mean", None, "mean"),
        (None, 0.0, 0.0),
        (0.0, "keep", 0.0),
    ],
)
def test_the_request_s_policy_precedes_the_feature_s_and_that_the_set_s(
    requested: Missing | None, own: Missing | None, expected: Missing
) -> None:
    lag = Lag("lag", Duration.of("1h"), missing=own)
    assert one(lag, missing="zero").policy_of(lag, requested) == expected


def test_a_policy_s_name_tells_answers_apart_that_differ() -> None:
    own = Lag("own", Duration.of("1h"), missing="keep")
    plain = one(LAG)
    mixed = one(LAG, own)
    assert plain.policy_name(None) == plain.policy_name("mean") == "mean"
    assert mixed.policy_name(None) != mixed.policy_name("mean")
    assert plain.policy_name(1.5) == "1.5"


# Fingerprints


def test_a_fingerprint_is_16_hex_digits_of_the_canonical_json() -> None:
    assert one(LAG).canonical == (
        '{"features":[{"by":"1h","kind":"Lag","name":"lag_1h"}],"semantics":2}'
    )
    wide = Lag("lag_1h", Duration.of("1h"), Duration.of("2h"), "price", missing=1.0)
    assert one(wide, missing="keep").canonical == (
        '{"features":[{"by":"1h","kind":"Lag","missing":1.0,"name":"lag_1h","series":"price",'
        '"tolerance":"2h"}],"missing":"keep","semantics":2}'
    )
    assert len(one(LAG).fingerprint) == 16
    assert int(one(LAG).fingerprint, 16) >= 0


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_field_at_its_default_is_not_in_the_canonical_form(feature: Feature) -> None:
    (plain,) = json.loads(one(feature).canonical)["features"]
    defaults = {f.name: f.default for f in fields(feature) if f.default is not MISSING}
    said = {name for name, default in defaults.items() if getattr(feature, name) != default}
    # What is said of a built-in feature is its default.
    assert said - {"unit", "description", "valid"} == plain.keys() & defaults.keys()
    assert {"kind", "name"} <= plain.keys()


def test_equal_definitions_have_equal_fingerprints_whatever_they_are_called() -> None:
    week = Lag("l", Duration.of("7d"))
    same = Lag("l", Duration.of("168h"))
    a = FeatureSet("a", 1, (week,), description="one thing")
    b = FeatureSet("b", 9, (same,), description="another", use_cases=("x",))
    assert a.fingerprint == b.fingerprint == FeatureSet.unnamed((week,)).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        one(MEAN, LAG),
        one(LAG),
        one(LAG, MEAN, missing="zero"),
        one(LAG, Rolling("mean_24h", "mean", Duration.of("24h"), "right")),
        one(LAG, Rolling("mean_24h", "mean", Duration.of("24h"), series="price")),
        one(LAG, Rolling("mean_24h", "mean", Duration.of("24h"), missing="mean")),
        one(LAG, Rolling("mean_24h", "median", Duration.of("24h"))),
        FeatureSet("one", 1, (LAG, MEAN), series="price"),
        FeatureSet("one", 1, (LAG, MEAN), on_violation="null"),
        FeatureSet("one", 1, (LAG, MEAN), on_violation="reject"),
        one(LAG, replace(MEAN, valid=(0, 5))),
        one(LAG, Rolling("mean_25h", "mean", Duration.of("24h"))),
    ],
)
def test_a_fingerprint_changes_with_anything_that_changes_a_value(other: FeatureSet) -> None:
    assert other.fingerprint != one(LAG, MEAN).fingerprint


def test_a_document_is_plain_values() -> None:
    document = one(LAG, MEAN).document()
    assert json.loads(json.dumps(document)) == document
    assert document["features"] == [LAG.name, MEAN.name]
    assert document["definitions"] == [definition_of(LAG), definition_of(MEAN)]
    assert document["fingerprint"] == one(LAG, MEAN).fingerprint


def test_a_definition_is_plain_values_kind_first() -> None:
    assert list(definition_of(HOUR_OF_DAY).items()) == [
        ("kind", "Calendar"),
        ("name", "hour_of_day"),
        ("part", "hour_of_day"),
        ("tz", "UTC"),
        ("unit", "h"),
        ("description", "Hour of the day, UTC"),
        ("valid", {"low": 0.0, "high": 23.0}),
    ]
    assert definition_of(Lag("l", Duration.of("2h"), missing=0.0))["missing"] == 0.0


def test_a_built_in_feature_may_stand_in_a_set_by_its_name() -> None:
    named = FeatureSet("one", version=1, features=["hour_of_day", LAG])  # type: ignore[arg-type]
    assert named == one(HOUR_OF_DAY, LAG)
    with pytest.raises(InvalidInput, match=r"^features: got 'lag_1hh', .*Did you mean lag_1h\?"):
        one("lag_1hh")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"^features: got 'zzzz', expected the name of a built-"):
        one("zzzz")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"^features: got 'lag_1h', expected a list"):
        FeatureSet("one", 1, "lag_1h")  # type: ignore[arg-type]


def test_what_is_said_of_a_built_in_feature_is_the_default_of_its_definition() -> None:
    bare = Latest("temperature", "temperature")
    warm = replace(bare, valid=(0, 40), description="Beside the river")
    built_in = BY_NAME["temperature"]
    assert one(bare) == one(built_in)
    (said,) = one(warm).features
    assert (said.valid, said.unit, said.description) == (
        ValidRange(0, 40),
        "°C",
        "Beside the river",
    )
    assert one(warm).fingerprint != one(built_in).fingerprint
    # Another name or definition is another feature.
    for other in (replace(bare, name="heat"), replace(bare, max_age="6h")):
        assert one(other).features[0].valid is None
        ranged = replace(other, valid=(-90, 60))
        assert one(ranged).fingerprint != one(other).fingerprint


def test_owner_and_description_say_nothing_of_what_the_values_mean() -> None:
    owned = FeatureSet("one", 1, (LAG,), owner="grid-team", description="d", use_cases=("u",))
    assert owned.fingerprint == one(LAG).fingerprint
    assert owned.document()["owner"] == "grid-team"


def test_what_becomes_of_values_outside_their_range_is_one_of_three_words() -> None:
    assert FeatureSet("one", 1, (LAG,), on_violation="null").document()["on_violation"] == "null"
    with pytest.raises(InvalidInput) as caught:
        FeatureSet("one", 1, (LAG,), on_violation="drop")  # type: ignore[arg-type]
    assert str(caught.value) == "on_violation: got 'drop', expected one of report, null, reject"


@pytest.mark.parametrize("field", ["owner", "description", "use_cases"])
@pytest.mark.parametrize("value", [5, None, "x" * 2_001, "\ud800", "a\0"])
def test_what_describes_a_set_is_text(field: str, value: object) -> None:
    given = [value] if field == "use_cases" else value
    with pytest.raises(InvalidInput, match=rf"^{field}: .*a text of at most 2,000 characters"):
        FeatureSet("one", 1, (LAG,), **{field: given})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["use_cases", "series", "features", "owner"])
def test_an_empty_mapping_says_nothing_that_a_set_takes(field: str) -> None:
    given: dict[str, object] = {"features": [LAG], field: {}}
    with pytest.raises(InvalidInput, match=field):
        FeatureSet("a", 1, **given)


def test_lists_within_a_set_have_limits() -> None:
    most = [Seasonal(f"s{n}", "mean", "1d", 1_000) for n in range(10)]
    FeatureSet("a", 1, most)
    with pytest.raises(InvalidInput, match=r"got '10,001 values', expected .* at most 10,000 tog"):
        FeatureSet("a", 1, [*most, Seasonal("one", "mean", "1d", 1)])
    with pytest.raises(InvalidInput, match=r"^valid: got 1001, expected a list of at most 1,000"):
        replace(LAG, valid={"values": [*range(1_001)]})
    with pytest.raises(InvalidInput, match=r"^holidays: got 50001, expected a list of at most 50,"):
        HolidayDates((0,) * 50_001, 2025)
