"""The suggested answers of customer service: for each reason a text, in English and in Chinese.

`answers.csv` beside this file is the simulated shop's; a team has its own, of the same columns. What stands in braces
is for the team's system to fill in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recsys_tf.errors import InputError
from recsys_tf.events.reading import read_raw_file

ANSWERS: Final = Path(__file__).with_name("answers.csv")
LANGUAGES: Final = ("en", "zh")

# By reason, the text in each language, in the order of LANGUAGES.
Answers = Mapping[str, tuple[str, str]]


def read_answers(path: Path = ANSWERS) -> dict[str, tuple[str, str]]:
    """Read a table with the columns reason, en and zh; a text may be empty.

    Raises InputError, naming file, row and column, for a table that lacks one of them, or has a row without a reason
    or with one that stood there before.
    """
    raw = read_raw_file(path)
    if len(raw.rejects):
        raise InputError(str(raw.rejects["reason"].iloc[0]), file=path, row=int(raw.rejects["line"].iloc[0]))
    for name in ("reason", *LANGUAGES):
        if name not in raw.rows:
            raise InputError("this column is missing", file=path, row=1, column=name)
    reason, english, chinese = (raw.rows[name].astype("str").str.strip() for name in ("reason", *LANGUAGES))
    for wrong, why in ((reason == "", "missing reason"), (reason.duplicated(), "this reason has an answer already")):
        if wrong.any():
            raise InputError(why, file=path, row=int(raw.line[wrong.to_numpy().argmax()]), column="reason")
    return dict(zip(reason, zip(english, chinese, strict=True), strict=True))
