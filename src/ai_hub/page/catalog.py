"""Catalog: the feature sets that there are, and one of them in full."""

from __future__ import annotations

import json
from typing import Any

from ai_hub.page.asked import Asked
from ai_hub.page.windows import drawing_of, reach_of

_BESIDE = {"name", "kind", "unit", "description", "valid", "missing", "holidays", "definition"}


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """Every set by name with its versions, and the one that is chosen (by default the first)."""
    store = asked.store
    listed = store.listed()
    named = asked.word("set")
    chosen = store.described(named) if named else next(one for one in listed if one["default"])
    features = list(store.registry.find(f"{chosen['name']}@{chosen['version']}").features)
    longest = reach_of(features)
    shown = [
        _feature(definition, drawing_of(feature, longest))
        for definition, feature in zip(chosen["definitions"], features, strict=True)
    ]
    bound = {one["model"]: one for one in store.models()}
    return {
        "sets": _by_name(listed),
        "chosen": chosen,
        "features": shown,
        "models": [bound[name] for name in chosen["models"] if name in bound],
        "lines": _lines(asked, tenant or "acme", f"{chosen['name']}@{chosen['version']}"),
    }


def _by_name(listed: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in listed:
        found.setdefault(one["name"], []).append(one)
    return found


def _feature(definition: dict[str, Any], drawing: object) -> dict[str, Any]:
    said = [f"{name}={_said(value)}" for name, value in definition.items() if name not in _BESIDE]
    return {
        "name": definition["name"],
        "kind": definition["kind"],
        "said": ", ".join(said),
        "unit": definition.get("unit", ""),
        "description": definition.get("description", ""),
        "range": _range(definition.get("valid")),
        "missing": definition.get("missing"),
        "drawing": drawing,
    }


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _range(valid: dict[str, Any] | None) -> str:
    """What values may be, in words."""
    if valid is None:
        return "any number"
    if "values" in valid:
        return "one of " + ", ".join(f"{one:g}" for one in valid["values"])
    low, high = valid.get("low"), valid.get("high")
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _lines(asked: Asked, tenant: str, label: str) -> dict[str, str]:
    """What asks for the set, to copy."""
    body = {"tenant_id": tenant, "asset_id": "meter-001", "feature_set": label}
    url = f"{asked.address}/ai/features/get"
    fenced = asked.store.settings.auth != "none"
    curl = f"curl -s {url} \\\n  -H 'content-type: application/json' \\\n"
    if fenced:
        curl += '  -H "authorization: Bearer $AI_HUB_API_KEY" \\\n'
    curl += f"  -d '{json.dumps(body)}'"
    python = ["import httpx", "", "answer = httpx.post(", f'    "{url}",', f"    json={body},"]
    if fenced:
        python.insert(0, "import os")
        python.append("    headers={'authorization': f\"Bearer {os.environ['AI_HUB_API_KEY']}\"},")
    return {"curl": curl, "Python": "\n".join([*python, ").json()"])}
