"""What a connection refuses by itself, before any application sees a request."""

from __future__ import annotations

from ai_hub.http.body import Reply, reply_of
from ai_hub.http.messages import Problem

NO_HTTP = reply_of(400, Problem("request: it is not HTTP/1.1, or not whole"))
TOO_SLOW = reply_of(408, Problem("request: it did not arrive in time"))
FRAMING = reply_of(400, Problem("body: its chunks carry less than their own sizes take"))
WEBSOCKET = reply_of(400, Problem("upgrade: got 'websocket', expected a plain request", "upgrade"))
CONNECT = reply_of(
    405, Problem("method: got CONNECT, expected another; /docs lists them", "method")
)


class Refused(Exception):
    """The request that is being parsed is refused; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
