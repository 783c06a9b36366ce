"""What is said to Redis: keys, the stamp of a value, and the scripts that change several keys.

Beside the hash `features:{tenant}:{asset}:{timestamp}` there are helper keys, all of which expire:

- `ai-hub:epoch`: whoever cannot say any more what it should have dropped deletes it.
- `ai-hub:generation:{tenant}:{asset}`: the entity's token, `RUN-UNIQUE`. RUN is of the server
  process, its history and the epoch, so what was left behind by an earlier one is no token. A drop
  by prefix, after which other values stay valid, appends another `-UNIQUE`.
- `ai-hub:live:{tenant}:{asset}`: the entity's hashes by when they expire.
- `ai-hub:lease:{tenant}:{asset}:{timestamp}:{field}`: who computes a value, and under which token.
- `ai-hub:marks:{tenant}:{asset}`: the writes of the entity that are being committed; without an
  asset, those of all of the tenant. While there is one, the entity gets no token.
- `ai-hub:paid`: which debts, of those that the store keeps, were paid here.

A value ends with the token it was kept under, up to UNIQUE: its stamp. It counts only while that
is the entity's token, so dropping the token drops every value, whatever else gets lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

import hiredis
from hiredis import ReplyError

from ai_hub.definitions.values import check_id, key_part
from ai_hub.serving.cache import SLACK

# Its stub knows tuples of one element only.
pack: Callable[[tuple[str | bytes | int, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
"""A command as it is sent."""

_EPOCH = "ai-hub:epoch"
PAID = "ai-hub:paid"
END_EPOCH = pack(("UNLINK", _EPOCH))
"""From here on nothing counts that was kept before."""

_RUN = 12
_UNIQUE = 16
_STAMP = _RUN + 1 + _UNIQUE
_BEFORE = b',"generation":"'
_AFTER = b'"}'
_CUT = len(_BEFORE) + _STAMP + len(_AFTER)

ERRORS_OF_A_KEY = frozenset({"OOM", "WRONGTYPE", "NOSCRIPT"})
"""Errors that say nothing against the server: its memory is full, or a key is someone else's."""


def code_of(error: ReplyError) -> str:
    """The kind of an error, which is its first word."""
    return str(error).partition(" ")[0]


def is_foreign(reply: object) -> bool:
    """Whether a reply says that a key is someone else's, which is no fault of the server."""
    return isinstance(reply, ReplyError) and code_of(reply) == "WRONGTYPE"


@lru_cache(maxsize=65_536)
def asset_part(asset_id: str) -> str:
    """An asset as it stands in a key. Raises InvalidInput for an illegal id."""
    return key_part(check_id("asset_id", asset_id))


def life(ttl_seconds: int) -> int:
    """How long a token lives: longer than values under it, and than any computation may take."""
    return ttl_seconds + SLACK


def begin_epoch(seconds: int) -> bytes:
    """The command that makes an epoch where there is none."""
    return pack(("SET", _EPOCH, unique(), "NX", "EX", seconds))


def probe(seconds: int) -> bytes:
    """The command that tells the epoch.

    It counts as a write, and so is refused where nothing can be dropped, but takes no memory.
    """
    return pack(("GETEX", _EPOCH, "EX", seconds))


