"""A request's body: read whole, held to a limit, inflated when it is gzip."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from recsys_tf.serving.server.errors import Code, ServingError, invalid

Receive = Callable[[], Awaitable[dict[str, Any]]]
# Bytes that are inflated at a time: what follows the end of a member is copied, and there may be very many members.
_SLICE = 4096
_GZIP = 16 + zlib.MAX_WBITS


class Disconnected(Exception):  # noqa: N818 — the client went away: nobody is left to be told of an error
    """The client closed the connection before its request was complete."""


class UnreadBodyError(ServingError):
    """A body that may not have been read to its end: the connection cannot be used again."""


class BodyTooLongError(UnreadBodyError):
    """A body beyond the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(Code.INVALID_ARGUMENT, f"Request body is longer than {limit} bytes")


class BodyTooSlowError(UnreadBodyError):
    """A body that took too long to arrive."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Code.DEADLINE_EXCEEDED, f"The request did not arrive within {seconds:g} s")


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes:
    """Read a body of at most `limit` bytes.

    A longer one is read on, and dropped, for one more limit's worth, so that its sender can read the answer, too.
    Raises BodyTooLongError for a longer one, BodyTooSlowError for one that is not whole after so many seconds,
    Disconnected when the client goes away.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise BodyTooSlowError(seconds) from None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        more: bool = message.get("more_body", False)
        if size <= limit:
            chunks.append(chunk)
            if not more:
                return b"".join(chunks)
        else:
            chunks.clear()
            if not more or size > 2 * limit:
                raise BodyTooLongError(limit)


def inflate(body: bytes, limit: int) -> bytes:
    """Inflate gzip, of several members too, to at most `limit` bytes.

    Raises ServingError (INVALID_ARGUMENT) for what is no whole gzip, BodyTooLongError for what inflates to more.
    """
    parts: list[bytes] = []
    size = 0
    member = zlib.decompressobj(_GZIP)
    for start in range(0, len(body), _SLICE):
        rest = body[start : start + _SLICE]
        while rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            try:
                # One byte beyond the limit tells a body that fits exactly from one that does not.
                part = member.decompress(rest, limit - size + 1)
            except zlib.error as error:
                raise invalid(f"Failed to inflate the gzip request body: {error}") from error
            size += len(part)
            if size > limit:
                raise BodyTooLongError(limit)
            parts.append(part)
            rest = member.unused_data
    if body and not member.eof:
        raise invalid("Failed to inflate the gzip request body: it ends too early")
    return b"".join(parts)
