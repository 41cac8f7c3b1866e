"""Texts that enough different users saw: what fewer than k of them saw may point at one of them (k-anonymity).

Sweeney 2002. An item, category or device is seen by the users with an event that has it; a word or n-gram by those who
searched with it and those with an event on an item whose title holds it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
# Text [n] → the distinct tokens, how many each text has [n], and the numbers of the tokens, flat.
Tokenize = Callable[["pd.Index[str]"], tuple["pd.Index[str]", Ints, Ints]]

_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Crowd:
    """The texts of each kind that enough training users saw, and that may get an id; None for all."""

    items: "pd.Index[str] | None" = None
    categories: "pd.Index[str] | None" = None
    devices: "pd.Index[str] | None" = None
    words: "pd.Index[str] | None" = None


def crowd_of(training: pd.DataFrame, items: pd.DataFrame, min_users: int, tokenize: Tokenize) -> Crowd:
    """Find what at least `min_users` different users of the training events saw; with 1 that is everything.

    items: the item table, which describes what the events are about.
    """
    if min_users <= 1:
        return Crowd()
    user = pd.Series(pd.factorize(training["user_id"])[0].astype(np.int64))
    described = items.set_index("item_id")[["category_id", "title"]].reindex(training["item_id"]).fillna("")
    texts = pd.concat([training["query"], described["title"]], ignore_index=True)
    return Crowd(
        items=_seen(training["item_id"], user, min_users),
        categories=_seen(described["category_id"], user, min_users),
        devices=_seen(training["device"], user, min_users),
        words=_seen_tokens(texts, pd.concat([user, user], ignore_index=True), min_users, tokenize),
    )


def users_of_tokens(text: Ints, user: Ints, held: Ints, token: Ints) -> Ints:
    """Count the different users of each token: int64 [tokens].

    text and user: [pairs], who saw which text. held: [texts], how many tokens each text has; token: those of all texts,
    flat.
    """
    order = np.argsort(user, kind="stable")
    text, user = text[order], user[order]
    first = np.cumsum(held) - held
    tokens = int(token.max(initial=-1)) + 1
    users = np.zeros(tokens, np.int64)
    for part in _parts_of_users(user, held[text]):
        times = held[text[part]]
        begin = np.repeat(first[text[part]] - (np.cumsum(times) - times), times)
        # One number for each user and token, so that a token counts a user once.
        seen = np.unique(np.repeat(user[part], times) * tokens + token[begin + np.arange(times.sum())])
        users += np.bincount(seen % max(tokens, 1), minlength=tokens)
    return users


def _seen(texts: pd.Series, user: pd.Series, min_users: int) -> "pd.Index[str]":
    pairs = pd.DataFrame({"text": texts.to_numpy(), "user": user.to_numpy()}).drop_duplicates()
    counts = pairs["text"].value_counts(sort=False)
    enough: pd.Index[str] = pd.Index(counts.index[counts >= min_users], dtype="str")
    return enough


def _seen_tokens(texts: pd.Series, user: pd.Series, min_users: int, tokenize: Tokenize) -> "pd.Index[str]":
    code, distinct = pd.factorize(texts.astype("str"))
    pairs = pd.DataFrame({"text": code.astype(np.int64), "user": user.to_numpy()}).drop_duplicates()
    names, held, token = tokenize(pd.Index(distinct, dtype="str"))
    users = users_of_tokens(pairs["text"].to_numpy(), pairs["user"].to_numpy(), held, token)
    enough: pd.Index[str] = names[users >= min_users]
    return enough


def _parts_of_users(user: Ints, weight: Ints) -> Iterator[slice]:
    """Cut rows that are sorted by user into parts of whole users, each of about _PAIRS_AT_ONCE in weight."""
    ends = np.flatnonzero(np.diff(user, append=-1)) + 1
    total = np.cumsum(weight)[ends - 1]
    bounds = ends[np.flatnonzero(np.diff(total // _PAIRS_AT_ONCE, append=-1))]
    for start, end in zip(np.append(0, bounds)[:-1], bounds, strict=True):
        yield slice(int(start), int(end))
