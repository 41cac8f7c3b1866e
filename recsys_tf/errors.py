"""The one error that a user is shown, as one line, with exit code 2."""


class InputError(Exception):
    """Input that cannot be used, named by file, row and column as far as they are known.

    `str(error)` is the single line that the command line prints: "file.csv, row 7, column price: …".
    """

    def __init__(self, message: str, *, file: object = None, row: int | None = None, column: str | None = None) -> None:
        place = [str(file)] if file is not None else []
        if row is not None:
            place.append(f"row {row}")
        if column is not None:
            place.append(f"column {column}")
        text = f"{', '.join(place)}: {message}" if place else message
        super().__init__(" ".join(text.split()))
