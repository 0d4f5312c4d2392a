"""HTTP/1.1 on a stream: one request after the other, each with its complete response."""

import json
from collections.abc import AsyncIterator, Sequence

import h11
import httpx

from hailuo_tasks_mcp.api.network import reason_of
from hailuo_tasks_mcp.api.streams import ByteStream
from hailuo_tasks_mcp.text import clean_text

# A body may take this many times its length on the wire, and so much more: the shortest chunks
# take six times theirs, and each costs as much as a long one.
_MAX_FRAMING_FACTOR = 2
_MAX_FRAMING_BYTES = 65_536
# Long, because it is redacted and cut by whoever shows it, and a cut here could go through a token.
_WORDS_LIMIT = 2_000

Headers = Sequence[tuple[bytes, bytes]]


class Http1Connection:
    """The client's side of a connection.

    Args:
        stream: carries it; aborted when a request fails.

    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)
        self._received_bytes = 0

    async def send(
        self, method: bytes, target: bytes, headers: Headers, content: bytes
    ) -> h11.Response:
        """Send a request, and return the head of its response.

        Raises:
            httpx.RequestError: there is none.

        """
        self._received_bytes = 0
        request = h11.Request(method=method, target=target, headers=list(headers))
        parts = [self._h11.send(request)]
        if content:
            parts.append(self._h11.send(h11.Data(data=content)))
        parts.append(self._h11.send(h11.EndOfMessage()))
        self.stream.write(b"".join(part for part in parts if part))
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if self._received_bytes > _MAX_FRAMING_BYTES:
                raise httpx.RemoteProtocolError("More framing than content")

    async def read_body(self) -> AsyncIterator[bytes]:
        """Yield the body of the response.

        Raises:
            httpx.RequestError: it is not complete.

        """
        yielded_bytes = 0
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yielded_bytes += len(event.data)
                yield bytes(event.data)
            bound = _MAX_FRAMING_FACTOR * yielded_bytes + _MAX_FRAMING_BYTES
            if self._received_bytes > bound:
                raise httpx.RemoteProtocolError("More framing than content")

    def start_next_request(self) -> bool:
        """Make ready for another request; return False if none may be sent on this connection.

        That is so unless the last exchange is complete and nothing came beyond it.
        """
        done = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        if not done or not self.is_quiet():
            return False
        self._h11.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Return whether the connection is open, and nothing came that is part of no response.

        What is left over would become the response to the next request.
        """
        return not self.left_over and self.stream.is_quiet()

    @property
    def left_over(self) -> bytes:
        """What was read that is part of no response."""
        return self._h11.trailing_data[0]

    async def _next_event(self) -> h11.Event:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                # Its text holds what came.
                words = json.dumps(clean_text(str(error), _WORDS_LIMIT), ensure_ascii=False)
                raise httpx.RemoteProtocolError(words) from error
            if isinstance(event, h11.Event):
                return event
            try:
                data = await self.stream.read()
            except OSError as error:
                raise httpx.ReadError(reason_of(error)) from error
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("Closed without a response")
            self._received_bytes += len(data)
            self._h11.receive_data(data)
