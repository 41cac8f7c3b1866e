"""The page's section about a few users: what they did, what is recommended to them, and because of what."""

from collections.abc import Sequence

from recsys_tf.evaluation.explained_users import ExplainedUser, Reason, TimedEvent
from recsys_tf.page import Section, Table

_EVENTS = 8  # of a history that are shown
_REASONS = 3  # that are named for an item, of at least this share but for the first
_LEAST = 0.01

_TEXT = (
    "Users drawn at random, without their names: what they did last, the items that the two-tower model recommends, "
    "and the events that put each of them there. The item's score is worked out again without each event in "
    "turn: what it loses is what the event did for it, and a share is that of all that speaks for the item. In bold: "
    "what the user really took next. “…” stands for words that training has not seen. Times are UTC."
)


def explained_users_section(users: Sequence[ExplainedUser]) -> Section:
    """Lay out two tables a user: the newest events, and the recommendations with their reasons."""
    tables = [
        table for number, user in enumerate(users, 1) for table in (_history_table(number, user), _items_table(user))
    ]
    return Section("Why these items: five users" if len(users) == 5 else "Why these items", _TEXT, tables)


def _history_table(number: int, user: ExplainedUser) -> Table:
    newest = user.history[: -_EVENTS - 1 : -1]
    timed = any(one.time for one in newest)
    earlier = len(user.history) - len(newest)
    rows = [[one.text, *([one.time] if timed else [])] for one in newest]
    if earlier:
        rows.append([f"… and {earlier} earlier {_events(earlier)}", *([""] if timed else [])])
    return Table([f"user {number}: last events, newest first", *(["when"] if timed else [])], rows, "", prose=True)


def _items_table(user: ExplainedUser) -> Table:
    rows = [
        [f"{place}. {one.title}", one.category or "–", reasons_text(one.reasons, user.history)]
        for place, one in enumerate(user.recommended, 1)
    ]
    return Table(
        ["recommended", "category", "because of"],
        rows,
        f"Then the user {_dated(user.did_next)}.",
        [place for place, one in enumerate(user.recommended) if one.came_next],
        prose=True,
    )


def reasons_text(reasons: Sequence[Reason], history: Sequence[TimedEvent]) -> str:
    """Write a line for each of the strongest reasons and one for all the others: "62 %: bought Red lamp, 2026-…"."""
    if not reasons:
        return "no event of the user: it is what many want"
    named = [reasons[0], *(one for one in reasons[1:_REASONS] if one.share >= _LEAST)]
    lines = [f"{_percent(one.share)}: {_dated(history[one.event])}" for one in named]
    others = reasons[len(named) :]
    if others:
        lines.append(f"{_percent(sum(one.share for one in others))}: {len(others)} other {_events(len(others))}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= _LEAST else "under 1 %"


def _dated(event: TimedEvent) -> str:
    return f"{event.text}, {event.time}" if event.time else event.text


def _events(number: int) -> str:
    return "event" if number == 1 else "events"
