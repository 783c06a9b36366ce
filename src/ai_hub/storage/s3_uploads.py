"""Multipart uploads of S3 that nobody ended, found and given up by S3's own requests.

What writes to S3 has no call for this. Requests are signed as AWS says ("Signature Version 4").
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import quote
from xml.etree import ElementTree

from ai_hub.errors import StorageError, StorageUnavailable
from ai_hub.storage.base import Upload
from ai_hub.storage.faults import fault, masked
from ai_hub.storage.url import Url

if TYPE_CHECKING:
    import httpx

_NOTHING = hashlib.sha256(b"").hexdigest()
_TRIES = 3


@dataclass(frozen=True, slots=True)
class S3Uploads:
    """Those below a URL."""

    url: Url
    endpoint: str
    region: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(repr=False)
    seconds: float

    @classmethod
    def of(cls, url: Url, seconds: float) -> Self | None:
        """With what the environment says; None where it has no keys of S3."""
        given = os.environ.get
        key_id, secret = given("AWS_ACCESS_KEY_ID", ""), given("AWS_SECRET_ACCESS_KEY", "")
        if url.scheme != "s3" or not (key_id and secret):
            return None
        region = given("AWS_REGION") or given("AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = (
            given("AWS_ENDPOINT_URL_S3") or given("AWS_ENDPOINT_URL") or given("AWS_ENDPOINT")
        )
        if given("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in ("1", "true"):
            endpoint = endpoint or f"https://{url.bucket}.s3.{region}.amazonaws.com"
        else:
            endpoint = f"{endpoint or f'https://s3.{region}.amazonaws.com'}".rstrip("/")
            endpoint += f"/{url.bucket}"
        return cls(url, endpoint, region, key_id, secret, given("AWS_SESSION_TOKEN", ""), seconds)

    def list(self, below: str = "") -> Sequence[Upload]:
        """All in a folder and below it. Raises StorageError."""
        prefix = "".join(f"{one}/" for one in (*self.url.segments, *filter(None, [below])))
        own = len("".join(f"{one}/" for one in self.url.segments))
        found: list[Upload] = []
        query = {"prefix": prefix, "uploads": ""}
        while True:
            answer = self._asked("GET", "", query)
            found += [
                Upload(_text(one, "Key")[own:], _text(one, "UploadId"))
                for one in answer.iterfind("{*}Upload")
            ]
            if _text(answer, "IsTruncated").lower() != "true":
                return found
            query["key-marker"] = _text(answer, "NextKeyMarker")
            query["upload-id-marker"] = _text(answer, "NextUploadIdMarker")

    def abort(self, upload: Upload) -> None:
        """Give one up. Raises ObjectMissing for one that has ended, StorageError."""
        key = "/".join((*self.url.segments, upload.name))
        self._asked("DELETE", key, {"uploadId": upload.id})

    def _asked(self, method: str, key: str, query: Mapping[str, str]) -> ElementTree.Element:
        import httpx

        words = "&".join(f"{_quoted(name)}={_quoted(query[name])}" for name in sorted(query))
        path = f"{self.endpoint}/{quote(key, safe='/-_.~')}" if key else self.endpoint
        url = httpx.URL(f"{path}?{words}")
        answer, why = None, ""
        for _ in range(_TRIES):
            try:
                headers = self._signed(method, url, datetime.now(UTC))
                answer = httpx.request(method, url, headers=headers, timeout=self.seconds)
            except httpx.TimeoutException:
                why = "it did not answer in time"
                continue
            except httpx.ConnectError:
                why = "it cannot be reached"
                continue
            except httpx.HTTPError as error:
                why = f"it did not answer as it should ({masked(str(error))})"
                continue
            if answer.status_code < 500:
                break
        if answer is None:
            raise StorageUnavailable(f"{self.url}: {why}")
        if answer.status_code >= 300:
            told = f"status code: {answer.status_code} {answer.reason_phrase}\n{answer.text}"
            raise fault(self.url, ValueError(told))
        try:
            return ElementTree.fromstring(answer.text or "<none/>")
        except ElementTree.ParseError:
            raise StorageError(f"{self.url}: its list of uploads is no XML") from None

    def _signed(self, method: str, url: httpx.URL, now: datetime) -> dict[str, str]:
        at = f"{now:%Y%m%dT%H%M%SZ}"
        headers = {
            "host": url.netloc.decode(),
            "x-amz-content-sha256": _NOTHING,
            "x-amz-date": at,
            **({"x-amz-security-token": self.token} if self.token else {}),
        }
        names = ";".join(headers)
        path, _, query = url.raw_path.decode().partition("?")
        said = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join((method, path, query, said, names, _NOTHING))
        scope = f"{at[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = b"AWS4" + self.secret.encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"):
            key = hmac.digest(key, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, "
            f"Signature={key.hex()}"
        )
        return headers


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
