"""uvicorn's HTTP/1.1 on h11, with bounds on slow clients and on the number of connections.

uvicorn itself bounds only the pause between two requests.
"""

import asyncio
import socket
from http import HTTPStatus
from operator import itemgetter
from typing import Any

import h11
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 16_000
REQUEST_SECONDS = 10.0
"""How long a request may take to arrive, its body included."""
READ_SECONDS = 30.0
"""How long a client may leave unread what it is sent."""
# So many connections too many are told so; further ones are closed at once.
_MAX_REFUSED_CONNECTIONS = 100

_BAD_HEAD = f"This is not HTTP/1.1, or its head has more than {MAX_HEAD_BYTES:,} bytes."
_TOO_SLOW = f"The request took more than {REQUEST_SECONDS:.0f} seconds to arrive."
_TOO_MANY = "Too many connections are open here; try again in a moment."


class BoundedProtocol(H11Protocol):
    """One connection of a client.

    Args:
        max_connections: how many connections are served at a time.
        arguments: what uvicorn makes a connection of.

    """

    def __init__(self, *, max_connections: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._max_connections = max_connections
        self._request_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is not answered to its end yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve a connection, unless there are too many."""
        super().connection_made(transport)
        # Of a listening socket that was made without a protocol, asyncio does not do it. Then the
        # body of a response, written after its head, would wait for the client's delayed ACK.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        excess = len(self.connections) - self._max_connections
        if excess > _MAX_REFUSED_CONNECTIONS:
            transport.abort()
            return
        if excess > 0 and not self._close_idlest():
            headers = {"connection": "close", "retry-after": "1"}
            self.app = PlainTextResponse(_TOO_MANY, HTTPStatus.SERVICE_UNAVAILABLE, headers)
        # So that whatever a client leaves unread counts, not only more than 64 kB of it.
        transport.set_write_buffer_limits(0)
        self._start_request_timer()

    def _close_idlest(self) -> bool:
        """Close the connection that has waited longest for another request, if one does."""
        idle = [
            (each.timeout_keep_alive_task.when(), each)
            for each in self.connections
            if isinstance(each, BoundedProtocol)
            and each.timeout_keep_alive_task is not None
            and not each.transport.is_closing()
        ]
        if idle:
            min(idle, key=itemgetter(0))[1].timeout_keep_alive_handler()
        return bool(idle)

    def on_response_complete(self) -> None:
        """Wait for the next request, and keep nothing of this one, whose headers hold a token."""
        self.scope = self.headers = self.cycle.scope = None  # type: ignore[assignment]
        super().on_response_complete()

    def handle_events(self) -> None:
        """Go on with what has arrived: now, or while the request before it was answered."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0]):
            self._start_request_timer()
            return
        self._stop_request_timer()
        if state is h11.IDLE and self.timeout_keep_alive_task is None:
            # The rest of a request came after its response, at which uvicorn began the pause.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is served on the connection."""
        self._stop_request_timer()
        self._stop_read_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to read, for a while."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._stop_read_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it does not say what is wrong
        """Refuse what h11 cannot read."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(_BAD_HEAD)
            self._answer_no_more()
        else:
            # A bad chunk, after its request was answered.
            self.transport.abort()

    def _start_request_timer(self) -> None:
        if self._request_timer is None and not self.transport.is_closing():
            self._request_timer = self.loop.call_later(REQUEST_SECONDS, self._end_slow_request)

    def _end_slow_request(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._response_started():
            status = HTTPStatus.REQUEST_TIMEOUT
            self.transport.write(
                f"HTTP/1.1 {status} {status.phrase}\r\n"
                "content-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(_TOO_SLOW)}\r\n"
                f"connection: close\r\n\r\n{_TOO_SLOW}".encode()
            )
            self.transport.close()
            self._answer_no_more()
        else:
            self.transport.abort()

    def _answer_no_more(self) -> None:
        """Let the app that was to answer find its client gone."""
        if self.is_busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _response_started(self) -> bool:
        return self.is_busy and self.cycle.response_started

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
