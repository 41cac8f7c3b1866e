"""The ceiling of customer service: the best possible guess at each contact's reason, before and after its words.

Contacts of every cause are Poisson processes that know nothing of each other, so that of their sum each contact is of a
reason with that reason's share of the rate at that moment (Kingman 1993, Poisson Processes, sections 2.2 and 5.1):
exact given the user's events before it, the causes that they hold and the user's true taste. The words are one more
observation (Bayes).
"""

import numpy as np
import pandas as pd

from recsys_tf.events.simulated_contact_words import word_log_likelihood
from recsys_tf.events.simulated_contacts import CHANCE_PER_DAY, DELAY_MS, MEAN_MS, REASONS, Causes, Contacts
from recsys_tf.events.simulated_laws import MS_PER_DAY, Floats, Ints, Texts

# Contacts are weighed against all causes of their user, so many pairs at once.
PAIRS_AT_ONCE = 2_000_000
TOP = 3


def reason_probabilities(causes: Causes, contacts: Contacts) -> tuple[Floats, Floats]:
    """Return the probability of each reason, [contacts, reasons]: before anything is said, and given the words."""
    rate = contact_rates(causes, contacts.user, contacts.timestamp)
    before = rate / rate.sum(axis=1, keepdims=True)
    log = word_log_likelihood(contacts.words)
    after = before * np.exp(log - log.max(axis=1, keepdims=True))
    return before, after / after.sum(axis=1, keepdims=True)


def contact_rates(causes: Causes, user: Ints, time: Ints) -> Floats:
    """Contacts per ms of each reason at moments after their users' first event, [moments] each: [moments, reasons]."""
    first, last = np.searchsorted(causes.user, user, side="left"), np.searchsorted(causes.user, user, side="right")
    rates = np.full((len(user), len(REASONS)), CHANCE_PER_DAY / MS_PER_DAY / len(REASONS))
    number = last - first
    part = np.cumsum(number) // PAIRS_AT_ONCE
    for one in range(int(part.max(initial=-1)) + 1):
        rows = np.flatnonzero(part == one)
        held = number[rows]
        moment = np.repeat(np.arange(len(rows)), held)
        cause = np.arange(int(held.sum())) + np.repeat(first[rows] - (np.cumsum(held) - held), held)
        reason, now = causes.reason[cause], time[rows][moment]
        # A contact's delay was cut to whole milliseconds.
        delay = now - causes.start[cause] - DELAY_MS[reason]
        works = (delay >= 0) & (now < causes.until[cause])
        mean = MEAN_MS[reason].astype(np.float64)
        rate = np.where(works, causes.expected[cause] * np.exp(-np.maximum(delay, 0) / mean) / mean, 0.0)
        sums = np.bincount(moment * len(REASONS) + reason, rate, len(rows) * len(REASONS))
        rates[rows] += sums.reshape(len(rows), len(REASONS))
    return rates


def contact_guess_table(causes: Causes, contacts: Contacts, names: Texts) -> pd.DataFrame:
    """Return the best guess at every contact, its probability, and that of the best three together.

    Columns user_id, timestamp, guess, probability, top_3; the same under said_… for whoever has heard the words.
    """
    before, after = reason_probabilities(causes, contacts)
    table = {"user_id": pd.Series(names[contacts.user], dtype="str"), "timestamp": contacts.timestamp}
    for prefix, probability in (("", before), ("said_", after)):
        best = probability.argmax(axis=1)
        table |= {
            f"{prefix}guess": pd.Series(np.array(REASONS, dtype=object)[best], dtype="str"),
            f"{prefix}probability": probability.max(axis=1),
            f"{prefix}top_3": np.minimum(np.sort(probability, axis=1)[:, -TOP:].sum(axis=1), 1.0),
        }
    return pd.DataFrame(table)
