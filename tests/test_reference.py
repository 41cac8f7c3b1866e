"""The README's reference of commands and options."""

import re

from recsys_tf.cli import _VERBS
from recsys_tf.commands import COMMANDS
from recsys_tf.results.reference import reference


def test_every_verb_and_head_is_in_the_reference() -> None:
    assert {verb.partition(" ")[0] for verb in COMMANDS} == set(_VERBS)
    text = reference()
    assert re.findall(r"<code>run.py ([^<]*)</code>", text) == list(COMMANDS)


def test_an_option_stands_there_with_meaning_choices_and_default() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert "| `--users` | How many real users visit the shop; bots come on top. | `1000` |" in rows
    encoder = next(row for row in rows if row.startswith("| `--two-tower.encoder`"))
    assert encoder.endswith("One of `transformer`, `lstm`, `gru`, `rnn`, `bert`. | `transformer` |")
    decay = next(row for row in rows if row.startswith("| `--fit.decay`"))
    assert "`--fit.no-decay`" in decay
    assert decay.endswith("| yes |")
    assert any(row.startswith("| `FORMAT` | Layout of the files. One of `generic`,") for row in rows)
    assert all(row.count(" | ") == 2 for row in rows)


def test_settings_that_several_verbs_share_are_listed_once() -> None:
    text = reference()
    assert text.count("| `--split.method` |") == 1
    assert "And `--cleaning.*`, `--split.*`, `--filters.*`, `--features.*`, as for `train`." in text