def run_of(*parts: str) -> bytes:
    """A server process with its history and epoch; another one may have older data."""
    return blake2b(" ".join(parts).encode(), digest_size=_RUN // 2).hexdigest().encode()


def unique() -> str:
    """What no token has had before."""
    return secrets.token_hex(_UNIQUE // 2)


def generation_key(tenant: str, asset: str) -> str:
    """The key of an entity's token."""
    return f"ai-hub:generation:{tenant}:{asset}"


def live_key(tenant: str, asset: str) -> str:
    """The key of an entity's live hashes."""
    return f"ai-hub:live:{tenant}:{asset}"


def marks_key(tenant: str, asset: str) -> str:
    """The key of the marks on an entity, or without an asset on all of a tenant."""
    return f"ai-hub:marks:{tenant}:{asset}"


def lease_key(tenant: str, asset: str, timestamp: str, field: str) -> str:
    """The key of the lease on one value."""
    return f"ai-hub:lease:{tenant}:{asset}:{timestamp}:{field}"


def features_key(tenant: str, asset: str, timestamp: str) -> str:
    """The key of an entity's vectors, as `cache_key`."""
    return f"features:{tenant}:{asset}:{timestamp}"


class Key(NamedTuple):
    """A value: tenant and asset as they stand in keys, the time as text, and the field."""

    tenant: str
    asset: str
    timestamp: str
    field: str

    @property
    def generation(self) -> str:
        """The key of the entity's token."""
        return generation_key(self.tenant, self.asset)

    @property
    def features(self) -> str:
        """The key of the hash that has the value."""
        return features_key(self.tenant, self.asset, self.timestamp)

    @property
    def lease(self) -> str:
        """The key of the lease on the value."""
        return lease_key(*self)

    @property
    def claimed(self) -> tuple[str, ...]:
        """The keys of a claim."""
        marks = marks_key(self.tenant, self.asset), marks_key(self.tenant, "")
        return self.generation, self.features, self.lease, *marks


def looking(keys: Sequence[Key]) -> bytes:
    """The command that gives the token and the lease of each value."""
    return pack(("MGET", *[name for key in keys for name in (key.generation, key.lease)]))


def holds(token: object, lease: object) -> bool:
    """Whether a lease is on a computation under the entity's token.

    If the entity was dropped since, what is computed will not be kept.
    """
    return isinstance(token, bytes) and isinstance(lease, bytes) and lease.endswith(token)


@lru_cache(maxsize=16_384)
def _token(tenant_id: str, asset_id: str) -> bytes:
    """The key of an entity's token as an argument. Raises InvalidInput for an illegal id."""
    key = generation_key(key_part(tenant_id), asset_part(asset_id)).encode()
    return b"$%d\r\n%b\r\n" % (len(key), key)


@lru_cache(maxsize=16_384)
def _head(tenant_id: str, asset_id: str, width: int) -> bytes:
    """HGET of a key with a time of some width, up to that."""
    key = features_key(key_part(tenant_id), asset_part(asset_id), "").encode()
    return b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b" % (len(key) + width, key)


def reading(
    tenant_id: str, asset_ids: Sequence[str], lacking: Sequence[str], timestamp: str, field: str
) -> bytes:
    """MGET of the tokens of some assets and HGET of the values of those that are lacking.

    They are put together from what is known of each asset: packing as many commands one by one
    takes longer than Redis does. Raises InvalidInput for an illegal id.
    """
    tokens = b"".join([_token(tenant_id, one) for one in asset_ids])
    asked = b"*%d\r\n$4\r\nMGET\r\n%b" % (len(asset_ids) + 1, tokens)
    if not lacking:
        return asked
    width, name = len(timestamp), field.encode()
    tail = b"%b\r\n$%d\r\n%b\r\n" % (timestamp.encode(), len(name), name)
    return b"%b%b%b" % (asked, tail.join([_head(tenant_id, one, width) for one in lacking]), tail)


def stamped(value: bytes, token: bytes) -> bytes:
    """A vector as it is kept under a token."""
    return b"%b%b%b%b" % (value[:-1], _BEFORE, token[:_STAMP], _AFTER)


def found(values: Sequence[Any], tokens: Sequence[Any], run: bytes) -> list[bytes | None]:
    """The vectors that count, each with its entity's token; None for another reply."""
    try:
        return [
            value[:-_CUT] + b"}"
            if value[-_STAMP - 2 : -2] == token[:_STAMP] and token[:_RUN] == run
            else None
            for value, token in zip(values, tokens, strict=True)
        ]
    except TypeError:  # not all of them are there
        return [unstamped(*pair, run) for pair in zip(values, tokens, strict=True)]


def unstamped(value: object, token: object, run: bytes) -> bytes | None:
    """The vector, if it was kept under the entity's token and that is of this run."""
    if (
        type(value) is bytes
        and type(token) is bytes
        and value[-_STAMP - 2 : -2] == token[:_STAMP]
        and token.startswith(run)
    ):
        return value[:-_CUT] + b"}"
    return None


@dataclass(frozen=True, slots=True)
class Script:
    """Lua that Redis runs in one step."""

    text: str
    sha: str

    def call(self, keys: list[str], *arguments: str | bytes | int) -> bytes:
        """The command that runs it, by its digest."""
        return pack(("EVALSHA", self.sha, len(keys), *keys, *arguments))

    def send(self, keys: list[str], *arguments: str | bytes | int) -> bytes:
        """The command that runs it where it is not known."""
        return pack(("EVAL", self.text, len(keys), *keys, *arguments))


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode()).hexdigest())


