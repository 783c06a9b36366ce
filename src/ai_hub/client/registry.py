"""Feature sets, models, rollouts and access keys of a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ai_hub.client.base import Asking, said
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import UnknownModel, UnknownRollout

if TYPE_CHECKING:
    from ai_hub.definitions.feature_set import FeatureSet
    from ai_hub.definitions.values import Duration

_SETS, _MODELS, _KEYS = "/sets", "/models", "/keys"


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What applying feature sets changes on a server: what becomes of each, as plain values, and
    what looks wrong with it."""

    changes: Sequence[Mapping[str, Any]]
    warnings: tuple[str, ...]
    revision: int
    is_allowed: bool

    def document(self) -> dict[str, Any]:
        """The same as plain values, as `ai-hub plan --json` gives it."""
        return {
            "revision": self.revision,
            "allowed": self.is_allowed,
            "changes": list(self.changes),
            "warnings": list(self.warnings),
        }


class Registry(Asking):
    """What a server answers by, and who may ask it."""

    async def listed(self) -> list[dict[str, Any]]:
        """Every version, retired ones too, as `described` gives it; by name and version."""
        found: list[dict[str, Any]] = (await self._ask("GET", _SETS, safe=True))["feature_sets"]
        return found

    async def described(self, feature_set: str) -> dict[str, Any]:
        """A version (a retired one too) as plain values, with its state in the registry."""
        return await self._ask("GET", f"{_SETS}/{_quoted(feature_set)}", safe=True)

    async def plan(self, feature_sets: Iterable[FeatureSet]) -> ServerPlan:
        """What `apply` would change, and what looks wrong; nothing is changed."""
        return _plan(await self._ask("POST", f"{_SETS}/plan", _document(feature_sets), safe=True))

    async def apply(
        self, feature_sets: Iterable[FeatureSet], applied_by: str | None = None
    ) -> ServerPlan:
        """Have every process of the server's database serve these feature sets, all or none."""
        asked = {**_document(feature_sets), **said(applied_by=applied_by)}
        return _plan(await self._ask("POST", f"{_SETS}/apply", asked))

    async def retire(self, feature_set: str) -> None:
        """Serve a version (`name@version`) no more."""
        await self._ask("POST", f"{_SETS}/retire", {"feature_set": feature_set})

    async def set_default(self, feature_set: str) -> None:
        """Let a name alone mean this version (`name@version`)."""
        await self._ask("POST", f"{_SETS}/default", {"feature_set": feature_set}, safe=True)

    async def models(self) -> list[dict[str, Any]]:
        """Every version of a model that is bound, as plain values, by name and version."""
        found: list[dict[str, Any]] = (await self._ask("GET", _MODELS, safe=True))["models"]
        return found

    async def described_model(self, model: str) -> dict[str, Any]:
        """A version of a model that is bound, as plain values."""
        bound = await self.models()
        for one in bound:
            if one["model"] == model:
                return one
        raise UnknownModel(model, [one["model"] for one in bound])

    async def bind_model(
        self,
        model: str,
        feature_set: str,
        policy: Missing | None = None,
        bound_by: str | None = None,
    ) -> dict[str, Any]:
        """Bind a version of a model (`load-model@3`) to a version of a feature set, as it is now;
        the model as plain values."""
        asked = said(model=model, feature_set=feature_set, policy=policy, bound_by=bound_by)
        return await self._ask("POST", f"{_MODELS}/bind", asked)

    async def unbind_model(self, model: str) -> None:
        """Let a version of a model be bound to nothing."""
        await self._ask("POST", f"{_MODELS}/unbind", {"model": model})

    async def roll_out(
        self, name: str, to: int, percent: float, begun_by: str | None = None
    ) -> dict[str, Any]:
        """Let `get` and `get_batch` take version `to` of a set, asked for by its name alone, for
        some assets; the rollout as plain values."""
        asked = said(to=to, percent=percent, begun_by=begun_by)
        return _rollout_of(name, await self._ask("POST", _rollout(name), asked))

    async def finish_rollout(self, name: str) -> None:
        """Make the version that is rolled out the default."""
        await self._ask("POST", _rollout(name), {"finish": True})

    async def abort_rollout(self, name: str) -> None:
        """End a rollout, the default version as it was."""
        await self._ask("POST", _rollout(name), {"abort": True})

    async def rollouts(self) -> list[dict[str, Any]]:
        """Every rollout under way, as plain values, by name."""
        found = {one["name"]: one["rollout"] for one in await self.listed() if one["rollout"]}
        return [found[name] for name in sorted(found)]

    async def rollout_split(
        self, name: str, tenant_id: str, asset_ids: Iterable[str]
    ) -> dict[str, int]:
        """The version that each asset is answered by, while a rollout is under way."""
        from ai_hub.serving.rollouts import split_of

        return split_of(_rollout_of(name, await self.described(name)), tenant_id, asset_ids)

    async def keys(self) -> list[dict[str, Any]]:
        """Every key for one's own tenants, those that ended too, as plain values."""
        found: list[dict[str, Any]] = (await self._ask("GET", _KEYS, safe=True))["keys"]
        return found

    async def create_key(
        self,
        name: str,
        tenants: Iterable[str] | None,
        scopes: Iterable[str],
        expires: Duration | None = None,
        created_by: str | None = None,
    ) -> dict[str, Any]:
        """Make a key for some tenants (None: every one), which ends after `expires` (None: never);
        it as plain values, with the `key` itself, which is kept nowhere."""
        asked = said(
            name=name, scopes=list(scopes), created_by=created_by,
            expires=None if expires is None else str(expires),
            tenants=None if tenants is None else list(tenants),
            all_tenants=True if tenants is None else None,
        )  # fmt: skip
        return await self._ask("POST", _KEYS, asked)

    async def revoke_key(self, id: str) -> dict[str, Any]:
        """Let a key be valid no more, in every process within seconds; the key as plain values."""
        return await self._ask("POST", f"{_KEYS}/revoke", {"id": id}, safe=True)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, "", errors="replace")


def _rollout(name: str) -> str:
    return f"{_SETS}/{_quoted(name)}/rollout"


def _rollout_of(name: str, described: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] | None = described["rollout"]
    if found is None:
        raise UnknownRollout(name)
    return found


def _document(feature_sets: Iterable[FeatureSet]) -> dict[str, object]:
    from ai_hub.definitions.document import document_of

    return document_of(feature_sets)


def _plan(found: Mapping[str, Any]) -> ServerPlan:
    return ServerPlan(
        found["changes"], tuple(found["warnings"]), found["revision"], found["allowed"]
    )
