"""A small REST client for TensorFlow Serving and the local server, on the standard library alone."""

import base64
import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

from recsys_tf.errors import InputError

# Which version of a model is asked: a number, the name of a label such as "stable", or None for the newest.
Version = int | str | None


class PredictClient:
    """Asks one server. Every request has a connection of its own, so threads may share a client."""

    def __init__(
        self, url: str, timeout_seconds: float = 30.0, retries: int = 2, retry_wait_seconds: float = 0.2
    ) -> None:
        """Take the server's address, such as http://127.0.0.1:8501. Raises InputError when it is no http address.

        A lost or refused connection and an overloaded server (503) are tried again `retries` times, the wait doubling
        each time; nothing else is.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(f"{url!r} is not an address such as http://127.0.0.1:8501 ({error})") from error
        if parts.scheme not in ("http", "https") or not host:
            raise InputError(f"{url!r} is not an address such as http://127.0.0.1:8501")
        self._secure, self._host, self._port, self._prefix = parts.scheme == "https", host, port, parts.path.rstrip("/")
        self._url = url
        self._timeout, self._retries, self._wait = timeout_seconds, retries, retry_wait_seconds

    def predict(
        self, model: str, inputs: Any, *, signature_name: str = "serving_default", version: Version = None
    ) -> dict[str, Any]:
        """Run a signature on `inputs` in column form, and return its outputs by name.

        `inputs` maps each input's name to nested lists; bytes travel as base64. A signature with one output answers
        it bare; it is returned under "outputs". Raises InputError with the server's message.
        """
        content = {"signature_name": signature_name, "inputs": inputs}
        try:
            body = json.dumps(content, default=_in_base64).encode("utf-8")
        except (TypeError, ValueError) as error:
            raise InputError(f"the inputs cannot be written as JSON: {error}") from error
        outputs = self._ask("POST", f"{_path(model, version)}:predict", body).get("outputs")
        return outputs if isinstance(outputs, dict) and outputs.keys() != {"b64"} else {"outputs": outputs}

    def status(self, model: str, *, version: Version = None) -> dict[str, Any]:
        """Return the states of a model's versions as the server writes them. Raises InputError."""
        return self._ask("GET", _path(model, version))

    def metadata(self, model: str, *, version: Version = None) -> dict[str, Any]:
        """Return a model's signatures as the server writes them. Raises InputError."""
        return self._ask("GET", f"{_path(model, version)}/metadata")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        for wait in [self._wait * 2**attempt for attempt in range(self._retries)]:
            try:
                status, text = self._exchange(method, path, body)
            except ConnectionError:
                time.sleep(wait)
                continue
            if status != http.client.SERVICE_UNAVAILABLE:
                return self._read(status, text)
            time.sleep(wait)
        try:
            return self._read(*self._exchange(method, path, body))
        except ConnectionError as error:
            raise InputError(f"{self._url}: {error.strerror or error}") from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, self._prefix + path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError as error:
            raise InputError(f"{self._url}: no answer within {self._timeout:g} s") from error
        except ConnectionError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise InputError(f"{self._url}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise InputError(f"{self._url}: HTTP {status}, and no JSON") from error
        if not isinstance(answer, dict):
            raise InputError(f"{self._url}: HTTP {status}, and no JSON object")
        if status != http.client.OK:
            raise InputError(f"{self._url}: HTTP {status}: {answer.get('error', '(no message)')}")
        return answer


def _path(model: str, version: Version) -> str:
    name = f"/v1/models/{quote(model, safe='')}"
    match version:
        case None:
            return name
        case int():
            return f"{name}/versions/{version}"
        case str():
            return f"{name}/labels/{quote(version, safe='')}"


def _in_base64(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} has no place in JSON")
