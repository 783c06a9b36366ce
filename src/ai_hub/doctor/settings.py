"""Judges settings that contradict each other, or what they are for."""

from __future__ import annotations

from ipaddress import ip_address

from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import DAY, Duration
from ai_hub.doctor.line import Line, counted, exported, fault, ok, warning
from ai_hub.engines.plan import Plan
from ai_hub.stores.checkup import DatabaseFacts
from ai_hub.stores.registry_table import StoredRegistry

_FIRST_KEY = (
    "ai-hub keys create admin --all-tenants --scope read --scope write --scope export --scope admin"
)


def judge(settings: Settings) -> list[Line]:
    """What can be seen of the settings alone."""
    return [_workers(settings), *_timeouts(settings), _ttl(settings), _access(settings),
            _hosts(settings)]  # fmt: skip


def judge_retention(registry: Registry, facts: DatabaseFacts) -> list[Line]:
    """Whether what a served set looks back at is kept."""
    keep = facts.keep.get("ai_features")
    if keep is None:
        return []
    longest = max(
        (one for one in registry.sets() if not registry.is_retired(one)),
        key=lambda one: Plan.of(one).lookback,
    )
    lookback = Plan.of(longest).lookback
    days, needed = keep.micros / DAY, -(-lookback // DAY) + 1
    said = f"ai_features keeps {days:,.0f} days, and {longest.label} looks back {needed} days"
    if lookback > keep.micros:
        mends = f"ai-hub retention set ai_features {needed}d"
        return [warning("lookback", f"{said}: its features are missing", needed, mends)]
    return [ok("lookback", said, needed)]


def judge_keys(settings: Settings, stored: StoredRegistry, now: int) -> list[Line]:
    """Whether there is a key where one is asked for."""
    if settings.auth != "keys":
        return []
    valid = [
        one for one in stored.keys
        if one.revoked_at is None and (one.expires_at is None or one.expires_at > now)
    ]  # fmt: skip
    if not valid:
        said = "AI_HUB_AUTH=keys, and there is no key that is valid: nobody is answered"
        return [fault("access_keys", said, 0, _FIRST_KEY)]
    return [ok("access_keys", counted(len(valid), "key is valid", "keys are valid"), len(valid))]


def judge_connections(settings: Settings, facts: DatabaseFacts, processes: int) -> list[Line]:
    """Whether the server takes as many connections as pools may open."""
    if facts.connections is None:
        return []
    count = max(1, processes) * settings.pool_size
    said = (
        f"{counted(max(1, processes), 'process', 'processes')} may open "
        f"{counted(count, 'connection', 'connections')}, and the server takes {facts.connections}"
    )
    if count > facts.connections:
        size = max(1, facts.connections // (2 * max(1, processes)))
        return [warning("connections", said, count, exported("pool_size", size))]
    return [ok("connections", said, count)]


def _workers(settings: Settings) -> Line:
    workers, shared = settings.workers, settings.on_server and settings.cache_shared
    if workers > 1 and not shared:
        said = (
            f"AI_HUB_WORKERS is {workers}, and several need PostgreSQL and Redis: the server does "
            "not start"
        )
        return fault("workers", said, workers, exported("workers", 1))
    return ok("workers", f"AI_HUB_WORKERS is {workers}", workers)


def _timeouts(settings: Settings) -> list[Line]:
    """Those of which a shorter one leaves a longer one no meaning."""
    defaults = {"statement_timeout": "1m", "view_timeout": "500ms", "cache_timeout": "100ms"}
    pairs = (
        ("view_timeout", "patience", "an answer is degraded before it goes without a view"),
        ("cache_timeout", "patience", "an answer is degraded before it goes without the cache"),
        ("view_timeout", "statement_timeout", "a view is ended by the other limit"),
        ("patience", "statement_timeout", "statements are ended while requests still wait"),
    )
    lines = []
    for shorter, longer, why in pairs:
        one: Duration = getattr(settings, shorter)
        other: Duration = getattr(settings, longer)
        if one.micros > other.micros:
            said = f"AI_HUB_{shorter.upper()} ({one}) is over AI_HUB_{longer.upper()} ({other})"
            wrong = shorter if shorter in defaults and longer == "patience" else longer
            value = _below(other) if wrong == shorter else one
            lines.append(warning("timeouts", f"{said}: {why}", one.seconds, exported(wrong, value)))
    return lines or [ok("timeouts", "each is within the one around it")]


def _below(limit: Duration) -> Duration:
    return Duration(max(1, limit.micros // 2))


def _ttl(settings: Settings) -> Line:
    step = settings.granularity.step.micros // 1_000_000
    said = f"AI_HUB_CACHE_TTL is {settings.cache_ttl} s and AI_HUB_GRANULARITY {step} s"
    if settings.cache_ttl < step:
        said += ": answers are forgotten before their step is over, and computed again"
        return warning("cache_ttl", said, settings.cache_ttl, exported("cache_ttl", step))
    return ok("cache_ttl", said, settings.cache_ttl)


def _access(settings: Settings) -> Line:
    if settings.auth != "none":
        return ok("access", f"AI_HUB_AUTH is {settings.auth}")
    if _is_loopback(settings.host):
        return ok("access", f"{settings.host} is reached from this machine alone")
    said = f"{settings.host} is reached from other machines, and AI_HUB_AUTH is none"
    mends = exported("auth", "keys")
    if settings.insecure:
        return warning("access", f"{said}: all may do all", command=mends)
    return fault("access", f"{said}: the server does not start", command=mends)


def _hosts(settings: Settings) -> Line:
    if "*" in settings.allowed_hosts and settings.auth == "none":
        said = "AI_HUB_ALLOWED_HOSTS has *: any page of the web that somebody opens here may ask"
        return warning("hosts", said, command=exported("allowed_hosts", "localhost"))
    return ok("hosts", f"it may be asked as {', '.join(settings.allowed_hosts)}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