CLAIM = _script(
    f"""
-- KEYS: token, hash, lease and marks of each asset, and those of its tenant. Gives token, value and
-- 1 where the caller computes. What is marked has no token, and whoever asks computes it.
local field, owner, hold, life, run, fresh = unpack(ARGV)
local claims = {{}}
for i = 1, #KEYS, 5 do
  local marked = redis.call('EXISTS', KEYS[i + 3], KEYS[i + 4]) > 0
  local token = not marked and redis.call('GET', KEYS[i])
  if marked then
    token = false
  elseif token and token:sub(1, #run) == run then
    redis.call('EXPIRE', KEYS[i], life)
  else
    token = fresh
    redis.call('SET', KEYS[i], token, 'EX', life)
  end
  local value = not marked and redis.pcall('HGET', KEYS[i + 1], field)
  local mine = 0
  if marked then
    mine = 1
  elseif type(value) ~= 'string' or value:sub(-{_STAMP + 2}, -3) ~= token:sub(1, {_STAMP}) then
    value = false
    local holder = owner .. token
    if redis.call('SET', KEYS[i + 2], holder, 'PX', hold, 'NX') then
      mine = 1
    else
      local held = redis.call('GET', KEYS[i + 2])
      if held == holder then
        mine = 1
      elseif held:sub(#owner + 1) ~= token then
        -- The entity was dropped since: what the other computes will not be kept.
        redis.call('SET', KEYS[i + 2], holder, 'PX', hold)
        mine = 1
      end
    end
  end
  claims[#claims + 1] = token
  claims[#claims + 1] = value
  claims[#claims + 1] = mine
end
return claims
"""
)

KEEP = _script(
    """
-- KEYS: token, hash, live hashes and lease of each value; '' is a value that was not computed.
local field, owner, ttl, life = unpack(ARGV, 1, 4)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local kept, failure = 0, nil
for i = 1, #KEYS / 4 do
  local generation, key, live, lease = unpack(KEYS, 4 * i - 3, 4 * i)
  local token, value = ARGV[3 + 2 * i], ARGV[4 + 2 * i]
  if value ~= '' and redis.call('GET', generation) == token then
    local done = redis.pcall('HSET', key, field, value)
    if type(done) == 'table' then
      failure = done
    else
      redis.call('PEXPIRE', key, ttl, 'NX')
      redis.call('ZREMRANGEBYSCORE', live, '-inf', now)
      redis.call('ZADD', live, now + redis.call('PTTL', key), key)
      redis.call('PEXPIRE', live, ttl)
      redis.call('EXPIRE', generation, life)
      kept = kept + 1
    end
  end
  if redis.call('GET', lease) == owner .. token then
    redis.call('UNLINK', lease)
  end
end
return failure or kept
"""
)

MARK = _script(
    """
-- KEYS: token and marks of each entity. From here on it has no token until it is dropped.
local mark, life = unpack(ARGV)
for i = 1, #KEYS, 2 do
  redis.call('SADD', KEYS[i + 1], mark)
  redis.call('EXPIRE', KEYS[i + 1], life)
  redis.call('UNLINK', KEYS[i])
end
return #KEYS / 2
"""
)

DROP = _script(
    """
-- KEYS: token, live hashes and marks of each entity; its mark as an argument, '' for none. Gives
-- those hashes; needs no memory.
local keys = {}
for i = 1, #KEYS, 3 do
  redis.call('UNLINK', KEYS[i])
  if ARGV[(i + 2) / 3] ~= '' then
    redis.call('SREM', KEYS[i + 2], ARGV[(i + 2) / 3])
  end
  for _, key in ipairs(redis.call('ZRANGE', KEYS[i + 1], 0, -1)) do
    keys[#keys + 1] = key
  end
  redis.call('UNLINK', KEYS[i + 1])
end
return keys
"""
)

RENEW = _script(
    f"""
-- KEYS: token, live hashes and marks of each entity. The token changes, but not the stamp in it.
local keys = {{}}
for i = 1, #KEYS, 3 do
  local token = redis.call('GET', KEYS[i])
  if token then
    redis.call('SET', KEYS[i], token:sub(1, {_STAMP}) .. '-' .. ARGV[1], 'KEEPTTL')
  end
  for _, key in ipairs(redis.call('ZRANGE', KEYS[i + 1], 0, -1)) do
    keys[#keys + 1] = key
  end
end
return keys
"""
)

FORGET = _script(
    """
-- KEYS: hashes. Forgets the fields that begin with a prefix; gives how many.
local prefix, dropped = ARGV[1], 0
for _, key in ipairs(KEYS) do
  if prefix == '' then
    local fields = redis.pcall('HLEN', key)
    if type(fields) == 'number' then
      dropped = dropped + fields
      redis.call('UNLINK', key)
    end
  else
    local fields = redis.pcall('HKEYS', key)
    for _, field in ipairs(fields) do
      if field:sub(1, #prefix) == prefix then
        dropped = dropped + redis.call('HDEL', key, field)
      end
    end
  end
end
return dropped
"""
)

SCRIPTS = (CLAIM, KEEP, MARK, DROP, RENEW, FORGET)
