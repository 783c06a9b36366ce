"""What a server refuses is the error that the store raises."""

from __future__ import annotations

import json

import pytest

from ai_hub import errors
from ai_hub.client.failures import failure
from ai_hub.http.body import refusal

KINDS = [
    errors.InvalidInput("timestamp", "x", "a time", "Say which."),
    errors.UnknownFeature("x", ["lag_1h", "lag_24h"]),
    errors.RegistryConflict("feature_set", "a@1", "another version"),
    errors.UnknownFeatureSet("x", ["forecast_basic"]),
    errors.RetiredFeatureSet("load@1", 2),
    errors.UnknownModel("m@1", []),
    errors.UnknownRollout("load"),
    errors.UnknownKey("k"),
    errors.UnknownExport("e"),
    errors.UnknownBaseline("b", "load@1", []),
    errors.OutOfRange("meter-001", "2025-10-09T14:00:00Z", "lag_1h is 900, above 100"),
    errors.Unauthorized("none"),
    errors.Forbidden("tenant_id", "t", "a tenant of the key"),
    errors.TooMany(),
    errors.TooLarge(2_000),
    errors.Busy("exports: 8 are under way"),
    errors.IssuerUnreachable("https://issuer", "timed out"),
    errors.StoreUnavailable("localhost:5432 does not answer"),
    errors.StoreReadOnly("localhost accepts no writes (x): it is a standby"),
]


@pytest.mark.parametrize("error", KINDS, ids=lambda one: type(one).__name__)
def test_it_is_of_the_same_class_with_the_same_words(error: errors.AiHubError) -> None:
    status, _, body = refusal(error)
    said = json.loads(body)
    found = failure(status, said["detail"], said["field"])
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert getattr(found, "field", None) == getattr(error, "field", None)
    assert isinstance(found, errors.InvalidInput) == isinstance(error, errors.InvalidInput)


def test_what_was_got_and_expected_is_known() -> None:
    found = failure(422, "since: got 'x', expected a time. Say which.", "since")
    assert isinstance(found, errors.InvalidInput)
    assert (found.value, found.expected) == ("'x'", "a time. Say which.")


def test_a_server_that_fails_says_so() -> None:
    assert type(failure(500, "its log says why", None)) is errors.ServerFailed
    assert type(failure(500, "the disk is full", None, exporting=True)) is errors.ExportFailed
