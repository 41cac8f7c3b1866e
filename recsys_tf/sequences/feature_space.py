"""Everything that was fitted on the training side, as one object that models and SavedModels are built from."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from recsys_tf.errors import InputError
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.scalers import LogScaler
from recsys_tf.sequences.vocabularies import Vocabulary


@dataclass(frozen=True)
class FeatureSpace:
    """Vocabularies, catalogue and scalers; it holds no user and no event."""

    items: Vocabulary
    categories: Vocabulary
    behaviors: Vocabulary
    devices: Vocabulary
    word_vocabulary: Vocabulary
    catalogue: Catalogue
    price_scaler: LogScaler
    gap_scaler: LogScaler
    # Events that a model sees at most.
    max_length: int
    # Tokens of a query or title that are kept: its words first, then its n-grams.
    words: int
    # Length of the character n-grams; 0 = words only.
    ngrams: int

    def save(self, directory: Path) -> None:
        """Write vocabularies as text, the catalogue as Parquet and scalers as JSON into `directory`."""
        for vocabulary in (self.items, self.categories, self.behaviors, self.devices, self.word_vocabulary):
            vocabulary.save(directory)
        self.catalogue.save(directory)
        scalers = {
            "price": dataclasses.asdict(self.price_scaler),
            "gap_seconds": dataclasses.asdict(self.gap_scaler),
            "max_length": self.max_length,
            "words": self.words,
            "ngrams": self.ngrams,
        }
        (directory / "scalers.json").write_text(json.dumps(scalers, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> "FeatureSpace":
        """Read what `save` wrote. Raises InputError when a file is missing or damaged."""
        path = directory / "scalers.json"
        if not path.is_file():
            raise InputError("the fitted features are missing; prepare the data again", file=path)
        try:
            scalers = json.loads(path.read_text(encoding="utf-8"))
            price, gap = LogScaler(**scalers["price"]), LogScaler(**scalers["gap_seconds"])
            max_length, words, ngrams = (int(scalers[name]) for name in ("max_length", "words", "ngrams"))
            if ngrams < 0:
                raise ValueError(f"ngrams is {ngrams}, less than 0")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"this is not what was written here ({error})", file=path) from error
        return cls(
            items=Vocabulary.load(directory, "items"),
            categories=Vocabulary.load(directory, "categories"),
            behaviors=Vocabulary.load(directory, "behaviors"),
            devices=Vocabulary.load(directory, "devices"),
            word_vocabulary=Vocabulary.load(directory, "words"),
            catalogue=Catalogue.load(directory),
            price_scaler=price,
            gap_scaler=gap,
            max_length=max_length,
            words=words,
            ngrams=ngrams,
        )
