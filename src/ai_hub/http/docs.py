"""The page `/docs`: the OpenAPI document for people, whole in one answer, from nowhere else."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from ai_hub.page.static import URLS


def page(described: dict[str, Any]) -> bytes:
    """An OpenAPI document as HTML, which needs no script."""
    info = described["info"]
    title = escape(f"{info['title']} {info['version']}")
    routes = "".join(
        _route(method, path, said, described["components"]["schemas"])
        for path, methods in described["paths"].items()
        for method, said in methods.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="{URLS["icon.svg"]}">'
        f'<link rel="stylesheet" href="{URLS["docs.css"]}"></head><body><main><h1>{title}</h1>'
        '<p><a href="/">The page of this server</a> shows what is in it. Here is every route of it.'
        ' Programs read <a href="/docs/openapi.json">/docs/openapi.json</a>.</p>'
        f"{routes}</main></body></html>"
    ).encode()


def _route(method: str, path: str, said: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(said['summary'])}</summary>"
    ]
    if "parameters" in said:
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}"
            f"{', required' if one['required'] else ''}</td>"
            f"<td><code>{_short(one['schema'])}</code></td></tr>"
            for one in said["parameters"]
        )
        parts.append(f"<h4>Parameters</h4><table>{rows}</table>")
    for kind, content in said.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h4>Body: {escape(kind)}</h4>{_shape(content, schemas)}")
    parts.append("<h4>Answers</h4>")
    for status, answer in said["responses"].items():
        parts.append(f"<p><b>{status}</b> {escape(answer['description'])}</p>")
        if status == "200":
            parts += [_shape(one, schemas) for one in answer["content"].values()]
    return "".join(parts) + "</details>"


def _shape(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    schema = content["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    shown = ""
    if "example" in content:
        shown += f"<pre>{_written(content['example'])}</pre>"
    if name:
        shown += (
            f"<details><summary>{escape(name)}</summary>"
            f"<pre>{_written(schemas[name])}</pre></details>"
        )
    return shown


def _written(value: object) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)


def _short(schema: dict[str, Any]) -> str:
    return escape(json.dumps(schema, ensure_ascii=False), quote=False)
