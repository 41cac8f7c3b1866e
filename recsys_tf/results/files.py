"""Write and read the result files that the README's tables are made from."""

import json
from pathlib import Path
from typing import Any

from recsys_tf.environment import describe_environment
from recsys_tf.errors import InputError
from recsys_tf.publishing import published_file

DIRECTORY = Path(__file__).parent


def publish_result(name: str, figures: dict[str, Any]) -> Path:
    """Write <results>/<name>.json: the figures, and the command, machine, versions and commit that made them."""
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{name!r} is no name for a result: letters, digits, - and _ only")
    path = DIRECTORY / f"{name}.json"
    text = json.dumps({**describe_environment(), **figures}, indent=1, ensure_ascii=False, allow_nan=False)
    with published_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return path


def read_result(name: str) -> dict[str, Any]:
    """Read a published result. Raises InputError when there is none of that name."""
    path = DIRECTORY / f"{name}.json"
    if not path.is_file():
        raise InputError("no such published result", file=path)
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result
