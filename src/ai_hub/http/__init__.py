"""The HTTP door: bytes in, one call to the front, bytes out."""

from __future__ import annotations

from ai_hub.http.server import serve as serve
