"""The two tables that every later room starts from: their columns, types and checks, in this one place.

Missing text is the empty string in both tables, never a null: an event whose item and query are both empty is padding.
"""

from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

BEHAVIORS: Final = ("view", "search", "click", "cart", "favorite", "purchase")

# What other shops call the six behaviours (lower case).
BEHAVIOR_ALIASES: Final = {
    "pv": "view", "pageview": "view", "page_view": "view", "browse": "view", "detail": "view", "show": "view",
    "query": "search", "site_search": "search",
    "clk": "click", "tap": "click",
    "addtocart": "cart", "add_to_cart": "cart", "add-to-cart": "cart", "basket": "cart",
    "fav": "favorite", "favourite": "favorite", "wishlist": "favorite", "like": "favorite", "collect": "favorite",
    "buy": "purchase", "transaction": "purchase", "order": "purchase", "pay": "purchase", "checkout": "purchase",
}  # fmt: skip

# Columns of the event table in their order; "timestamp" is absent from a log that holds only an order.
EVENT_COLUMNS: Final = ("user_id", "item_id", "behavior", "timestamp", "position", "query", "device")
# Columns of the item table in their order; "vector" is absent from a table none of whose items has one.
ITEM_COLUMNS: Final = ("item_id", "category_id", "price", "title", "vector")


def _are_vectors(vectors: pd.Series) -> pd.Series:
    """Tell of each row that is not null whether it holds finite numbers, as many as the first one."""
    held = pd.Series(vectors.to_numpy(object), index=np.arange(len(vectors)), dtype=object)
    length = held.str.len()  # NaN for what holds nothing
    number = pd.to_numeric(held.explode(), errors="coerce").astype(np.float64)
    finite = number.map(np.isfinite).groupby(level=0).all()
    same = length == length.loc[length.first_valid_index()] if length.notna().any() else length.notna()
    return pd.Series((finite & same).to_numpy(), index=vectors.index)


_text = pa.Column(str, nullable=False)
_key = pa.Column(str, pa.Check.str_length(min_value=1), nullable=False)

EVENTS: Final = pa.DataFrameSchema(
    {
        "user_id": _key,
        "item_id": _text,  # "" if and only if behavior is search
        "behavior": pa.Column(str, pa.Check.isin(BEHAVIORS), nullable=False),
        "timestamp": pa.Column(np.int64, pa.Check.ge(0), required=False),  # milliseconds since 1970, UTC
        "position": pa.Column(np.int64, pa.Check.ge(0)),  # 0, 1, 2, … within the user, in order of time
        "query": _text,  # "" unless behavior is search
        "device": _text,  # "" when not known
    },
    checks=[
        pa.Check(
            lambda events: (events["item_id"] != "") | (events["behavior"] == "search"),
            error="an event other than a search needs an item_id",
        ),
        pa.Check(
            lambda events: (events["query"] != "") | (events["behavior"] != "search"),
            error="a search needs words",
        ),
    ],
    strict=True,
    ordered=True,
)

ITEMS: Final = pa.DataFrameSchema(
    {
        "item_id": pa.Column(str, pa.Check.str_length(min_value=1), nullable=False, unique=True),
        "category_id": _text,  # "" when not known
        "price": pa.Column(np.float64, pa.Check.ge(0.0), nullable=True),  # shop currency; NaN when not known
        "title": _text,  # "" when not known
        # A vector computed elsewhere (picture, text), equally long for all items; null for an item without one.
        "vector": pa.Column(
            object,
            pa.Check(_are_vectors, error="finite numbers, equally many in every vector"),
            nullable=True,
            required=False,
        ),
    },
    strict=True,
    ordered=True,
)


def has_time(events: pd.DataFrame) -> bool:
    """Tell whether an event table carries times; a log that holds only an order does not, and none are invented."""
    return "timestamp" in events.columns
