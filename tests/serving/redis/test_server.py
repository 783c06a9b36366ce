"""Whether a server will do."""

from __future__ import annotations

import pytest

from ai_hub.errors import ConfigError
from ai_hub.serving.redis.link import Lost
from ai_hub.serving.redis.server import RedisServer


def test_an_old_server_is_refused_and_a_replica_waited_for() -> None:
    RedisServer(b"run", "7.0.15", cluster=False, master=True).check()
    with pytest.raises(ConfigError, match=r"got Redis 6\.2\.7, expected Redis 7 or newer"):
        RedisServer(b"run", "6.2.7", cluster=False, master=True).check()
    with pytest.raises(Lost, match="replica"):
        RedisServer(b"run", "7.0.15", cluster=False, master=False).check()
