"""The encoding of a text, and any text as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

from ai_hub.errors import InvalidInput

UTF_8 = "utf-8"
EIGHT_BITS = "cp1252"
"""What bytes that are no UTF-8 are read as where it does not matter which letters they are."""

# The longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20


def detect_encoding(sample: bytes) -> str:
    """The encoding that the first bytes of a text show.

    A byte-order mark says it, and so does a zero in every second byte. What is UTF-8 is UTF-8;
    any other text is said to be EIGHT_BITS, and which letters it has is then not known.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    even, odd = (sample[start:2000:2].count(0) for start in (0, 1))
    length = min(len(sample), 2000) // 2
    if length > 1 and max(even, odd) > length // 2 and min(even, odd) <= length // 20:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(sample)
    except UnicodeDecodeError:
        return EIGHT_BITS
    return UTF_8


class Utf8(io.RawIOBase):
    """A stream of text in some encoding, as UTF-8 without a byte-order mark.

    A byte that the encoding has not stays as it is, so that the cell with it is no UTF-8; where
    none could be made out after it, reading raises InvalidInput.
    """

    def __init__(self, raw: BinaryIO, encoding: str, field: str) -> None:
        self._raw = raw
        self._encoding = encoding
        self._field = field
        # Of several bytes a letter there may be half a pair, of one there may be an odd one.
        self._errors = "surrogatepass" if encoding.startswith("utf") else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        self._first = True
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not self._rest:
            data = self._raw.read(max(size, _CHUNK)) or b""
            self._rest = self._recoded(data)
            if not data:
                break
        end = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def _recoded(self, data: bytes) -> bytes:
        found = data
        if self._encoding != UTF_8:
            found = self._decoded(data).encode(UTF_8, self._errors)
        if self._first and found:
            self._first = False
            found = found.removeprefix(codecs.BOM_UTF8)
        return found

    def _decoded(self, data: bytes) -> str:
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeError:
            expected = f"text in {self._encoding} from beginning to end"
            hint = "Name the encoding of the file with --encoding."
            raise InvalidInput(self._field, "bytes of another kind", expected, hint) from None

    def close(self) -> None:
        """Closes what it reads from."""
        self._raw.close()
        super().close()
