"""Judges the cache: reachable, its keys and their time to live, its memory, and its hit rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from ai_hub.config import Settings
from ai_hub.definitions.values import Granularity, parse_time
from ai_hub.doctor.line import Line, counted, fault, ok, shell, warning
from ai_hub.errors import InvalidInput
from ai_hub.serving.cache import CacheStats
from ai_hub.serving.checkup import CacheAway, CacheFacts, KeyFacts

FEW_LOOKUPS, LOW_HIT_RATE = 1_000, 0.2
FULL_SHARE = 0.9
MOST_IN_COMMAND = 20
"""Keys that a command names; it is run again for the others."""
_NEVER = -1
_OURS = re.compile(r"features:[^:]+:[^:]+:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")


def judge_memory(stats: CacheStats | None, tenant: str | None) -> list[Line]:
    """The lines about a cache in the process; `stats` where it is this process's."""
    lines = [ok("cache", "answers are cached in the memory of each server")]
    if stats is not None:
        lines.append(hit_rate(stats.hits, stats.misses, _warm(tenant)))
    return lines


def judge(
    facts: CacheFacts | CacheAway, settings: Settings, tenant: str | None = None
) -> list[Line]:
    """The lines about a cache on Redis."""
    cli = redis_cli(settings.cache_url)
    if isinstance(facts, CacheAway):
        said = f"Redis cannot be used, so nothing is cached: {facts.why}"
        return [fault("cache", said, command=f"{cli} ping")]
    milliseconds = facts.seconds * 1e3
    lines = [ok("cache", f"Redis {facts.version} answers in {milliseconds:.1f} ms", milliseconds)]
    lines += judge_keys(facts.keys, settings.cache_ttl, settings.granularity, cli)
    lines.append(_memory(facts, cli))
    # Redis counts since it started: what is warm now is seen once it counts anew.
    lines.append(hit_rate(facts.hits, facts.misses, f"{_warm(tenant)} && {cli} CONFIG RESETSTAT"))
    return lines


def judge_keys(keys: Sequence[KeyFacts], ttl: int, step: Granularity, cli: str) -> list[Line]:
    """Whether keys of vectors are as they should be: `ttl` in seconds, times of whole steps."""
    foreign = [one for one in keys if one.kind != "hash" or not _OURS.fullmatch(one.name)]
    ours = [one for one in keys if one not in foreign] if foreign else [*keys]
    beside = [one for one in ours if not _is_whole(one.name, step)]
    endless = [one for one in ours if one.ends_in == _NEVER]
    longer = [one for one in ours if one.ends_in > ttl * 1000]
    keys_of = f"of {counted(len(keys), 'key', 'keys')}"
    looked = counted(len(keys), "key is looked at", "keys are looked at")
    lines = []
    if foreign:
        said = (
            f"{counted(len(foreign), f'{keys_of} features:* is', f'{keys_of} features:* are')} of "
            f"another program, such as "
            f"{foreign[0].name} ({foreign[0].kind}): their assets are not cached then"
        )
        lines.append(fault("keys", said, len(foreign), _unlink(cli, foreign)))
    if beside:
        said = (
            f"{counted(len(beside), f'{keys_of} is', f'{keys_of} are')} of times that are no step "
            f"of {step.step}, such as {beside[0].name}: a process has another AI_HUB_GRANULARITY"
        )
        lines.append(warning("keys", said, len(beside), _unlink(cli, beside)))
    if not lines:
        said = f"{looked}; all are features:TENANT:ASSET:TIME, of whole steps"
        lines.append(ok("keys", said, len(keys)))
    if endless:
        said = counted(len(endless), "key never ends", "keys never end")
        said += f", such as {endless[0].name}"
        lines.append(fault("ttl", said, len(endless), _unlink(cli, endless)))
    if longer:
        said = (
            f"{counted(len(longer), 'key lives', 'keys live')} longer than {ttl} s "
            f"(AI_HUB_CACHE_TTL), such as {longer[0].name}: a process has another one"
        )
        lines.append(warning("ttl", said, len(longer), _unlink(cli, longer)))
    if not (endless or longer):
        lines.append(ok("ttl", f"{looked}; each lives {ttl} s at most", ttl))
    return lines


def hit_rate(hits: int, misses: int, mends: str) -> Line:
    """How many look-ups found something; `mends` is the command for where few did."""
    asked = hits + misses
    rate = hits / asked if asked else 0.0
    said = f"{rate:.0%} of {asked:,} look-ups"
    if asked >= FEW_LOOKUPS and rate < LOW_HIT_RATE:
        return warning("hit_rate", f"{said}: requests differ, or nothing is warm", rate, mends)
    return ok("hit_rate", said if asked else "nothing was looked up yet", rate)


def redis_cli(url: str) -> str:
    """The command that reaches a server; of its password it is told by REDISCLI_AUTH."""
    parts = urlsplit(url)
    if "+sentinel" in parts.scheme:
        return "redis-cli -h MASTER"
    words = ["redis-cli", "-h", parts.hostname or "localhost", "-p", str(parts.port or 6379)]
    if parts.path.strip("/"):
        words += ["-n", parts.path.strip("/")]
    if parts.username:
        words += ["--user", parts.username]
    return shell(*words, *(["--tls"] if parts.scheme == "rediss" else []))


def _warm(tenant: str | None) -> str:
    return shell("ai-hub", "warm", "--tenant", tenant or "TENANT")


def _memory(facts: CacheFacts, cli: str) -> Line:
    megabytes = facts.used / 1e6
    if not facts.most:
        return ok("memory", f"Redis uses {megabytes:,.0f} MB and has no limit", megabytes)
    share = facts.used / facts.most
    said = f"Redis uses {share:.0%} of {facts.most / 1e6:,.0f} MB, with {facts.policy}"
    if facts.policy != "noeviction":
        return ok("memory", said, share)
    mends = f"{cli} CONFIG SET maxmemory-policy volatile-ttl"
    if share > FULL_SHARE:
        return fault("memory", f"{said}: nothing is cached any more", share, mends)
    return warning("memory", f"{said}: once it is full nothing is cached any more", share, mends)


def _is_whole(name: str, step: Granularity) -> bool:
    match = _OURS.fullmatch(name)
    try:
        return match is None or (at := parse_time(match[1])) == step.truncate(at)
    except InvalidInput:
        return False


def _unlink(cli: str, keys: Sequence[KeyFacts]) -> str:
    return f"{cli} UNLINK {shell(*(one.name for one in keys[:MOST_IN_COMMAND]))}"
