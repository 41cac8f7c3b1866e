"""The k-core is stable, and bots stand out while people do not."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.config import FilterConfig
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.filters import bot_like_users, k_core, user_statistics

pairs = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["1", "2", "3", "4", ""])), max_size=40)


@given(pairs, st.integers(1, 4), st.integers(1, 4))
def test_the_k_core_equals_a_slow_one(rows: list[tuple[str, str]], user_core: int, item_core: int) -> None:
    kept = list(rows)
    while True:
        users, items = Counter(user for user, _ in kept), Counter(item for _, item in kept if item)
        still = [(u, i) for u, i in kept if users[u] >= user_core and (not i or items[i] >= item_core)]
        if len(still) == len(kept):
            break
        kept = still
    core = k_core(pd.DataFrame(rows, columns=["user_id", "item_id"], dtype="str"), user_core, item_core)
    assert set(core.users) == {user for user, _ in kept}
    assert set(core.items) == {item for _, item in kept if item}


def test_bots_of_the_simulated_shop_are_found_and_people_are_left_alone(
    clean_log: CleanLog, raw_folder: object
) -> None:
    people = pd.read_csv(f"{raw_folder}/truth/users.csv.gz")
    bots = set(people.loc[people["is_bot"], "user_id"])
    flagged = set(bot_like_users(clean_log.events, FilterConfig()))
    assert bots
    assert flagged >= bots
    assert len(flagged - bots) <= 0.03 * len(people)


def test_a_handful_of_users_has_no_crowd_to_differ_from(clean_log: CleanLog) -> None:
    few = clean_log.events[clean_log.events["user_id"].isin(clean_log.events["user_id"].unique()[:20])]
    assert len(bot_like_users(few, FilterConfig())) == 0


def test_statistics_of_a_user_by_hand() -> None:
    log = pd.DataFrame(
        {
            "user_id": ["u", "u", "u", "u"],
            "item_id": ["1", "1", "2", ""],
            "behavior": ["view", "purchase", "view", "search"],
            "timestamp": [0, 3_600_000, 7_200_000, 86_400_000],
        }
    )
    row = user_statistics(log).loc["u"]
    assert row["events"] == 4
    assert row["view_share"] == 0.5
    assert row["purchase_share"] == row["search_share"] == 0.25
    assert row["distinct_item_share"] == 0.75
    assert row["hours_of_day"] == 3  # 0, 1 and 2 o'clock; the fourth event is at midnight again
    assert "median_log_gap" not in user_statistics(log.drop(columns="timestamp"))
