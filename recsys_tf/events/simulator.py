"""The simulated shop as a whole: a dirty log of user behaviour whose truth is known.

Users follow missions, closed routes over five categories. The last category alone leaves open which mission is on,
the last two hardly do, and interests decide what a new session starts with: so what comes next can be learned, but
not by a simple rule. `simulated_laws.py` holds the constants, `simulated_truth.py` the best possible guess.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_tf.config import SimulateConfig
from recsys_tf.errors import InputError
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.judge import Judge
from recsys_tf.events.simulated_contact_truth import contact_guess_table
from recsys_tf.events.simulated_contact_words import sentences
from recsys_tf.events.simulated_contacts import contact_table, find_causes, make_contacts
from recsys_tf.events.simulated_dirt import HEADER, csv_lines, soil
from recsys_tf.events.simulated_events import act_out, run_bots
from recsys_tf.events.simulated_exposures import draw_exposures
from recsys_tf.events.simulated_laws import Texts
from recsys_tf.events.simulated_pictures import items_with_pictures
from recsys_tf.events.simulated_shop import make_shop, numbered
from recsys_tf.events.simulated_tables import (
    event_table,
    guess_table,
    interest_table,
    shop_facts,
    step_table,
    user_table,
)
from recsys_tf.events.simulated_truth import guess_bots, guess_next
from recsys_tf.events.simulated_visits import make_interests, make_sessions, make_steps, make_users
from recsys_tf.publishing import published_directory, published_file


@dataclass(frozen=True)
class Simulation:
    """A simulated log and its truth.

    `lines` [rows]: the dirty log's lines without the header. `events`: its genuine events in order of user_id and time
    (user_id, item_id, behavior, timestamp in ms, query, device). `items`: the item table. `best_guesses`: one row for
    each of `events` in their order (user_id, timestamp, next_category, probability); an upper bound on what a model
    can reach, meant for those whose next event is of an item. `users`: is_bot, tastes and devices. `interests`:
    missions in force and their weights from a timestamp on. `steps`: mission and place on its route from a timestamp
    on. `contacts`: user_id, timestamp, reason and words of contacts with customer service in order of time, and
    `contact_guesses` the best possible guess at each. `dirt`: line number in the file and kind of every row that is not
    genuine. `shop`: facts for the judge, as JSON. `seed`: the configuration's, for the ads, which the judge draws.
    """

    lines: Texts
    events: pd.DataFrame
    items: pd.DataFrame
    best_guesses: pd.DataFrame
    users: pd.DataFrame
    interests: pd.DataFrame
    steps: pd.DataFrame
    contacts: pd.DataFrame
    contact_guesses: pd.DataFrame
    dirt: pd.DataFrame
    shop: dict[str, Any]
    seed: int


def simulate(config: SimulateConfig) -> Simulation:
    """Simulate the shop of this configuration; the same configuration gives the same result.

    Raises InputError for a configuration that makes no shop: no users, fewer items than categories, a share
    outside 0..0.5.
    """
    _check(config)
    shop = make_shop(config)
    users = make_users(config)
    interests = make_interests(config, shop)
    sessions = make_sessions(config, users)
    steps = make_steps(config, shop, sessions, interests)
    genuine = act_out(config, shop, users, sessions, steps)
    bots = round(config.users * config.bot_share / (1.0 - config.bot_share))
    automatic = run_bots(config, shop, bots)

    total = config.users + bots
    names = numbered("u", laws.generator(config.seed, 8).permutation(total), 5, total)
    happenings = (genuine, automatic)
    user_ids = np.concatenate([names[genuine.user], names[config.users + automatic.user]])
    events = event_table(shop, happenings, user_ids)
    causes = find_causes(shop, users, genuine)
    contacts = make_contacts(config, causes, genuine)
    guesses = (guess_next(shop, sessions, steps, interests, genuine), guess_bots(shop, automatic))
    best_guesses = guess_table(shop, events, guesses)
    log = soil(config, events.sort_values(["timestamp", "user_id"], ignore_index=True))
    order = np.lexsort((events["timestamp"].to_numpy(), user_ids))
    return Simulation(
        lines=log.lines,
        events=events.take(order).reset_index(drop=True),
        items=items_with_pictures(shop, config),
        best_guesses=best_guesses.take(order).reset_index(drop=True),
        users=user_table(users, names, bots),
        interests=interest_table(interests, names),
        steps=step_table(sessions, steps, genuine, names),
        contacts=contact_table(contacts, names, sentences(contacts.words)),
        contact_guesses=contact_guess_table(causes, contacts, names),
        dirt=log.dirt,
        shop=shop_facts(shop),
        seed=config.seed,
    )


def write_simulation(simulation: Simulation, output: Path) -> None:
    """Write user_behavior_data.csv, items.csv, contacts.csv and truth/ into `output`, each appearing only when whole.

    The same simulation gives the same bytes. Raises OSError when `output` cannot be written.
    """
    with published_file(output / "user_behavior_data.csv") as path:
        path.write_bytes(_text(HEADER, simulation.lines))
    with published_file(output / "items.csv") as path:
        simulation.items.to_csv(path, index=False, lineterminator="\n")
    with published_file(output / "contacts.csv") as path:
        simulation.contacts.to_csv(path, index=False, lineterminator="\n")
    with published_directory(output / "truth") as folder:
        _write_gzip(folder / "events.csv.gz", _with_rounded(simulation.best_guesses, "probability"))
        _write_gzip(folder / "users.csv.gz", simulation.users)
        _write_gzip(folder / "interests.csv.gz", _with_rounded(simulation.interests, "weight"))
        _write_gzip(folder / "steps.csv.gz", simulation.steps)
        _write_gzip(folder / "contacts.csv.gz", _contact_truth(simulation.contact_guesses))
        _write_gzip(folder / "dirt.csv.gz", simulation.dirt)
        (folder / "shop.json").write_text(json.dumps(simulation.shop, separators=(",", ":")) + "\n", encoding="utf-8")
        # Ads are drawn by the judge, who reads the truth as it is written.
        exposures = draw_exposures(simulation.events, simulation.users, Judge.load(folder), simulation.seed)
        _write_gzip(folder / "exposures.csv.gz", _exposure_truth(exposures.truth))
    with published_file(output / "exposures.csv.gz") as path:
        _write_gzip(path, exposures.log)


def _check(config: SimulateConfig) -> None:
    for name, least in (("users", 1), ("items", 1), ("days", 1), ("categories", 1), ("seed", 0), ("picture_size", 0)):
        value = getattr(config, name)
        if value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
    if config.items < config.categories:
        raise InputError(f"--items must be at least --categories ({config.categories}), not {config.items}")
    for name in ("bot_share", "duplicate_share", "malformed_share"):
        value = getattr(config, name)
        if not 0.0 <= value < 0.5:
            raise InputError(f"--{name.replace('_', '-')} must be at least 0 and below 0.5, not {value}")


def _with_rounded(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Write the column of probabilities in 0..1 with four decimals, as text."""
    decimals = np.char.zfill(np.arange(10_000).astype(str), 4).astype(object)
    texts = np.append("0." + decimals, "1.0000")
    rounded = np.rint(table[column].to_numpy() * 10_000).astype(np.int64)
    return table.assign(**{column: texts[rounded]})


def _contact_truth(table: pd.DataFrame) -> pd.DataFrame:
    for column in ("probability", "top_3", "said_probability", "said_top_3"):
        table = _with_rounded(table, column)
    return table


def _exposure_truth(table: pd.DataFrame) -> pd.DataFrame:
    # Rates are small: six decimals.
    return table.assign(**{name: np.char.mod("%.6f", table[name].to_numpy()) for name in ("click", "purchase")})


def _text(header: str, lines: Texts) -> bytes:
    return "\n".join([header, *lines, ""]).encode("utf-8")


def _write_gzip(path: Path, table: pd.DataFrame) -> None:
    lines = csv_lines([table[name].astype(str) for name in table.columns])
    # A modification time of 0 keeps the bytes the same from run to run.
    path.write_bytes(gzip.compress(_text(",".join(table.columns), lines), compresslevel=6, mtime=0))
