"""The ASGI application: it reads requests on the event loop, and answers them in a small pool of threads.

TensorFlow runs in the pool or in the threads of batches, so the event loop never waits for a model; a full queue is
answered at once (503).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from recsys_tf.serving.server.answers import answer as answered
from recsys_tf.serving.server.answers import start_predict, write_error
from recsys_tf.serving.server.errors import HTTP_STATUS, Code, ServingError
from recsys_tf.serving.server.model_table import ModelTable
from recsys_tf.serving.server.observing import METRICS_PATH, Observer, Seen, Stopwatch
from recsys_tf.serving.server.pages import PAGE_HEADERS, ShopPages
from recsys_tf.serving.server.request_body import Disconnected, Receive, UnreadBodyError, inflate, read_body
from recsys_tf.serving.server.routes import Route, find_route, is_api, malformed

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]

_WORKERS = 2
_QUEUE = 256
# Where requests are batched, a body up to this size is read on the event loop: that takes less than handing it to a
# thread, which would only wait for the batch.
_AT_ONCE_BYTES = 16_384


class RestApplication:
    """TensorFlow Serving's REST interface over a table of models, as an ASGI callable."""

    def __init__(
        self,
        table: ModelTable,
        max_body_bytes: int,
        timeout_seconds: float = 30.0,
        workers: int = _WORKERS,
        queue: int = _QUEUE,
        observer: Observer | None = None,
        pages: ShopPages | None = None,
    ) -> None:
        self._observer = observer if observer is not None else Observer(table.names)
        self._table, self._max_body_bytes, self._queue = table, max_body_bytes, queue
        self._timeout_seconds, self._pages = timeout_seconds, pages
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="requests")
        # Requests that wait or run; counted on the event loop only.
        self._pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        target, watch = _target(scope), Stopwatch()
        route: Route | None = None
        try:
            body = await read_body(receive, self._max_body_bytes, self._timeout_seconds)
            if scope["method"] == "GET" and target == METRICS_PATH:
                await _send(send, 200, self._observer.exposition(), b"text/plain; version=0.0.4; charset=utf-8")
                return
            page = self._pages.find(target) if self._pages is not None and scope["method"] == "GET" else None
            if page is not None:
                await _send(send, 200, page.body, page.content_type, more=PAGE_HEADERS)
                return
            if not is_api(target):
                await _send(send, 404, b"Not Found", b"text/plain")
                return
            if scope["method"] == "OPTIONS":
                _check_origin(scope, target)
                await _send(send, 200, b"")
                return
            route = find_route(scope["method"], target)
            answer = await self._answer(route, body, _is_gzip(scope))
            self._note(route, Code.OK, watch)
            await _send(send, 200, answer)
        except ServingError as error:
            self._note(route, error.code, watch)
            last = isinstance(error, UnreadBodyError)
            await _send(send, HTTP_STATUS[error.code], write_error(error.message), close=last)
        except (Disconnected, asyncio.CancelledError):
            # Nobody is left to be answered: the client is gone, or the grace of a stop is over.
            return
        except Exception:
            # Nobody foresaw it: the client is told that much in the contract's form, the server's log all of it.
            self._note(route, Code.INTERNAL, watch)
            await _send(send, HTTP_STATUS[Code.INTERNAL], write_error("Internal error"))
            raise

    def close(self) -> None:
        """Let the requests that have begun finish, and end the threads; what still waits has nobody to wait for it."""
        self._pool.shutdown(cancel_futures=True)

    def _note(self, route: Route | None, code: Code, watch: Stopwatch) -> None:
        # Questions about the server itself are no requests to a model.
        if route is None or route.verb not in ("status", "metadata"):
            api, model = (route.verb, route.name) if route is not None else ("", "")
            self._observer(Seen("REST", api, model, code, watch.seconds))

    async def _answer(self, route: Route, body: bytes, gzip: bool) -> bytes:
        if route.verb in ("status", "metadata"):
            # Whoever asks how the server is must not wait behind what keeps it busy.
            return _work(self._table, route, body, self._max_body_bytes if gzip else None)
        if self._pending >= self._queue:
            raise ServingError(Code.UNAVAILABLE, f"The server is overloaded: {self._queue} requests are waiting")
        running: asyncio.Future[bytes]
        if self._table.batches and route.verb == "predict" and not gzip and len(body) <= _AT_ONCE_BYTES:
            running = asyncio.wrap_future(start_predict(self._table, route, body))
        else:
            work = partial(_work, self._table, route, body, self._max_body_bytes if gzip else None)
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._pending += 1
        # A graph cannot be stopped half-way: past the limit the client is told, and the thread is free when it ends.
        running.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(running), self._timeout_seconds)
        except TimeoutError:
            raise ServingError(Code.DEADLINE_EXCEEDED, f"No answer within {self._timeout_seconds:g} s") from None

    def _finished(self, running: asyncio.Future[bytes]) -> None:
        self._pending -= 1
        if not running.cancelled():
            running.exception()  # a late error has nobody left to hear it


def _work(table: ModelTable, route: Route, body: bytes, inflate_limit: int | None) -> bytes:
    return answered(table, route, body if inflate_limit is None else inflate(body, inflate_limit))


def _target(scope: Scope) -> str:
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _is_gzip(scope: Scope) -> bool:
    return _header(scope, b"content-encoding").strip().lower() in (b"gzip", b"x-gzip")


def _check_origin(scope: Scope, target: str) -> None:
    if not _header(scope, b"origin").startswith((b"http://", b"https://")):
        raise malformed("OPTIONS", target)


def _header(scope: Scope, name: bytes) -> bytes:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for key, value in headers if key == name), b"")


async def _send(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    close: bool = False,
    more: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode("ascii")), *more]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
