"""Typed questions to a served two-tower model, over REST or gRPC: what a shop's own code calls.

client = RecommenderClient(PredictClient("http://127.0.0.1:8501"))
client.recommend([Event("i00141", "view"), Event(behavior="search", query="red lamp")], k=5)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from recsys_tf.errors import InputError
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.serving.client import Version


class Transport(Protocol):
    """A way to a server: `PredictClient` (REST) or `GrpcPredictClient`."""

    def predict(
        self, model: str, inputs: Any, *, signature_name: str = "serving_default", version: Version = None
    ) -> dict[str, Any]:
        """Run a signature on nested lists by name."""


@dataclass(frozen=True)
class Event:
    """One event of a history: an item that was viewed, clicked, bought …, or a search with its words."""

    item_id: str = ""
    behavior: str = "view"
    query: str = ""
    device: str = ""
    # Milliseconds since 1970; 0 is not known.
    timestamp: int = 0


@dataclass(frozen=True)
class Recommendation:
    """An item of an answer; contributions: what each event of the history did for it, where that was asked."""

    item_id: str
    title: str
    score: float
    contributions: tuple[float, ...] = ()


class RecommenderClient:
    """Asks a two-tower model by the name under which it is served."""

    def __init__(
        self, transport: Transport, model: str = "two_tower", version: Version = None, pad_to: int = 0
    ) -> None:
        """version: a number, a label, or None for the newest.

        pad_to: fill every history up to so many events, so that a server batches.
        """
        self._transport, self._model, self._version, self._pad_to = transport, model, version, pad_to

    def recommend(
        self,
        history: Sequence[Event],
        k: int = 10,
        *,
        target_behavior: str = "",
        exclude: Sequence[str] = (),
        category: str = "",
    ) -> list[Recommendation]:
        """Return the k items that come next, oldest event first; an empty history is a new user.

        Raises InputError, naming the field, for what no model can be asked, and with the server's message.
        """
        _check(target_behavior == "" or target_behavior in BEHAVIORS, "target_behavior", target_behavior)
        question = {"target_behavior": [target_behavior], "exclude": [list(exclude) or [""]], "category": [category]}
        return _listed(self._ask("recommend", self._columns(history) | question | _k(k)))

    def search(self, history: Sequence[Event], query: str, k: int = 10) -> list[Recommendation]:
        """Return the k items that are meant by the words typed now, after the items of a history."""
        _check(bool(query.strip()), "query", query)
        columns = self._columns(history)
        short = {name: columns[name] for name in ("item_id", "behavior")}
        return _listed(self._ask("search", short | {"query": [query]} | _k(k)))

    def explain(self, history: Sequence[Event], k: int = 10) -> list[Recommendation]:
        """Return the k items that come next, each with what every event did for it."""
        answer = self._ask("explain", self._columns(history) | _k(k))
        return _listed(answer, len(history))

    def score(
        self, history: Sequence[Event], candidates: Sequence[str], *, target_behavior: str = ""
    ) -> list[float | None]:
        """Return the score of each candidate in their order, None for an item that the model does not know."""
        _check(target_behavior == "" or target_behavior in BEHAVIORS, "target_behavior", target_behavior)
        _check(len(candidates) > 0, "candidates", candidates)
        question = {"target_behavior": [target_behavior], "candidate": [list(candidates)]}
        answer = self._ask("score", self._columns(history) | question)
        pairs = zip(answer["score"][0], answer["known"][0], strict=True)
        return [score if known else None for score, known in pairs]

    def embed(self, history: Sequence[Event], *, target_behavior: str = "") -> list[float]:
        """Return the vector of a history, for whatever is built on it."""
        question = {"target_behavior": [target_behavior]}
        vector: list[float] = self._ask("embed_query", self._columns(history) | question)["vector"][0]
        return vector

    def _columns(self, history: Sequence[Event]) -> dict[str, list[list[Any]]]:
        for at, event in enumerate(history):
            _check(event.behavior in BEHAVIORS, f"history[{at}].behavior", event.behavior)
            _check(bool(event.query if event.behavior == "search" else event.item_id), f"history[{at}]", event)
            _check(type(event.timestamp) is int and event.timestamp >= 0, f"history[{at}].timestamp", event.timestamp)
        # At least one event, if only padding: an empty list has no type.
        missing = max(self._pad_to, 1) - len(history)
        padded = [*history, *[Event(behavior="")] * missing]
        return {
            name: [[getattr(event, name) for event in padded]]
            for name in ("item_id", "behavior", "query", "device", "timestamp")
        }

    def _ask(self, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = self._transport.predict(self._model, inputs, signature_name=signature, version=self._version)
        # REST answers a signature's only output without its name.
        return {"vector": answer["outputs"]} if answer.keys() == {"outputs"} else answer


def _k(k: int) -> dict[str, list[int]]:
    _check(k >= 1, "k", k)
    return {"k": [k]}


def _check(holds: bool, field: str, value: Any) -> None:
    if not holds:
        raise InputError(f"{field}: {value!r} is nothing that can be asked")


def _listed(answer: dict[str, Any], events: int = 0) -> list[Recommendation]:
    items, titles, scores = (answer[name][0] for name in ("item_id", "title", "score"))
    shares = answer["contribution"][0] if "contribution" in answer else [()] * len(items)
    rows = zip(items, titles, scores, shares, strict=True)
    return [Recommendation(item, title, score, tuple(share[:events])) for item, title, score, share in rows if item]
