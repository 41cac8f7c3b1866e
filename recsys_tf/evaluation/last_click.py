"""How much the last click is worth: the same questions, asked with less of what the user just did (article, 7.2).

A recommender that is brought up to date once a day answers from the history as it stood a day ago; one that is sent the
history with the request knows the last click. The difference is what answering in real time is worth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.bootstrap import Interval, clustered_intervals
from recsys_tf.evaluation.queries import Queries
from recsys_tf.evaluation.ranking_metrics import Floats, Scores, evaluate_recommender, ndcg
from recsys_tf.evaluation.seen_items import targets_and_excluded
from recsys_tf.evaluation.shorter_histories import as_it_stood, newest_events, without_newest_event
from recsys_tf.progress import with_progress

# The newest events that are kept, and how long before the question the history stood so.
NUMBERS = (0, 1, 3, 10, 100)
AGES = {"1 minute": 60_000, "1 hour": 3_600_000, "1 day": 86_400_000}
_EVERYTHING = "everything"
_K = 10

Scorer = Callable[[Queries], Callable[[slice], Scores]]


@dataclass(frozen=True)
class LessKnown:
    """NDCG@10 with a part of each history, what all of it adds to that, and the share of questions that know less."""

    ndcg: Interval
    lost: Interval
    shortened: float


@dataclass(frozen=True)
class LastClick:
    """NDCG@10 of some questions with everything known and with less.

    longest: events of the longest history asked. by_number: with so many of the newest events; by_age: with the history
    as it stood so long before, empty for a log without times. A cut that shortens no history is not there.
    """

    questions: int
    longest: int
    everything: Interval
    without_newest: LessKnown
    by_number: dict[int, LessKnown] = field(default_factory=dict)
    by_age: dict[str, LessKnown] = field(default_factory=dict)


def last_click(scorer: Scorer, queries: Queries, items: int, config: EvaluateConfig) -> LastClick | None:
    """Ask at most `config.last_click` questions, drawn with the seed, with less and less of their histories.

    scorer: gives for any questions the function that scores `items` items for a slice of them. What is taken out of the
    answers because the user had it stays the same. None where nothing is asked or no history holds an event.
    """
    drawn = np.random.default_rng(config.seed).permutation(len(queries))[: max(config.last_click, 0)]
    asked = queries.chosen(np.sort(drawn))
    longest = int(asked.held.max(initial=1)) - 1
    if longest == 0:
        return None
    cuts = {"newest": without_newest_event(asked)}
    cuts |= {str(number): newest_events(asked, number) for number in NUMBERS}
    if (asked.target_timestamp > 0).all():
        cuts |= {age: as_it_stood(asked, milliseconds) for age, milliseconds in AGES.items()}
    cuts = {name: cut for name, cut in cuts.items() if (cut.held < asked.held).any()}
    targets, excluded = targets_and_excluded(asked, items, config.remove_seen)
    histories = {_EVERYTHING: asked, **cuts}
    found: dict[str, Floats] = {}
    for name, part in with_progress(histories.items(), "hiding the last clicks", "histories", len(histories)):
        found[name] = ndcg(evaluate_recommender(scorer(part), targets, excluded).ranks, _K)
    lost = {f"{name} lost": found[_EVERYTHING] - found[name] for name in cuts}
    intervals = clustered_intervals(found | lost, asked.clusters, config.bootstrap_samples, config.seed)
    less = {
        name: LessKnown(intervals[name], intervals[f"{name} lost"], float((cut.held < asked.held).mean()))
        for name, cut in cuts.items()
    }
    return LastClick(
        len(asked),
        longest,
        intervals[_EVERYTHING],
        less["newest"],
        {number: less[str(number)] for number in NUMBERS if str(number) in less},
        {age: less[age] for age in AGES if age in less},
    )
