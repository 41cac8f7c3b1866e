"""The folders that a server watches: NAME=FOLDER, with one numeric folder per version inside."""

from collections.abc import Iterable
from pathlib import Path

from recsys_tf.errors import InputError

LARGEST_VERSION = 2**63 - 1


def model_folders(models: Iterable[str]) -> dict[str, Path]:
    """Split each NAME=FOLDER into a name and the absolute path of its folder.

    Raises InputError for anything that is not NAME=FOLDER, a name that no URL can hold, a name that is given twice,
    a folder that does not exist and a folder without a numeric version inside.
    """
    folders: dict[str, Path] = {}
    for text in models:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"{text!r} is not NAME=FOLDER, such as classifier=saved_models/classifier")
        if "/" in name or ":" in name:
            raise InputError(f"the model name {name!r} holds a '/' or a ':', which its URL cannot")
        if name in folders:
            raise InputError(f"the model name {name!r} is given twice")
        path = Path(folder).absolute()
        if not path.is_dir():
            raise InputError("there is no such folder", file=folder)
        if not version_folders(path):
            raise InputError("the folder holds no numeric version such as 1/; export a model first", file=folder)
        folders[name] = path
    if not folders:
        raise InputError("no model to serve was named")
    return folders


def version_folders(folder: Path) -> dict[int, Path]:
    """Return the version folders inside `folder` by their number; "0001" is version 1, other names are ignored.

    Raises OSError when the folder cannot be read.
    """
    numbered = ((path.name, path) for path in sorted(folder.iterdir()) if path.is_dir())
    versions = {int(name): path for name, path in numbered if len(name) <= 19 and name.isascii() and name.isdigit()}
    return {number: path for number, path in versions.items() if number <= LARGEST_VERSION}
