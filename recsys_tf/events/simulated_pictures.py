"""Pictures of the simulated shop's items, as the vectors that some image model would have made (article section 7.1).

What a picture shows is the category, the style and, less plainly, the price tier; the rest is noise.
"""

from typing import Final

import pandas as pd

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_shop import Shop

TIER_SHOWS: Final = 0.7
NOISE: Final = 0.5
_TOPIC: Final = 22


def items_with_pictures(shop: Shop, config: SimulateConfig) -> pd.DataFrame:
    """Return the item table, with a column vector of numbers separated by spaces where pictures are wanted."""
    items = shop.item_table()
    if config.picture_size == 0:
        return items
    random = laws.generator(config.seed, _TOPIC)
    size = config.picture_size
    looks = [random.normal(size=(kinds, size)) for kinds in (config.categories, len(laws.STYLES), laws.TIERS)]
    vectors = looks[0][shop.category] + looks[1][shop.style] + TIER_SHOWS * looks[2][shop.tier]
    vectors += NOISE * random.normal(size=vectors.shape)
    texts = pd.Series([" ".join(f"{value:.3f}" for value in row) for row in vectors], index=shop.item_ids)
    return items.assign(vector=texts.reindex(items["item_id"]).to_numpy())
