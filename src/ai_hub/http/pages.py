"""The routes of the pages, one for each in their table, and those that sign in and out."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.response import File, Stream

from ai_hub.definitions.values import check_id
from ai_hub.errors import AiHubError, Forbidden, InvalidInput, NotFound, UnknownExport
from ai_hub.errors import shown as quoted
from ai_hub.export.manifest import MANIFEST
from ai_hub.export.reading import read_manifest
from ai_hub.http.access import EXPORT, NOTHING, granted, need
from ai_hub.http.asked import grant_of
from ai_hub.http.body import BODY, Scope, refusal
from ai_hub.http.exporting import own_export
from ai_hub.http.session import (
    HEADERS,
    SIGN_IN,
    SIGN_OUT,
    bearer,
    cookie,
    landing,
    refusal_page,
    wants_html,
)
from ai_hub.http.zipped import zipped
from ai_hub.page.asked import Asked
from ai_hub.page.exports import kept_here
from ai_hub.page.pages import PAGES, Page, page
from ai_hub.page.refused import sign_in_page
from ai_hub.page.static import FILES, PREFIX

_Asked = Request[Any, Any, Any]
_PARQUET = "application/vnd.apache.parquet"
_FOR_EVER = HEADERS | {"cache-control": "public, max-age=31536000, immutable"}


def _handler(one: Page) -> HTTPRouteHandler:
    @get(one.path, opt=need(one.scope, one.whose), media_type=MediaType.HTML, name=one.name)
    async def handler(request: _Asked, state: State) -> Response[bytes]:
        asked = asked_of(request, state)
        async with state.showing if one.is_long else nullcontext():
            shown = await page(one, asked)
        return Response(shown, media_type=MediaType.HTML, headers=HEADERS)

    return handler


def asked_of(request: _Asked, state: State) -> Asked:
    """What a page is asked for."""
    headers = request.headers
    is_secure = headers.get("x-forwarded-proto") == "https"
    address = f"{'https' if is_secure else 'http'}://{headers.get('host', '127.0.0.1')}"
    query = dict(request.query_params)
    return Asked(state.store, grant_of(request), query, address, state.watch.counted)


@get(PREFIX + "{name:str}", opt=NOTHING)
async def files(name: str) -> Response[bytes]:
    """A file that pages load."""
    found = FILES.get(name)
    if found is None:
        raise NotFound(f"path: got {quoted(PREFIX + name)}, expected a file of a page")
    return Response(found.content, media_type=found.media_type, headers=_FOR_EVER)


@get(SIGN_IN, opt=NOTHING, media_type=MediaType.HTML)
async def sign_in_form(state: State) -> Response[bytes]:
    """The form that takes a key."""
    form = sign_in_page("/", None, state.store.settings.auth)
    return Response(form, media_type=MediaType.HTML, headers=HEADERS)


@post(SIGN_IN, opt=NOTHING)
async def sign_in(request: _Asked, state: State) -> Response[bytes]:
    """Take a key that is valid into a cookie."""
    form = form_of(request)
    key, then = form.get("key", "").strip(), landing(form.get("then", "/"))
    said = bearer(key.encode("utf-8", "replace"))
    try:
        await granted(state.access, said)
    except AiHubError as error:
        status, _, _ = refusal(error)
        again = sign_in_page(then, str(error), state.store.settings.auth)
        return Response(again, status_code=status, media_type=MediaType.HTML, headers=HEADERS)
    # Where no key is asked for, anything is taken; what is none goes into no header.
    return _to(then, None if said is None else cookie(key, _is_secure(request)))


@post(SIGN_OUT, opt=NOTHING)
async def sign_out(request: _Asked) -> Response[bytes]:
    """Take the cookie away."""
    form_of(request)
    return _to(SIGN_IN, cookie("", _is_secure(request)))


@post("/page/exports/cancel", opt=EXPORT)
async def cancel(request: _Asked, state: State) -> Response[bytes]:
    """Cancel an export, and show them all again."""
    form = form_of(request)
    found = await own_export(request, form.get("export_id", ""), state)
    await state.store.cancel_export(found["export_id"])
    return _to("/page/exports?" + urlencode({"tenant_id": found["tenant_id"]}))


@get("/page/exports/file", opt=EXPORT)
async def export_file(request: _Asked, state: State, export_id: str | None = None) -> File | Stream:
    """What an export wrote below the export root: its file, or its folder as a ZIP archive."""
    export_id = check_id("export_id", export_id)
    found = await own_export(request, export_id, state)
    kept = await asyncio.to_thread(kept_here, found, state.store.settings.export_root)
    name = f"{found['feature_set']}-{found['export_id']}"
    if kept is None:
        raise UnknownExport(export_id)
    path = Path(found["storage_path"])
    if kept == "file":
        return File(path, filename=f"{name}.parquet", media_type=_PARQUET, headers=HEADERS)
    parts = await asyncio.to_thread(_parts, path)
    if parts is None:
        raise UnknownExport(export_id)
    said = {"content-disposition": f'attachment; filename="{name}.zip"'}
    pieces = zipped(path, [MANIFEST, *parts])
    return Stream(pieces, media_type="application/zip", headers=HEADERS | said)


def _parts(folder: Path) -> list[str] | None:
    """The names of the parts of an export; None where one of them leads out of its folder."""
    names = [part["path"] for part in read_manifest(folder)["parts"]]
    inside = folder.resolve()
    return names if all((folder / one).resolve().is_relative_to(inside) for one in names) else None


def form_of(request: _Asked) -> dict[str, str]:
    """What a form of a page of this server says. Raises Forbidden for one of another page."""
    check_own(request)
    content: bytes = request.scope[BODY]  # type: ignore[literal-required]
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise InvalidInput("body", content[:100], "the fields of a form in UTF-8") from None


def check_own(request: _Asked) -> None:
    """Raise Forbidden for a form that a page of this server did not send.

    A browser says it by itself: in `Sec-Fetch-Site`, and where that is not said (on plain HTTP) in
    `Origin`, here to the port: other servers of the same machine get the cookie as well.
    """
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site == "same-origin":
        return
    if site is None and origin and origin.partition("://")[2] == headers.get("host"):
        return
    raise Forbidden("origin", origin, "a page of this server")


def _is_secure(request: _Asked) -> bool:
    """Whether the browser came by TLS, which ends at a proxy. Who lies about it misses a cookie."""
    headers = request.headers
    by_proxy = headers.get("x-forwarded-proto") == "https"
    return by_proxy or headers.get("origin", "").startswith("https://")


def _to(path: str, cookie: str | None = None) -> Response[bytes]:
    headers = HEADERS | {"location": path} | ({} if cookie is None else {"set-cookie": cookie})
    return Response(b"", status_code=303, media_type=MediaType.HTML, headers=headers)


def refused_page(request: _Asked, error: AiHubError) -> Response[bytes] | None:
    """The answer of a page that cannot be shown, where a person waits for it."""
    if not wants_html(request.scope["headers"]):
        return None
    auth: str = request.app.state.store.settings.auth
    scope = cast(Scope, request.scope)
    status, _, content = refusal_page(scope, error, auth)
    return Response(content, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


PAGE_ROUTES = [*map(_handler, PAGES), files, sign_in_form, sign_in, sign_out, cancel, export_file]
"""Every route of the pages."""
