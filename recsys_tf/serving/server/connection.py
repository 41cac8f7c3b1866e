"""A connection that a slow or silent client cannot hold for ever, nor keep a server from stopping."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Connection(H11Protocol):
    """uvicorn's connection, which waits only so long for a request's head and for an answer to be read.

    uvicorn itself limits the time between two requests, and the application that of a body.
    """

    patience: float
    grace: float
    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        # Whatever the system does not take at once is an answer that waits for its reader.
        transport.set_write_buffer_limits(0)
        self._head = self._abort_after(self.patience)

    def data_received(self, data: bytes) -> None:
        """Read on; the time for a head counts from its first byte, however many more come one by one."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head is None:
            self._head = self._abort_after(self.patience)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread = self._abort_after(self.patience)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._forget_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._forget_head()
        self._forget_unread()

    def shutdown(self) -> None:
        """Finish what has begun, if the client lets us: a request half sent or an answer not read ends with the grace.

        uvicorn would cancel it and then wait without a limit for the client to read that.
        """
        super().shutdown()
        self._abort_after(self.grace)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _abort_after(self, seconds: float) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self.transport.abort)


def connection_class(patience_seconds: float, grace_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol for uvicorn: seconds that a client has for a head or for reading, and after a stop."""

    class Connection(_Connection):
        patience, grace = patience_seconds, grace_seconds

    return Connection
