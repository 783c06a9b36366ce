"""Where files are: `s3://bucket/prefix`, `gs://`, `az://`, or a folder (`file://` or a path)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, cast, get_args
from urllib.parse import unquote

from ai_hub.errors import InvalidInput

Scheme = Literal["s3", "gs", "az", "file"]
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_MEANT = re.compile(
    r"\s*([A-Za-z][A-Za-z0-9+.-]*(?=://)|(?:s3[an]?|gc?s|az|abfss?|wasbs?|hdfs|file|https?)(?=:|//))",
    re.IGNORECASE,
)
"""How a text begins that is meant as a URL, be it none."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_LONGEST = 1024
"""Bytes of a key."""
_LONGEST_NAME = 255
_LONGEST_FOLDER = 3_000
"""Bytes of a path, which leave room for what is written below it."""
_EXPECTED = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or the path of a folder"


def is_url(value: object) -> bool:
    """Whether a text is meant as a URL, and not as a path: `s3:/x` too, which `Url.of` refuses."""
    return isinstance(value, str | PurePath) and _MEANT.match(str(value)) is not None


@dataclass(frozen=True, slots=True)
class Url:
    """A place in object storage, or a folder: all below it has names relative to it.

    Segments are taken as they stand, as S3 itself takes them: `%20` is three characters.
    """

    scheme: Scheme
    bucket: str
    """Empty for a folder."""
    segments: tuple[str, ...]

    @classmethod
    def of(cls, value: object, field: str = "url") -> Url:
        """What a text says; a path is made absolute. Raises InvalidInput naming the field."""
        if isinstance(value, PurePath):
            value = str(value)
        if not isinstance(value, str) or not value:
            raise InvalidInput(field, value, _EXPECTED)
        found = _URL.fullmatch(value)
        if found is None:
            _check_no_url(value, field)
            return cls._folder(value, field)
        scheme, rest = found[1].lower(), found[2]
        if scheme not in get_args(Scheme):
            # What stands before an @ may be a password.
            raise InvalidInput(field, f"{found[1]}://...", _EXPECTED)
        if scheme == "file":
            if not rest.startswith("/"):
                raise InvalidInput(field, value, "file:///path, with three slashes")
            return cls._folder(unquote(rest), field)
        bucket, _, key = rest.partition("/")
        if "@" in bucket:
            raise InvalidInput(
                field,
                f"{scheme}://...@...",
                "a URL without credentials",
                "They are taken from the environment (AWS_*, GOOGLE_*, AZURE_*).",
            )
        if not _BUCKET.fullmatch(bucket):
            raise InvalidInput(field, value, f"the name of a bucket after {scheme}://")
        return cls(cast(Scheme, scheme), bucket, _segments(key, value, field))

    @classmethod
    def _folder(cls, path: str, field: str) -> Url:
        if "\0" in path:
            raise InvalidInput(field, path, _EXPECTED)
        parts = Path(path).absolute().parts[1:]
        sizes = [len(one.encode("utf-8", "replace")) for one in parts]
        if max(sizes, default=0) > _LONGEST_NAME or sum(sizes) + len(sizes) > _LONGEST_FOLDER:
            expected = f"at most {_LONGEST_NAME} bytes a name, and {_LONGEST_FOLDER:,} in all"
            raise InvalidInput(field, path, expected)
        return cls("file", "", parts)

    @property
    def key(self) -> str:
        """The segments in one: a key without a slash at its ends."""
        return "/".join(self.segments)

    @property
    def path(self) -> Path:
        """The folder. Only for one."""
        assert self.scheme == "file"
        return Path("/", *self.segments)

    def __truediv__(self, name: str) -> Url:
        """What is below it by a relative name."""
        return Url(self.scheme, self.bucket, (*self.segments, *filter(None, name.split("/"))))

    def __str__(self) -> str:
        if self.scheme == "file":
            return str(self.path)
        return f"{self.scheme}://{'/'.join((self.bucket, *self.segments))}"

    def is_below(self, other: Url) -> bool:
        """Whether it is another, or below it, by whole segments."""
        return (self.scheme, self.bucket) == (other.scheme, other.bucket) and (
            self.segments[: len(other.segments)] == other.segments
        )


def _check_no_url(value: str, field: str) -> None:
    """Raise InvalidInput for a path that begins as a URL does."""
    if meant := _MEANT.match(value):
        # What follows may be a password.
        raise InvalidInput(
            field,
            f"{meant[0]}...",
            _EXPECTED,
            f"A URL is a text that begins with {meant[1]}:// (a Path keeps one slash of them); a "
            "folder of that name is ./NAME.",
        )


def _segments(key: str, value: str, field: str) -> tuple[str, ...]:
    """Those of a key, without empty ones at its end. Raises InvalidInput."""
    segments = tuple(key.rstrip("/").split("/")) if key.strip("/") else ()
    for one in segments:
        if one in ("", ".", ".."):
            raise InvalidInput(field, value, "a URL without empty segments, . and ..")
        if any(char in "?#\\*" or not char.isprintable() for char in one):
            raise InvalidInput(
                field, value, r"a URL without ?, #, *, \ and characters that do not print"
            )
    if len(key.encode("utf-8", "replace")) > _LONGEST:
        raise InvalidInput(field, value, f"a key of at most {_LONGEST} bytes")
    return segments
