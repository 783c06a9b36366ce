"""What a URL says, and which are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.storage.url import Url, is_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket", "s3://bucket"),
        ("S3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b c/%20/", "s3://bucket/a/b c/%20"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("az://container/a", "az://container/a"),
        ("file:///tmp/a%20b", "/tmp/a b"),
        ("/tmp/a", "/tmp/a"),
    ],
)
def test_a_url_says_where(text: str, url: str) -> None:
    assert str(Url.of(text)) == url
    assert Url.of(str(Url.of(text))) == Url.of(text)
    assert str(Url.of(text) / "x/y") == f"{url}/x/y"


def test_a_path_is_a_folder() -> None:
    assert Url.of("exports/x").path == Path.cwd() / "exports" / "x"
    assert Url.of(Path("exports")) == Url.of("exports")
    assert not is_url("exports/x")
    assert is_url("s3://x")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://bucket/a", "expected s3://bucket/prefix"),
        ("s3://", "the name of a bucket after s3://"),
        ("s3:///a", "the name of a bucket after s3://"),
        ("s3://b u/a", "the name of a bucket"),
        ("s3://bucket/a//b", "without empty segments"),
        ("s3://bucket/a/../b", "without empty segments, . and .."),
        ("s3://bucket/./b", "without empty segments, . and .."),
        ("s3://bucket/a?x=1", "without ?"),
        ("s3://bucket/a\nb", "do not print"),
        ("s3://bucket/" + "x" * 1025, "at most 1024 bytes"),
        ("file://host/a", "file:///path"),
        ("file:///a%00b", "expected s3://bucket/prefix"),
        (Path("a\0b"), "expected s3://bucket/prefix"),
        ("a/" + "ü" * 128, "at most 255 bytes a name"),
        ("a/" * 1_501, "3,000 in all"),
        (7, "expected s3://bucket/prefix"),
        ("", "expected s3://bucket/prefix"),
    ],
)
def test_what_is_no_url_is_told(value: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=r"^output: got ") as caught:
        Url.of(value, "output")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "s3:/bucket/a",
        "s3:bucket",
        "S3//bucket/a",
        " s3://bucket/a",
        "gs:/key:secret@bucket",
        "https:/host/a",
        "file:/tmp/a",
        Path("s3://bucket/a"),
    ],
)
def test_what_is_nearly_a_url_is_no_path(value: str | Path) -> None:
    assert is_url(value)
    with pytest.raises(InvalidInput, match=r"^output: got '.*begins with \w+://") as caught:
        Url.of(value, "output")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a:b/c", "./s3:/x", "data/s3://x", "s3", "gs/x", "C:/x", "files:1"]
)
def test_other_names_with_a_colon_are_paths(name: str) -> None:
    assert not is_url(name)
    assert Url.of(name).path == Path(name).absolute()


@pytest.mark.parametrize("text", ["s3://key:secret@bucket/a", "https://key:secret@host/a"])
def test_credentials_in_a_url_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Url.of(text)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.value)


@pytest.mark.parametrize(
    ("inner", "outer", "below"),
    [
        ("s3://bucket/a/b", "s3://bucket/a", True),
        ("s3://bucket/a", "s3://bucket/a", True),
        ("s3://bucket/ab", "s3://bucket/a", False),
        ("s3://bucket/a", "s3://bucket", True),
        ("s3://bucket2/a", "s3://bucket", False),
        ("gs://bucket/a", "s3://bucket", False),
    ],
)
def test_below_is_by_whole_segments(inner: str, outer: str, below: bool) -> None:
    assert Url.of(inner).is_below(Url.of(outer)) is below
