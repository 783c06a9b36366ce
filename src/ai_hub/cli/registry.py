"""Feature sets, models and access keys for commands: of an open store, or of a server, alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from ai_hub.definitions.document import read_document
from ai_hub.definitions.values import Duration

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.definitions.feature_set import FeatureSet
    from ai_hub.feature_store import FeatureStore

_PATH = "/ai/features/sets"
_MODELS = "/ai/features/models"
_KEYS = "/ai/features/keys"


class LocalRegistry:
    """Those of an open feature store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    async def listed(self) -> Document:
        """Every version of every feature set."""
        return {"feature_sets": self._store.listed()}

    async def described(self, name: str) -> Document:
        """One, by name or name@version."""
        return self._store.described(name)

    async def plan(self, request: Document) -> Document:
        """What applying a document would change."""
        return (await self._store.plan(_sets(request))).document()

    async def apply(self, request: Document) -> Document:
        """Apply a document; what that changed."""
        done = await self._store.apply(_sets(request), request["applied_by"])
        return done.document()

    async def retire(self, name: str) -> Document:
        """Serve a version no more; that version."""
        await self._store.retire(name)
        return self._store.described(name)

    async def set_default(self, name: str) -> Document:
        """Let a name alone mean a version; that version."""
        await self._store.set_default(name)
        return self._store.described(name)

    async def models(self) -> Document:
        """The models that are bound."""
        return {"models": self._store.models()}

    async def bind_model(self, request: Document) -> Document:
        """Bind a model to a version; that model."""
        return await self._store.bind_model(**request)

    async def unbind_model(self, model: str) -> Document:
        """Let a model be bound to nothing; what it was bound to."""
        found = self._store.described_model(model)
        await self._store.unbind_model(model)
        return found

    async def keys(self) -> Document:
        """The access keys."""
        return {"keys": self._store.keys()}

    async def create_key(self, request: Document) -> Document:
        """Make an access key; it, with the key itself."""
        # Without them it is for all, which the request says by name.
        wanted = {name: value for name, value in request.items() if name != "all_tenants"}
        expires = Duration.of(wanted.pop("expires"), "expires") if "expires" in wanted else None
        return await self._store.create_key(**{"tenants": None, "expires": expires, **wanted})

    async def revoke_key(self, id: str) -> Document:
        """Let an access key be valid no more; it."""
        return await self._store.revoke_key(id)

    async def rollout(self, name: str, request: Document) -> Document:
        """Begin, change, finish or abort a rollout; the default version of its set."""
        if "finish" in request:
            await self._store.finish_rollout(name)
        elif "abort" in request:
            await self._store.abort_rollout(name)
        else:
            await self._store.roll_out(name, **request)
        return self._store.described(name)


class RemoteRegistry:
    """Those of a server, which `ask` reaches."""

    def __init__(self, ask: Callable[..., Awaitable[Document]]) -> None:
        self._ask = ask

    async def listed(self) -> Document:
        """Every version of every feature set."""
        return await self._ask("GET", _PATH)

    async def described(self, name: str) -> Document:
        """One, by name or name@version."""
        return await self._ask("GET", f"{_PATH}/{quote(name, '', errors='replace')}")

    async def plan(self, request: Document) -> Document:
        """What applying a document would change."""
        return await self._ask("POST", f"{_PATH}/plan", body=request)

    async def apply(self, request: Document) -> Document:
        """Apply a document; what that changed."""
        return await self._ask("POST", f"{_PATH}/apply", body=request)

    async def retire(self, name: str) -> Document:
        """Serve a version no more; that version."""
        return await self._ask("POST", f"{_PATH}/retire", body={"feature_set": name})

    async def set_default(self, name: str) -> Document:
        """Let a name alone mean a version; that version."""
        return await self._ask("POST", f"{_PATH}/default", body={"feature_set": name})

    async def models(self) -> Document:
        """The models that are bound."""
        return await self._ask("GET", _MODELS)

    async def bind_model(self, request: Document) -> Document:
        """Bind a model to a version; that model."""
        return await self._ask("POST", f"{_MODELS}/bind", body=request)

    async def unbind_model(self, model: str) -> Document:
        """Let a model be bound to nothing; what it was bound to."""
        return await self._ask("POST", f"{_MODELS}/unbind", body={"model": model})

    async def keys(self) -> Document:
        """The access keys that are for tenants of one's own."""
        return await self._ask("GET", _KEYS)

    async def create_key(self, request: Document) -> Document:
        """Make an access key; it, with the key itself."""
        return await self._ask("POST", _KEYS, body=request)

    async def revoke_key(self, id: str) -> Document:
        """Let an access key be valid no more; it."""
        return await self._ask("POST", f"{_KEYS}/revoke", body={"id": id})

    async def rollout(self, name: str, request: Document) -> Document:
        """Begin, change, finish or abort a rollout; the default version of its set."""
        path = f"{_PATH}/{quote(name, '', errors='replace')}/rollout"
        return await self._ask("POST", path, body=request)


def _sets(request: Document) -> tuple[FeatureSet, ...]:
    return read_document({key: request[key] for key in ("schema", "feature_sets")})
