"""Spans of OpenTelemetry: what was computed, taken in and exported, and how long it took.

A server has them where OpenTelemetry's own variables say where they go
(`OTEL_EXPORTER_OTLP_ENDPOINT`); sampler, headers and names are those variables' too. Elsewhere
nothing of it is imported, and `span` gives the same empty context each time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ai_hub import __version__

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_OFF = "OTEL_SDK_DISABLED"
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
_PATIENCE = 3
"""Seconds for sending spans, where no variable says it, and for the last ones at the end."""
_PARENT = b"traceparent"
_NOTHING = nullcontext()

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_provider: Any = None
_tracer: Any = None


def span(name: str, **attributes: str | int) -> AbstractContextManager[Any]:
    """A span as long as a block, below that of the request; its attributes begin with `ai_hub.`.

    An error that leaves the block is noted in it.
    """
    if _tracer is None:
        return _NOTHING
    named = {f"ai_hub.{key}": value for key, value in attributes.items()}
    made: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=named)
    return made


def begin(exporter: Any = None) -> bool:
    """Begin to send spans to where the environment says, or to an exporter; whether any are.

    It imports, so it is called in a thread. A cluster may set the variables for all that runs in
    it: without the library there is a warning, and no spans.
    """
    global _provider, _tracer
    wanted = any(map(os.environ.get, _ENDPOINTS)) and os.environ.get(_OFF, "").lower() != "true"
    if exporter is None and not wanted:
        return False
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        provider = TracerProvider(
            resource=Resource.create(_own_attributes()), shutdown_on_exit=False
        )
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            said = any(map(os.environ.get, _TIMEOUTS))
            patience = {} if said else {"timeout": _PATIENCE}
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**patience)))
        else:
            provider.add_span_processor(SimpleSpanProcessor(exporter))
    except ImportError as error:
        _log.warning("no spans", extra={"why": f"{error}: install ai-hub-feature-store[otel]"})
        return False
    _provider, _tracer = provider, provider.get_tracer("ai_hub", __version__)
    return True


def _own_attributes() -> dict[str, str]:
    """What the spans' resource is called, where the environment does not say it."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own = {"service.version": __version__}
    return own if named else own | {"service.name": "ai-hub"}


def end() -> None:
    """Send what is left, for a few seconds at most, and make no more spans."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        # A collector that is away keeps nobody: the thread ends with the process.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_PATIENCE)


def traced(application: Application, routes: Collection[str]) -> Application:
    """An application whose requests have spans, where their callers sample them.

    `routes` are the paths that are routes by themselves; of the others the framework says it.
    Who sends no `traceparent` has none of the request itself: of a hit there is nothing to tell.
    One that is not sampled says so of all below it.
    """
    from opentelemetry import context
    from opentelemetry.trace import SpanKind, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    extract = TraceContextTextMapPropagator().extract

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        found = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (_PARENT, b"tracestate")
        }
        tracer = _tracer
        if tracer is None or "traceparent" not in found:
            await application(scope, receive, send)
            return
        parent = extract(found)
        if not get_current_span(parent).get_span_context().trace_flags.sampled:
            token = context.attach(parent)
            try:
                await application(scope, receive, send)
            finally:
                context.detach(token)
            return
        method = scope["method"]
        with tracer.start_as_current_span(
            method, context=parent, kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": scope["path"]},
        ) as one:  # fmt: skip

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    one.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await application(scope, receive, noted)
            path = scope["path"]
            route = scope.get("path_template") or (path if path in routes else None)
            if route is not None:
                one.update_name(f"{method} {route}")
                one.set_attribute("http.route", route)

    return answer
