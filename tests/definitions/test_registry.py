from __future__ import annotations

import pytest

from ai_hub.definitions.builtin_features import BY_NAME
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Lag
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import Duration
from ai_hub.errors import (
    InvalidInput,
    NotFound,
    RetiredFeatureSet,
    UnknownFeature,
    UnknownFeatureSet,
)

ONE = BY_NAME["lag_1h"]
TWO = Lag("lag_2h", Duration.of("2h"))


def own(version: int, *features: Lag | Derived) -> FeatureSet:
    return FeatureSet("own", version, features)


def test_a_name_alone_means_the_version_registered_first_never_silently_the_newest() -> None:
    registry = Registry([own(2, TWO), own(10, ONE, TWO), own(1, ONE)])
    assert registry.get("own").label == "own@2"
    assert registry.get("own@10").features == (ONE, TWO)
    assert registry.get("own@1").features == (ONE,)
    assert registry.get("own@2").features == (TWO,)


@pytest.mark.parametrize(
    "name",
    [
        *("other", "own@3", "own@", "own@x", "own@0", "own@-1", "own@1.0", "own@²", "own@1@1"),
        *("OWN", "", "@", "@1", "own@9999999999999999999", None, 7, ["own"]),
    ],
)
def test_an_unknown_set_is_refused_with_those_known(name: object) -> None:
    with pytest.raises(UnknownFeatureSet, match="expected one of own") as caught:
        Registry([own(1, ONE)]).get(name)
    assert isinstance(caught.value, NotFound)


def test_a_version_never_changes_its_definition() -> None:
    registry = Registry([own(1, ONE)]).with_set(own(1, ONE))
    with pytest.raises(InvalidInput, match=r"Register the new definition as own@2\."):
        registry.with_set(own(1, TWO))
    assert registry.get("own").features == (ONE,)


def test_a_version_never_changes_a_width_under_the_same_name() -> None:
    registry = Registry([own(1, ONE)])
    with pytest.raises(InvalidInput, match=r"^version: got 'own@1'"):
        registry.with_set(own(1, Lag("lag_1h", Duration.of("2h"))))
    with pytest.raises(InvalidInput, match=r"^version: got 'own@1'"):
        registry.with_set(own(1, Lag("lag_1h", Duration.of("1h"), Duration.of("30m"))))
    assert registry.get("own").features == (ONE,)


def test_a_set_without_a_name_cannot_be_registered() -> None:
    with pytest.raises(InvalidInput, match="a named feature set"):
        Registry().with_set(FeatureSet.unnamed((ONE,)))


def test_features_are_selected_in_the_order_asked_for() -> None:
    picked = Registry().select(["lag_24h", "hour_of_day"])
    assert picked.feature_names == ("lag_24h", "hour_of_day")
    assert picked.name is None


def test_all_features_are_selected_when_none_are_named() -> None:
    assert Registry([], [ONE, TWO]).select(None).features == (ONE, TWO)


@pytest.mark.parametrize("names", [["lag_1h", "lag_3h"], [None], [["lag_1h"]], ["LAG_1H"]])
def test_an_unknown_feature_is_refused_with_those_known(names: list[str]) -> None:
    with pytest.raises(UnknownFeature, match=r"^feature_names: .*expected one of lag_1h, lag_2h"):
        Registry([], [ONE, TWO]).select(names)


def test_a_selection_names_something_and_nothing_twice() -> None:
    with pytest.raises(InvalidInput, match="at least one feature name"):
        Registry().select([])
    with pytest.raises(InvalidInput, match="each name once"):
        Registry().select(["lag_1h", "lag_1h"])


def test_a_registered_set_s_own_features_can_be_selected() -> None:
    registry = Registry([own(1, Lag("lag_3h", Duration.of("3h")))], [])
    assert registry.select(["lag_3h"]).feature_names == ("lag_3h",)


def test_sets_are_listed_by_name_and_version() -> None:
    registry = Registry([own(10, ONE), own(2, TWO), FeatureSet("a", 1, (ONE,))])
    assert [s.label for s in registry.sets()] == ["a@1", "own@2", "own@10"]


def test_a_registry_never_changes() -> None:
    registry = Registry([own(1, ONE)], [])
    more = registry.with_set(own(2, TWO))
    assert [one.label for one in more.sets()] == ["own@1", "own@2"]
    assert [one.label for one in registry.sets()] == ["own@1"]
    assert registry.feature_names == ("lag_1h",)
    assert more.feature_names == ("lag_1h", "lag_2h")
    assert more.get("own") is registry.get("own")
    with pytest.raises(UnknownFeatureSet):
        Registry().get("own")


def test_every_feature_is_every_built_in_one_whatever_sets_there_are() -> None:
    registry = Registry().with_set(own(1, TWO))
    assert registry.select(None) == Registry().select(None)
    assert registry.select(["lag_2h"]).features == (TWO,)


def test_a_name_alone_means_the_default_version_where_one_was_chosen() -> None:
    registry = Registry([own(1, ONE)]).with_applied([own(2, TWO), own(3, ONE, TWO)], [], {"own": 3})
    assert registry.get("own").label == "own@3"
    assert registry.get("own@1").features == (ONE,)
    assert [registry.is_default(one) for one in registry.sets()] == [False, False, True]
    assert Registry([own(2, TWO)], defaults={"own": 7}).get("own").label == "own@2"


def test_a_retired_version_is_known_and_not_served() -> None:
    registry = Registry([own(1, ONE)], []).with_applied([own(2, TWO)], ["own@2"], {"own": 1})
    with pytest.raises(RetiredFeatureSet, match=r"'own@2', .*The default version is own@1\.") as it:
        registry.get("own@2")
    assert isinstance(it.value, NotFound)
    assert registry.find("own@2").features == (TWO,)
    assert registry.is_retired(registry.find("own@2"))
    assert [one.label for one in registry.sets()] == ["own@1"]
    assert [one.label for one in registry.versions("own")] == ["own@1", "own@2"]
    assert registry.versions("other") == ()
    with pytest.raises(UnknownFeature):
        registry.select(["lag_2h"])


def test_what_was_applied_wins_over_what_one_process_registered() -> None:
    registry = Registry([own(1, ONE)], []).with_applied([own(1, TWO)], [], {})
    assert registry.get("own@1").features == (TWO,)
