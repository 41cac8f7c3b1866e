"""The simulated shop: its categories, missions and items, and which item of a category a user picks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_laws import Floats, Ints, Texts
from recsys_tf.events.simulated_words import BRANDS, Words, make_titles, make_words


@dataclass(frozen=True)
class Shop:
    """What the shop offers; items stand in order of their category.

    `routes` [missions, 5] holds categories; `mission_popularity` [missions] and `category_popularity` [categories]
    sum to one; `first_item` [categories + 1] says where each category's items begin; the rest is per item [items]:
    `price` in shop currency (NaN: not known), `launch_day` 0 for those on sale from the beginning, `appeal` the
    weight of its lasting popularity within the category, `quality` in 0..1.
    """

    category_ids: Texts
    routes: Ints
    mission_popularity: Floats
    category_popularity: Floats
    first_item: Ints
    item_ids: Texts
    category: Ints
    tier: Ints
    style: Ints
    brand: Ints
    quality: Floats
    appeal: Floats
    launch_day: Ints
    price: Floats
    titles: Texts
    words: Words

    def item_table(self) -> pd.DataFrame:
        """Return the item table of the data contract, in order of item_id."""
        table = pd.DataFrame(
            {
                "item_id": pd.Series(self.item_ids, dtype="str"),
                "category_id": pd.Series(self.category_ids[self.category], dtype="str"),
                "price": self.price,
                "title": pd.Series(self.titles, dtype="str"),
            }
        )
        return table.sort_values("item_id", ignore_index=True)


def make_shop(config: SimulateConfig) -> Shop:
    """Build the shop of this configuration."""
    rng = laws.generator(config.seed, 0)
    routes, mission_popularity, category_popularity = _make_missions(config.categories, rng)
    category = _spread_items(config.items, category_popularity, rng)
    first_item = np.searchsorted(category, np.arange(config.categories + 1))
    n = config.items
    tier = rng.choice(laws.TIERS, n, p=[0.4, 0.4, 0.2])
    style = rng.integers(0, len(laws.STYLES), n)
    brand = rng.integers(0, BRANDS, n)
    words = make_words(config.categories, rng)
    return Shop(
        category_ids=numbered("c", np.arange(config.categories), 2, config.categories),
        routes=routes,
        mission_popularity=mission_popularity,
        category_popularity=category_popularity,
        first_item=first_item,
        item_ids=numbered("i", rng.permutation(n), 5, n),
        category=category,
        tier=tier,
        style=style,
        brand=brand,
        quality=rng.beta(4.0, 2.0, n),
        appeal=np.reciprocal(1.0 + _rank_within(category, first_item, rng), dtype=np.float64),
        launch_day=_launch_days(config, first_item, rng),
        price=_prices(category, tier, rng),
        titles=make_titles(words, category, brand, style, rng),
        words=words,
    )


def pick_items(shop: Shop, category: Ints, tier: Ints, style: Ints, day: Ints, rng: np.random.Generator) -> Ints:
    """Draw one launched item of the given category for each of n users of a tier and style on a day: items [n].

    Within a category an item's weight is its appeal × how well it suits the user × its freshness.
    """
    chance = rng.random(len(category))
    taste = tier * len(laws.STYLES) + style
    suits = _suitability(shop)
    picks = np.empty(len(category), dtype=np.int64)
    order = np.argsort(day, kind="stable")
    bounds = np.searchsorted(day[order], np.arange(int(day.max(initial=-1)) + 2))
    for today, (begin, end) in enumerate(pairwise(bounds)):
        rows = order[begin:end]
        weight = suits * (shop.appeal * freshness(shop.launch_day, today))
        heap = np.concatenate([[0.0], np.cumsum(weight)])
        base = taste[rows] * len(shop.category)
        low, high = heap[base + shop.first_item[category[rows]]], heap[base + shop.first_item[category[rows] + 1]]
        # Rounding must not carry a draw over into the next category.
        point = np.minimum(low + chance[rows] * (high - low), np.nextafter(high, low))
        found = np.searchsorted(heap, point, side="right") - 1
        picks[rows] = found % len(shop.category)
    return picks


def freshness(launch_day: Ints, day: Ints | int) -> Floats:
    """Factor on an item's appeal on a day: 0 before its launch, then 1 + 3·exp(-age / 7 days); 1 for old stock."""
    age = np.asarray(day - launch_day, dtype=np.float64)
    fresh = np.where(launch_day > 0, 1.0 + laws.FRESH_BOOST * np.exp(-np.maximum(age, 0.0) / laws.FRESH_DAYS), 1.0)
    return np.where(age < 0, 0.0, fresh)


def numbered(letter: str, numbers: Ints, width: int, count: int) -> Texts:
    """Write ids such as i00345; they are as wide as the largest of `count` numbers needs, so that they sort."""
    digits = max(width, len(str(max(count - 1, 0))))
    return np.char.add(letter, np.char.zfill(numbers.astype(str), digits)).astype(object)


def _make_missions(categories: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    """Lay routes so that every category lies on two or three: knowing the last category alone leaves them open."""
    missions = max(len(laws.INTEREST_WEIGHTS), int(np.ceil(categories * laws.MISSIONS_PER_CATEGORY)))
    decks = int(np.ceil(missions * laws.ROUTE_LENGTH / categories))
    deck = np.concatenate([rng.permutation(categories) for _ in range(decks)])
    routes = deck[: missions * laws.ROUTE_LENGTH].reshape(missions, laws.ROUTE_LENGTH)
    popularity: Floats = np.power(1.0 + rng.permutation(missions), -laws.MISSION_ZIPF).astype(np.float64)
    popularity /= popularity.sum()
    demand = np.zeros(categories)
    np.add.at(demand, routes, popularity[:, None])
    return routes, popularity, demand / demand.sum()


def _spread_items(items: int, popularity: Floats, rng: np.random.Generator) -> Ints:
    """Category of each item [items], ascending: one for each category, the rest by the square root of demand."""
    weight = np.sqrt(popularity)
    rest = rng.choice(len(popularity), items - len(popularity), p=weight / weight.sum())
    return np.sort(np.concatenate([np.arange(len(popularity)), rest]))


def _rank_within(category: Ints, first_item: Ints, rng: np.random.Generator) -> Ints:
    order = np.lexsort((rng.random(len(category)), category))
    ranks: Ints = np.empty(len(category), dtype=np.int64)
    ranks[order] = np.arange(len(category)) - first_item[category]
    return ranks


def _launch_days(config: SimulateConfig, first_item: Ints, rng: np.random.Generator) -> Ints:
    late = rng.random(config.items) < 0.3
    late[first_item[:-1]] = False  # no category is ever empty
    return np.where(late, rng.integers(0, config.days, config.items), 0)


def _prices(category: Ints, tier: Ints, rng: np.random.Generator) -> Floats:
    level = rng.normal(3.5, 0.9, int(category.max()) + 1)[category]
    price = np.round(np.exp(level + np.log([0.5, 1.0, 2.2])[tier] + rng.normal(0.0, 0.15, len(category))), 2)
    return np.where(rng.random(len(category)) < 0.03, np.nan, price)


def _suitability(shop: Shop) -> Floats:
    """How well each item suits each taste: [tiers × styles, items]."""
    tier = laws.TIER_MATCH[np.abs(np.arange(laws.TIERS)[:, None] - shop.tier[None, :])]
    style = np.where(np.arange(len(laws.STYLES))[:, None] == shop.style[None, :], laws.STYLE_MATCH, 1.0)
    suits: Floats = (tier[:, None, :] * style[None, :, :]).reshape(-1, len(shop.category))
    return suits
