"""What a server refused, as the error that the same call raises where the store is opened here.

A refusal is a status, a sentence, and the field that it is about. Where these do not tell errors
apart, the first words of the sentence do.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ai_hub.errors import (
    AiHubError,
    Busy,
    ExportFailed,
    Forbidden,
    InvalidInput,
    IssuerUnreachable,
    NotFound,
    OutOfRange,
    RegistryConflict,
    RetiredFeatureSet,
    ServerFailed,
    StoreReadOnly,
    StoreUnavailable,
    TooLarge,
    TooMany,
    Unauthorized,
    UnknownBaseline,
    UnknownExport,
    UnknownFeature,
    UnknownFeatureSet,
    UnknownKey,
    UnknownModel,
    UnknownRollout,
)


class _Known(NamedTuple):
    status: int
    field: str | None
    """None: whichever."""
    begins: str
    """A pattern that the sentence fits from its beginning on."""
    kind: type[AiHubError]


_KNOWN = (
    _Known(401, None, "", Unauthorized),
    _Known(403, None, "", Forbidden),
    _Known(404, "feature_set", r".*expected a version that is not retired\.", RetiredFeatureSet),
    _Known(404, "feature_set", "", UnknownFeatureSet),
    _Known(404, "model", "", UnknownModel),
    _Known(404, "name", "", UnknownRollout),
    _Known(404, "id", "", UnknownKey),
    _Known(404, "export_id", "", UnknownExport),
    _Known(404, "baseline_id", "", UnknownBaseline),
    _Known(404, None, "", NotFound),
    _Known(409, None, "", RegistryConflict),
    _Known(413, None, "", TooLarge),
    _Known(422, "feature_set", "asset ", OutOfRange),
    _Known(422, "feature_names", r"feature_names: got .*, expected one of ", UnknownFeature),
    _Known(422, "features", r"features: got .*, expected one of ", UnknownFeature),
    _Known(429, None, "", TooMany),
    _Known(503, None, r".*\. Try again in \d+ s\.$", Busy),
    _Known(503, None, "authorization: the public keys at ", IssuerUnreachable),
    _Known(503, None, r".* accepts no writes \(", StoreReadOnly),
    _Known(503, None, "", StoreUnavailable),
)
_GOT = re.compile(r"[^:]*: got (?P<got>.*?), expected (?P<expected>.*)", re.DOTALL)


def failure(status: int, said: str, field: str | None, exporting: bool = False) -> AiHubError:
    """The error of a refusal; `exporting`: of a request for an export."""
    for known in _KNOWN:
        if (
            known.status == status
            and known.field in (None, field)
            and re.match(known.begins, said, re.DOTALL)
        ):
            return _made(known.kind, said, field)
    if 400 <= status < 500:
        return _made(InvalidInput, said, field)
    return _made(ExportFailed if exporting else ServerFailed, said, field)


def _made(kind: type[AiHubError], said: str, field: str | None) -> AiHubError:
    """An error with these words, whatever its own class makes of what it is told."""
    error: AiHubError = kind.__new__(kind, said)
    error.args = (said,)
    if isinstance(error, InvalidInput):
        found = _GOT.fullmatch(said)
        error.field, error.hint = field or "", ""
        error.value = found and found["got"]
        error.expected = found["expected"] if found else said
    elif field is not None:
        error.__dict__["field"] = field
    return error
