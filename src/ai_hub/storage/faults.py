"""What object storage says when it does not do what was asked, as an error of ours.

The library's own text is left aside: it repeats answers, which may hold a key's id or a signature.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ai_hub.errors import (
    InvalidInput,
    ObjectExists,
    ObjectMissing,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from ai_hub.storage.url import Url

_STATUS = re.compile(r"status code: (\d{3})(?: ([A-Z][A-Za-z ]+))?")
_CODE = re.compile(r"<Code>\s*([\w.-]{1,80})\s*</Code>")
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,300}?)\s*</Message>")
_QUERY = re.compile(r"\?\S+")
_SECRET = re.compile(r"(AWS|GOOGLE|AZURE)_.*(KEY|SECRET|TOKEN|SAS|SERVICE_ACCOUNT).*", re.I)
_INSTALL = "pip install 'ai-hub-feature-store[cloud]'"
_ENVIRONMENT = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_SERVICE_ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN",
}
_NO_CREDENTIALS = ("169.254.169.254", "token request", "MissingAccount", "InvalidCredentials")
"""Without any in the environment, those of the machine are asked for."""


@contextmanager
def from_extra() -> Iterator[None]:
    """Around an import from the extra: raises InvalidInput where it is not installed."""
    try:
        yield
    except ImportError as error:
        expected = f"the extra cloud to be installed ({error})"
        raise InvalidInput("cloud", error.name, expected, _INSTALL) from None


@contextmanager
def said(url: Url) -> Iterator[None]:
    """Raise an error of ours in place of the library's."""
    from obstore.exceptions import BaseError

    try:
        yield
    except StorageError:
        raise
    except (BaseError, OSError, ValueError) as error:
        # Not its cause: its text would be shown with it.
        raise fault(url, error) from None


def fault(url: Url, error: BaseException) -> StorageError:
    """The error of ours for one of the library's, about a file or what is below a URL."""
    text = str(error)
    found = _STATUS.search(text)
    status = int(found[1]) if found else 0
    code = _CODE.search(text)
    name = type(error).__name__
    if name == "AlreadyExistsError" or (name == "PreconditionError" and status in (409, 412)):
        return ObjectExists(f"{url} is there already")
    if code and code[1] in ("NoSuchBucket", "ContainerNotFound"):
        return ObjectMissing(f"{url}: there is no bucket {masked(url.bucket)}")
    if isinstance(error, FileNotFoundError) or status == 404:
        return ObjectMissing(f"{url} is not there")
    environment = f"Credentials are taken from the environment ({_ENVIRONMENT[url.scheme]})."
    if any(one in text for one in _NO_CREDENTIALS):
        return StorageRefused(f"{url}: there are no credentials. {environment}")
    reason = _reason(text, found)
    if status in (400, 401, 403):
        return StorageRefused(f"{url}: {reason}. {environment}")
    if status and status < 500 and status not in (408, 409, 429):
        return StorageError(f"{url}: {reason}")
    return StorageUnavailable(f"{url}: {reason}")


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """A text without secrets of the environment, and without what follows a `?`."""
    for name, value in environment.items():
        if len(value) >= 4 and _SECRET.fullmatch(name):
            text = text.replace(value, "***")
    return _QUERY.sub("?***", text)


def _reason(text: str, status: re.Match[str] | None) -> str:
    """What an answer says in a few words, or why there was none."""
    if status is None:
        if re.search(r"TimedOut|kind: Timeout|timed out", text):
            return "it did not answer in time"
        if "kind: Connect" in text or "ConnectError" in text:
            return "it cannot be reached"
        first = text.split("\n")[0].rpartition(" - ")[2].rpartition("error: ")[2]
        if first == "error sending request":  # what writes files says no more
            return "it did not answer as it should, or not in time"
        return f"it did not answer as it should ({masked(first)[:200]})"
    words = f"it answered {status[1]}{' ' + status[2].strip() if status[2] else ''}"
    code, message = _CODE.search(text), _MESSAGE.search(text)
    # Azure's goes on with the id of the request, on a line of its own.
    more = ": ".join(one[1].split("\n")[0] for one in (code, message) if one)
    return masked(f"{words} ({more.rstrip('.')})" if more else words)
