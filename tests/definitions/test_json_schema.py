from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.document import document_of, read_document
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.json_schema import json_schema
from ai_hub.errors import InvalidDefinition
from ai_hub.testing import sets
from definitions.test_document import MEAN, OWN, members, plain_values

SCHEMA = jsonschema_rs.validator_for(json_schema())


@given(sets.feature_sets())
def test_the_schema_takes_every_set(drawn: FeatureSet) -> None:
    document = document_of([drawn, *FEATURE_SETS])
    assert [error.message for error in SCHEMA.iter_errors(document)] == []


@given(st.dictionaries(members | st.just("kind"), plain_values, max_size=2))
def test_what_is_read_the_schema_takes(changed: dict[str, object]) -> None:
    document = {"feature_sets": [{**OWN, "features": ["lag_1h", {**MEAN, **changed}]}]}
    try:
        read_document(document)
    except InvalidDefinition:
        return
    assert [error.message for error in SCHEMA.iter_errors(document)] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "Rollin"},
        {"widow": "1h"},
        {"stat": "avg"},
        {"window": 48},
        {"closed": "open"},
        {"missing": "nul"},
        {"name": "1a"},
    ],
)
def test_an_editor_marks_what_is_wrong(changed: dict[str, Any]) -> None:
    document = {"feature_sets": [{**OWN, "features": [{**MEAN, **changed}]}]}
    assert not SCHEMA.is_valid(document)
    with pytest.raises(InvalidDefinition):
        read_document(document)


def test_the_schema_that_is_published_is_this_one() -> None:
    """`ai-hub sets schema > docs/feature-sets.schema.json` writes it anew."""
    published = Path(__file__).parents[2] / "docs" / "feature-sets.schema.json"
    assert json.loads(published.read_text("utf-8")) == json_schema()
