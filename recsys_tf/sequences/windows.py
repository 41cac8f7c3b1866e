"""Cut users' sequences into windows of a fixed length: what a model is shown and what it must answer.

A window is [start token, event, event, …, padding]; position p answers for the event that follows it. Each event of a
side is answered for in exactly one window, and a window holds nothing that comes after the events it answers for.
"""

from typing import Any

import tensorflow as tf

Tensors = dict[str, Any]


def window_bounds(first: Any, end: Any, lead: int, stride: int, length: int) -> tuple[Any, Any, Any, Any]:
    """Place the windows of a batch of users.

    first, end: int64 [users], the events first, …, end - 1 of each user are to be answered for.
    lead, stride: how many of them the user's first window and each later one answer for.
    length: events that a window holds at most, the start token not counted.
    Returns int64 [windows] each: user, start (first event held), low and high (answers for low, …, high - 1).
    """
    number = tf.where(end > first, 1 + tf.maximum(end - first - lead + stride - 1, 0) // stride, 0)
    user = tf.repeat(tf.range(tf.size(first, tf.int64)), number)
    before = tf.cumsum(number, exclusive=True)
    nth = tf.range(tf.reduce_sum(number)) - tf.gather(before, user)
    first, end = tf.gather(first, user), tf.gather(end, user)
    low = tf.where(nth == 0, first, first + lead + (nth - 1) * stride)
    high = tf.minimum(first + lead + nth * stride, end)
    return user, tf.maximum(high - 1 - length, 0), low, high


def cut_windows(
    events: Tensors, answers: Tensors, offset: Any, bounds: tuple[Any, Any, Any, Any], length: int
) -> Tensors:
    """Gather the events of each window from flat arrays.

    events: int64 [events] each, but words [events, words]; answers: int64 [events] each, what an event is as an answer.
    offset: int64 [users], the flat position of each user's first event. bounds: from `window_bounds`.
    Returns the names of events, int64 [windows, 1 + length] with position 0 left as padding for the start token; the
    names of answers [windows, 1 + length], those of the event after each position, -1 where the window does not answer
    for it; `held` int64 [windows], how many positions are not padding; `target` int64 [windows], the flat position of
    the last event answered for.
    """
    user, start, low, high = bounds
    base = tf.gather(offset, user)
    position = tf.range(-1, length, dtype=tf.int64)  # -1 is the start token
    at = start[:, tf.newaxis] + position
    there = (at < (high - 1)[:, tf.newaxis]) & (position >= 0)
    flat = tf.where(there, base[:, tf.newaxis] + at, 0)
    windows = {}
    for name, values in events.items():
        gathered = tf.gather(values, flat)
        mask = there[..., tf.newaxis] if gathered.shape.rank == 3 else there
        windows[name] = tf.where(mask, gathered, 0)
    following = at + 1
    answered = (following >= low[:, tf.newaxis]) & (following < high[:, tf.newaxis])
    flat = tf.where(answered, base[:, tf.newaxis] + following, 0)
    windows |= {name: tf.where(answered, tf.gather(values, flat), -1) for name, values in answers.items()}
    windows["held"] = high - start
    windows["target"] = base + high - 1
    return windows
