"""From a clean log to a prepared data set: split, filter, fit, write, in this order."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf

from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.events.schema import BEHAVIORS, has_time
from recsys_tf.publishing import published_directory
from recsys_tf.sequences.catalogue import build_catalogue
from recsys_tf.sequences.crowds import crowd_of
from recsys_tf.sequences.devices import by_device
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventIds, word_ids, words_of
from recsys_tf.sequences.filters import bot_like_users, k_core
from recsys_tf.sequences.held_out import without_held_out
from recsys_tf.sequences.missing_values import fill_missing_values
from recsys_tf.sequences.scalers import fit_bucket_edges, fit_log_scaler
from recsys_tf.sequences.shards import UserSequences, write_shards
from recsys_tf.sequences.splits import LEFT_OUT, TEST, TRAINING, VALIDATION, Split, split_events
from recsys_tf.sequences.vocabularies import PADDING, Vocabulary, fit_vocabulary

Ints = npt.NDArray[np.int64]

_USERS_PER_SHARD = 10_000
_TEXTS_AT_ONCE = 65_536


@dataclass(frozen=True)
class PrepareSettings:
    """The settings that decide a prepared data set."""

    split: SplitConfig
    filters: FilterConfig
    features: FeatureConfig


def prepare(events: pd.DataFrame, items: pd.DataFrame, settings: PrepareSettings, directory: Path) -> dict[str, Any]:
    """Write a prepared data set to `directory` and return its facts (dataset.json).

    events, items: the two clean tables. Raises InputError when the log is too small to learn anything from, and for
    settings that make no sense.
    """
    _check_features(settings.features)
    users = events["user_id"].nunique()
    events = without_held_out(events, settings.filters)
    held_out_users = users - events["user_id"].nunique()
    _check_size(events)
    events = by_device(events, settings.features.devices)
    if not settings.features.vectors:
        items = items.drop(columns="vector", errors="ignore")
    split = split_events(events, settings.split)
    events = events.assign(side=split.side)[split.side != LEFT_OUT]
    before = len(events)
    events, left_out = _apply_filters(events, settings.filters)
    left_out["held_out_users"] = held_out_users
    left_out["events_after_the_test_event"] = int((split.side == LEFT_OUT).sum())
    training = events[events["side"] == TRAINING]
    training_items = pd.Index(training.loc[training["item_id"] != "", "item_id"].unique())
    filled = fill_missing_values(items, training_items, settings.features)
    if filled.deleted:
        events = events[~events["item_id"].isin(filled.deleted)]
        training = events[events["side"] == TRAINING]
    left_out["events_of_items_with_missing_values"] = before - left_out["events_of_filtered_users"] - len(events)
    if training.empty:
        raise InputError("the filters leave no training event")
    space = fit_feature_space(training, filled.items, settings)
    with published_directory(directory) as target:
        space.save(target)
        sequences = encode_users(events, space)
        shards = settings.features.shards or 1 + (len(sequences.users) - 1) // _USERS_PER_SHARD
        hashes = write_shards(sequences, target, min(shards, len(sequences.users)))
        facts = {
            "configuration": to_json(settings),
            "split": {
                "method": split.method,
                "validation_from": split.validation_from,
                "test_from": split.test_from,
            },
            "has_time": has_time(events),
            "counts": _counts(events, space) | {"words_of_longest_search": int(sequences.words_held.max(initial=0))},
            "left_out": left_out,
            "missing_values": filled.fill,
            "shards": list(hashes),
            "sha256": {**_hashes(target), **hashes},
        }
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (target / "dataset.json").write_text(text + "\n", encoding="utf-8")
    return facts


def fit_feature_space(training: pd.DataFrame, items: pd.DataFrame, settings: PrepareSettings) -> FeatureSpace:
    """Fit vocabularies and scalers on training events alone; items: the item table without missing prices."""
    config = settings.features
    item_events = training.loc[training["item_id"] != "", "item_id"]
    core = k_core(training, 1, settings.filters.item_core)
    crowd = crowd_of(training, items, config.min_users, lambda texts: _tokens(texts, config.ngrams))
    vocabulary = fit_vocabulary("items", item_events[item_events.isin(core.items)], config.item_min_count, crowd.items)
    if config.min_users > 1 and not vocabulary.tokens:
        raise InputError(f"features.min_users is {config.min_users}: no item was seen by that many training users")
    known = items[items["item_id"].isin(item_events.unique())]
    categories = fit_vocabulary("categories", known["category_id"], among=crowd.categories)
    # A price of 0 everywhere means that the shop has none.
    prices = known["price"].to_numpy(np.float64)
    priced = prices[prices > 0]
    scaler = fit_log_scaler(priced)
    titles = items["title"] if config.titles else pd.Series("", index=items.index, dtype="str")
    words = _fit_words(training["query"], titles[known.index], config, crowd.words)
    table = words.table()
    title_words = _encode(titles, lambda title: word_ids(title, table, config.words, config.ngrams))
    return FeatureSpace(
        items=vocabulary,
        categories=categories,
        behaviors=Vocabulary("behaviors", BEHAVIORS),
        devices=fit_vocabulary("devices", training["device"], among=crowd.devices),
        word_vocabulary=words,
        catalogue=build_catalogue(
            items, vocabulary, categories, fit_bucket_edges(priced, config.price_buckets), scaler, title_words
        ),
        price_scaler=scaler,
        gap_scaler=fit_log_scaler(_gaps(training)),
        max_length=config.max_length,
        words=config.words,
        ngrams=config.ngrams,
    )


def encode_users(events: pd.DataFrame, space: FeatureSpace) -> UserSequences:
    """Turn an event table with a `side` column (sorted by user and position) into ids, by the serving graph itself."""
    ids = EventIds(space)
    user, users = pd.factorize(events["user_id"])
    first = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=len(users)))])
    side = events["side"].to_numpy()
    words, words_held = _encode_words(events["query"], ids.words)
    return UserSequences(
        users=[str(name) for name in users],
        first=first.astype(np.int64),
        training_end=np.bincount(user, weights=side == TRAINING, minlength=len(users)).astype(np.int64),
        validation_end=np.bincount(user, weights=side <= VALIDATION, minlength=len(users)).astype(np.int64),
        row=_encode(events["item_id"], ids.rows),
        behavior=_encode(events["behavior"], ids.behaviors),
        device=_encode(events["device"], ids.devices),
        timestamp=events["timestamp"].to_numpy(np.int64) if has_time(events) else np.zeros(len(events), np.int64),
        words=words,
        words_held=words_held,
    )


def _encode(values: pd.Series, lookup: Any) -> Ints:
    code, table = _encode_distinct(values, lookup)
    return table[code]


def _encode_distinct(values: pd.Series, lookup: Any) -> tuple[Ints, Ints]:
    # Text repeats: looking up each different text once is many times faster and gives the same.
    code, distinct = pd.factorize(values.astype("str"))
    tables = [lookup(tf.constant(list(distinct[part]), tf.string)).numpy() for part in _parts(len(distinct))]
    return code.astype(np.int64), np.concatenate(tables)


def _encode_words(query: pd.Series, lookup: Any) -> tuple[Ints, Ints]:
    """Return the word ids of all events without padding, int64 [tokens], and how many each event has, [events]."""
    code, table = _encode_distinct(query, lookup)
    held = np.count_nonzero(table != PADDING, axis=1)
    # Events without words, most of them, take no part: the full [events, words] is never made.
    searches = code[held[code] > 0]
    words = table[searches]
    return words[words != PADDING], held[code].astype(np.int64)


def _parts(texts: int) -> Iterator[slice]:
    """Cut a number of texts into parts whose n-grams fit into memory; there is at least one part."""
    for start in range(0, max(texts, 1), _TEXTS_AT_ONCE):
        yield slice(start, start + _TEXTS_AT_ONCE)


def _fit_words(
    queries: pd.Series, titles: pd.Series, config: FeatureConfig, among: "pd.Index[str] | None"
) -> Vocabulary:
    """Give ids to the tokens of training queries, [events], and of the titles of training items, [items].

    among: the only tokens that may get one, None for any.
    """
    texts = pd.concat([queries, titles]).astype("str").value_counts()
    texts = texts[texts.index != ""]
    counts = pd.concat([_token_counts(texts.iloc[part], config.ngrams) for part in _parts(len(texts))])
    counts = counts.groupby(level=0).sum()
    if among is not None:
        counts = counts[counts.index.isin(among)]
    kept = counts[counts >= config.word_min_count].sort_index().sort_values(ascending=False, kind="stable")
    return Vocabulary("words", tuple(kept.index))


def _token_counts(texts: pd.Series, ngrams: int) -> pd.Series:
    """Count tokens; texts: how often each text of the index occurs."""
    tokens = words_of(tf.constant(list(texts.index), tf.string), ngrams)
    distinct, index = tf.unique(tokens.flat_values)
    times = np.repeat(texts.to_numpy(np.float64), tokens.row_lengths().numpy())
    names = pd.Index([token.decode("utf-8") for token in distinct.numpy()], dtype="str")
    return pd.Series(np.bincount(index.numpy(), times, len(names)), names)


def _tokens(texts: "pd.Index[str]", ngrams: int) -> tuple["pd.Index[str]", Ints, Ints]:
    """Split texts [n]: the distinct tokens, how many each text has [n], and the numbers of the tokens, flat."""
    names, held, token = list[str](), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for part in _parts(len(texts)):
        tokens = words_of(tf.constant(list(texts[part]), tf.string), ngrams)
        distinct, index = tf.unique(tokens.flat_values)
        held.append(tokens.row_lengths().numpy())
        token.append(index.numpy().astype(np.int64) + len(names))
        names += [name.decode("utf-8") for name in distinct.numpy()]
    # A token of several parts has a number in each until here.
    code, different = pd.factorize(pd.Index(names, dtype="str"))
    return different, np.concatenate(held), code.astype(np.int64)[np.concatenate(token)]


def _gaps(training: pd.DataFrame) -> npt.NDArray[np.float64]:
    if not has_time(training):
        return np.zeros(0)
    user = pd.factorize(training["user_id"])[0]
    gap = np.maximum(np.diff(training["timestamp"].to_numpy()), 0) / 1000.0
    return np.asarray(gap[user[1:] == user[:-1]], dtype=np.float64)


def _apply_filters(events: pd.DataFrame, config: FilterConfig) -> tuple[pd.DataFrame, dict[str, int]]:
    training = events[events["side"] == TRAINING]
    bots = bot_like_users(training, config) if config.drop_bots else pd.Index([])
    drop = events["user_id"].isin(bots)
    small = 0
    if config.user_core > 1:
        core = k_core(training[~training["user_id"].isin(bots)], config.user_core, config.item_core)
        outside = ~events["user_id"].isin(core.users) & ~drop
        small = int(events.loc[outside, "user_id"].nunique())
        drop |= outside
    facts = {
        "bot_like_users": len(bots),
        "users_below_the_core": small,
        "events_of_filtered_users": int(drop.sum()),
    }
    return events[~drop], facts


def _counts(events: pd.DataFrame, space: FeatureSpace) -> dict[str, int]:
    sides = np.bincount(events["side"], minlength=3)
    return {
        "users": int(events["user_id"].nunique()),
        "training_events": int(sides[TRAINING]),
        "validation_events": int(sides[VALIDATION]),
        "test_events": int(sides[TEST]),
        "items": len(space.catalogue),
        "items_in_training": len(space.items.tokens),
        "categories": len(space.categories.tokens),
        "words": len(space.word_vocabulary.tokens),
        "devices": len(space.devices.tokens),
    }


def _hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".txt", ".json", ".parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _check_features(config: FeatureConfig) -> None:
    if config.words < 1:
        raise InputError(f"features.words is {config.words}: at least 1 token of a query or title must be kept")
    if config.ngrams < 0:
        raise InputError(f"features.ngrams is {config.ngrams}: a length, or 0 for words only")
    if config.min_users < 1:
        raise InputError(f"features.min_users is {config.min_users}: a number of users, 1 for no limit")


def _check_size(events: pd.DataFrame) -> None:
    for column, what in (("user_id", "user"), ("item_id", "item")):
        values = events.loc[events[column] != "", column]
        if values.nunique() < 2:
            raise InputError(f"the log has {values.nunique()} {what}: at least 2 are needed to learn from")


__all__ = ["PrepareSettings", "Split", "encode_users", "fit_feature_space", "prepare"]
