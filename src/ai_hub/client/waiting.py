"""The client for scripts and notebooks: every method waits for its answer."""

from __future__ import annotations

from ai_hub.blocking import blocking
from ai_hub.client.asynchronous import AsyncClient

Client = blocking(AsyncClient, __name__, "Client")
