"""Every setting of every step, as typed dataclasses: one comment per field, one command-line option per field."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

Target = Literal["next_category", "next_behavior", "next_item", "will_purchase"]
Inputs = Literal["events", "token", "numeric"]
ModelChoice = Literal["classifier", "two_tower", "all"]
Encoder = Literal["transformer", "lstm", "gru", "rnn", "bert"]
Loss = Literal["in_batch", "sampled", "full", "gbce"]
Preset = Literal["default", "article", "quick"]


@dataclass(frozen=True)
class SimulateConfig:
    """Simulate a shop: a raw log, an item table and the truth about both; the defaults made the embedded log."""

    # How many real users visit the shop; bots come on top.
    users: int = 1000
    # How many items the catalogue holds by the last day.
    items: int = 2000
    # Length of the log in days.
    days: int = 60
    # Seed of everything random: the same seed writes the same bytes.
    seed: int = 7
    # Number of item categories (article section 4.3 says 100).
    categories: int = 100
    # Numbers in the simulated picture of an item, in column vector of the item table; 0 leaves pictures out.
    picture_size: int = 0
    # Share of all users that are bots.
    bot_share: float = 0.02
    # Share of the rows that are exact or near-simultaneous copies.
    duplicate_share: float = 0.01
    # Share of the rows that are malformed.
    malformed_share: float = 0.005
    # Where the log, the item table and the truth are written.
    output: Path = Path("data")


@dataclass(frozen=True)
class CleaningConfig:
    """Rules that decide which rows of a raw log are kept; none of them is fitted to data."""

    # The same user, item, query and behaviour within this many milliseconds is a duplicate; 0 = exact copies only.
    duplicate_window_ms: int = 1000
    # Earliest believable time (ISO 8601, UTC); earlier rows are rejected.
    earliest: str = "1990-01-01"
    # Latest believable time (ISO 8601, UTC); later rows are rejected.
    latest: str = "2100-01-01"
    # A row without a time: "delete" rejects it, "interpolate" places it between its user's neighbouring positions.
    missing_timestamp: Literal["delete", "interpolate"] = "delete"
    # A row without a device: "keep" leaves it empty (its own vocabulary entry), "delete" rejects it.
    missing_device: Literal["keep", "delete"] = "keep"
    # Events of one user at one and the same time: "log" keeps the file's order, "hash" draws one that says nothing.
    simultaneous_order: Literal["log", "hash"] = "log"
    # Item codes that are no products (postage, fees, test rows), as regular expressions matched on the whole code.
    non_products: tuple[str, ...] = ()
    # A file with a secret key of 16 bytes or more, outside of the data: every user id of a raw log becomes a keyed
    # hash, and rejected rows withhold their values.
    user_key_file: Annotated[Path | None, tyro.conf.arg(prefix_name=False)] = None


@dataclass(frozen=True)
class SplitConfig:
    """How the log is divided into training, validation and test; always before anything is fitted."""

    # "temporal" cuts at two times; "leave_one_out" tests on each user's last event, validates on the last but one;
    # "leave_new_item_out" does so with the last two events whose item the user had not met before.
    method: Literal["temporal", "leave_one_out", "leave_new_item_out"] = "temporal"
    # Share of the events, in order of time, that forms the validation window (temporal only).
    validation_share: float = 0.10
    # Share of the events, in order of time, that forms the test window (temporal only).
    test_share: float = 0.15
    # When the test window begins (ISO 8601, UTC), in place of its share (temporal only).
    test_from: str = ""


@dataclass(frozen=True)
class FilterConfig:
    """Filters fitted on the training events."""

    # Users with fewer training events are left out of training (k-core, repeated until stable).
    user_core: int = 1
    # Items with fewer training events are left out of training (k-core, repeated until stable).
    item_core: int = 1
    # Leave out users who look like bots: flagged by IsolationForest and far from every cluster of ordinary users.
    drop_bots: bool = True
    # Share of users that IsolationForest may flag.
    bot_contamination: float = 0.05
    # Share of the users who take no part in preparation at all; `attack` compares those trained on with them.
    held_out_users: float = 0.0
    # Seed of IsolationForest, of the clustering, and of who is held out.
    seed: int = 0


@dataclass(frozen=True)
class FeatureConfig:
    """Vocabularies, scalers and lengths, fitted on the training events."""

    # Events a model sees at most; the newest ones are kept.
    max_length: int = 50
    # Tokens of a query or title that are kept: its words first, then its n-grams.
    words: int = 24
    # Length of the character n-grams beside each word, by which a misspelt query finds its way; 0 = words only.
    ngrams: int = 3
    # An item needs this many training events to get an id of its own.
    item_min_count: int = 1
    # A word or n-gram needs this many occurrences in training (queries, titles) to get an id of its own.
    word_min_count: int = 2
    # An item, category, device, word or n-gram needs this many different users in training to get an id of its own, and
    # so does what follows what in the mixture; 1 = no such limit.
    min_users: int = 1
    # What a device means: "joined" is one sequence of all devices of a user, "hidden" the same without knowing which,
    # "apart" a sequence for each device.
    devices: Literal["joined", "hidden", "apart"] = "joined"
    # Read the words of the items' titles.
    titles: bool = True
    # Use the vectors of the item table, where it has any (pictures, texts that something else has read).
    vectors: bool = True
    # Number of price buckets (equal shares of the training items).
    price_buckets: int = 10
    # An item without a price gets this statistic of the training items (article 10.3), or its events are left out.
    missing_price: Literal["median", "mean", "mode", "delete"] = "median"
    # An item without a category gets an entry "unknown", the most frequent category, or its events are left out.
    missing_category: Literal["unknown", "mode", "delete"] = "unknown"
    # Number of TFRecord shards; 0 chooses one per 10,000 users.
    shards: int = 0


@dataclass(frozen=True)
class ClassifierConfig:
    """The article's classifier (sections 3.2.2, 4.3 and 5.2)."""

    # What is predicted about the user's next event.
    target: Target = "next_category"
    # "events" embeds every feature of an event, "token" one integer per event (5.2), "numeric" feeds numbers (4.3).
    inputs: Inputs = "events"
    # Width of an event's embedding (the listing's embedding_size).
    embedding_size: int = 128
    # Width of each LSTM layer, first to last (section 5.5 says to tune both number and width).
    lstm_units: tuple[int, ...] = (128, 64)
    # Share of the inputs of each layer that is dropped in training; the listing has none.
    dropout: float = 0.4
    # Share of the events whose item is hidden in training, so that rare and new items lean on their other features.
    item_dropout: float = 0.8
    # "will_purchase": a purchase among this many next events counts.
    purchase_horizon: int = 10
    # Train on every position of a sequence in one pass; without it one label per sequence, as in the listing.
    every_position: bool = True


@dataclass(frozen=True)
class TwoTowerConfig:
    """The two-tower retrieval model: who is asked (query tower) and what is found (candidate tower)."""

    # The sequence encoder of the query tower; "bert" sees both sides of a hidden event, all others only the past.
    encoder: Encoder = "transformer"
    # Width of every vector: events, hidden states, queries and candidates.
    width: int = 64
    # Layers of the encoder.
    layers: int = 2
    # Attention heads (transformer and bert).
    heads: int = 2
    # Width of the feed-forward part of an attention block, in widths of the model.
    feed_forward: int = 4
    # Add a learned bias by distance to the attention, per head.
    relative_bias: bool = False
    # Share of the hidden values that is dropped in training.
    dropout: float = 0.5
    # Share of the items whose id is hidden in training, in both towers, so that the other features must place them.
    item_dropout: float = 0.1
    # Share of the training sequences in which device and times are hidden.
    context_dropout: float = 0.1
    # Share of the training sequences that are asked for any next event, not for one of the behaviour that came.
    any_behavior: float = 0.5
    # Train on next items that are new to their user only: right where repeats are removed before ranking.
    new_items_only: bool = False
    # bert: share of the events that are hidden in training, each to be guessed from both sides.
    masked_share: float = 0.3
    # "full" compares with the whole catalogue, "sampled" and "gbce" with drawn items, "in_batch" with the batch's own.
    loss: Loss = "full"
    # Compare directions only: query and candidate vectors have length 1.
    normalise: bool = False
    # Scores are divided by this; 0.05 to 0.1 suits vectors of length 1.
    temperature: float = 1.0
    # Items drawn per step, shared by all of its positions (sampled, gbce, and in_batch with mixed negatives).
    negatives: int = 512
    # How likely an item is drawn: all alike, or by its share of the training events.
    negative_sampling: Literal["uniform", "popularity"] = "uniform"
    # Negatives of both kinds: drawn ones and the other targets of the batch (sampled, in_batch).
    mixed_negatives: bool = False
    # gbce: 1 corrects the overconfidence of sampling fully, 0 is plain binary cross-entropy (gSASRec, section 4).
    gbce_t: float = 0.75
    # in_batch: positions that are asked per sequence and step.
    positions_per_sequence: int = 8
    # Mix the towers with counted transitions and the user's own items, where validation says that it helps.
    mixture: bool = True
    # Weights of the mixture (towers, transitions, recent, frequent, searched, newest) that another run has found;
    # empty: they are chosen on the validation side.
    mixture_weights: tuple[float, ...] = ()
    # full: positions whose scores of the whole catalogue stand in memory at once.
    chunk: int = 256


@dataclass(frozen=True)
class FitConfig:
    """Training."""

    # Passes over the training data at most.
    epochs: int = 40
    # Sequences per step.
    batch_size: int = 16
    # Adam's learning rate after the warm-up.
    learning_rate: float = 4e-3
    # Share of the steps over which the learning rate rises from 0 to its full value.
    warmup_share: float = 0.05
    # Let the learning rate fall along a cosine after the warm-up; without it the rate is constant, as in the listing.
    decay: bool = True
    # Largest norm of a step's gradient; 0 leaves it alone.
    clip_norm: float = 1.0
    # Deviation of the Gaussian noise on every number of the clipped gradient, in units of clip_norm; 0 adds none. The
    # batch's gradient is clipped, not each example's, so this gives no guarantee of differential privacy.
    gradient_noise: float = 0.0
    # Epochs without a better validation result before training stops.
    patience: int = 6
    # Which epoch's weights are kept: the best on the validation side, or the last, however much it has learnt by heart.
    keep: Literal["best", "last"] = "best"
    # Average the weights over about 1 / (1 - this) steps and keep the average; 0 keeps the last step's weights.
    weight_averaging: float = 0.0
    # Compute in bfloat16 where the device is made for it, with losses and weights in float32.
    mixed_precision: bool = False
    # Compile the training step by XLA; sequences are then padded to one length.
    xla: bool = False
    # Two-tower: "all" trains on every GPU of this machine at once (without one: on every logical processor), a batch
    # shared out among them; "one" on the first.
    devices: Literal["one", "all"] = "one"
    # At most this many minutes; 0 sets no limit.
    max_minutes: float = 0.0
    # Two-tower: validation events that are ranked after each epoch at most, spread evenly; 0 ranks all.
    validation_queries: int = 25_000
    # Seed of initial weights, dropout and the order of the data.
    seed: int = 1


def two_tower_fit() -> FitConfig:
    """Return how the two-tower model is trained unless said otherwise."""
    return FitConfig(epochs=30, batch_size=64, learning_rate=1e-3)


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation on the test side, over the whole catalogue."""

    # Cut-offs of the ranking metrics.
    ks: tuple[int, ...] = (1, 5, 10, 20)
    # Remove items that the user already had before ranking (right where users never repeat an item).
    remove_seen: bool = False
    # Events that a user must have had before an event for the latter to be a question; 1 leaves out new users.
    min_history: int = 0
    # Resamples of users behind each 95 % interval.
    bootstrap_samples: int = 1000
    # Test events that are scored at most, drawn with the seed; 0 scores all.
    max_queries: int = 50_000
    # Folders of other runs on the same prepared data, whose two-tower models answer the same questions, row by row.
    beside: tuple[Path, ...] = ()
    # Two-tower: questions whose explanations are put to the test, drawn with the seed; 0 tests none.
    explained: int = 0
    # Two-tower: questions that are asked again with less of the history, drawn with the seed, to learn what the last
    # click is worth; 0 leaves it out.
    last_click: int = 2000
    # Ask the simulator's judge how likely the users are to click and buy what they are shown (simulated logs only).
    online: bool = False
    # Seed of the resampling.
    seed: int = 0


@dataclass(frozen=True)
class AdsConfig:
    """The ads head: how likely an item that is shown is clicked on, or bought."""

    # The ad log: user_id, timestamp (ms), item_id, clicked, purchased (0 or 1); empty means exposures.csv.gz beside the
    # log of the run.
    exposures: str = ""
    # What is predicted of an exposure.
    event: Literal["clicked", "purchased"] = "clicked"
    # The curve that turns scores into true probabilities, fitted on the validation window.
    calibration: Literal["platt", "isotonic"] = "platt"
    # Users of a seed set whose like are looked for.
    seeds: int = 5
    # Resamples of users behind each 95 % interval.
    bootstrap_samples: int = 1000
    # Seed of the seed sets and of the resampling.
    seed: int = 0


@dataclass(frozen=True)
class RiskConfig:
    """The risk head: which accounts do not behave like their owner, or like any customer."""

    # Newest events of a history whose surprise counts, and which are forged where an account is taken over.
    recent: int = 10
    # Trees of the isolation forest.
    trees: int = 200
    # Resamples of users behind each 95 % interval.
    bootstrap_samples: int = 1000
    # Seed of the forest, of who takes over whose account, and of the resampling.
    seed: int = 0


@dataclass(frozen=True)
class ServiceConfig:
    """The service head: why a user gets in touch with customer service, and what to answer."""

    # The contacts: user_id, timestamp, reason, words; empty means contacts.csv beside the log of the run.
    contacts: str = ""
    # The answers: reason, en, zh; empty means those of the simulated shop.
    answers: str = ""
    # Resamples of users behind each 95 % interval.
    bootstrap_samples: int = 1000
    # Seed of the resampling.
    seed: int = 0


@dataclass(frozen=True)
class AttackConfig:
    """The attack on a run's own model: can it be told whom it was trained on?"""

    # Training events from which on a user belongs to the next group, by length of history.
    lengths: tuple[int, ...] = (10, 30, 100)
    # Resamples of users behind each 95 % interval, and shuffles behind what chance alone would give.
    bootstrap_samples: int = 1000
    # Seed of the resampling and of the shuffles.
    seed: int = 0


@dataclass(frozen=True)
class ExportConfig:
    """The SavedModel."""

    # The folder that a server watches; a version is written to <output>/<model name>/<version>/.
    output: Path = Path("saved_models")
    # Labels and items that an answer holds at most.
    max_k: int = 100
    # Two-tower: histories in a batch of embed_ids, a dense half of a fixed shape compiled by XLA, as hosts of TPUs want
    # it, with look_up for the text; 0 leaves both out.
    static_rows: int = 0
    # What the models must reach on the test side to be published, such as "ndcg@10>=0.05"; figures are the report's.
    require: tuple[str, ...] = ()
    # Take the newest version of each model of the run out of service again, instead of publishing.
    rollback: bool = False
    # The terms under which the data may be used, for the model card.
    terms: str = "not stated"


@dataclass(frozen=True)
class ServeConfig:
    """Serve exported models over TensorFlow Serving's interfaces, on this machine."""

    # Models to serve, each NAME=FOLDER with numeric version folders inside.
    model: tuple[str, ...] = ("two_tower=saved_models/two_tower", "classifier=saved_models/classifier")
    # A ModelServerConfig in text form, as TensorFlow Serving reads it, in place of --model.
    model_config_file: Path | None = None
    # Address to listen on; other machines cannot reach the default.
    host: str = "127.0.0.1"
    # Port of the REST interface; 0 picks a free one.
    rest_port: int = 8501
    # Port of the gRPC interface; 0 picks a free one, -1 leaves gRPC out.
    grpc_port: int = 8500
    # Answer requests that arrive together by one run of the model.
    enable_batching: bool = False
    # TensorFlow Serving's batching parameters in text form; without it the defaults.
    batching_parameters_file: Path | None = None
    # Run TensorFlow Serving's image in Docker, with the same models and settings, in place of the local server.
    docker: bool = False
    # The image that --docker runs.
    docker_image: str = "tensorflow/serving:2.19.1"
    # Log every request, and what becomes of models, as one line of JSON each on standard error.
    json_logs: bool = False
    # Show the shop page, a demonstration for the browser, at the server's root.
    demo: bool = True
    # The folder of the tutorial's site (run.py tutorial --html), shown at /tutorial/ beside the shop page.
    tutorial: Path = Path("data/tutorial/html")
    # Seconds between two looks for new versions.
    poll_seconds: float = 1.0
    # Seconds until a request without an answer is told so (504).
    request_timeout_seconds: float = 30.0
    # Largest request in bytes, a REST body after inflating gzip.
    max_body_bytes: int = 100 * 1024 * 1024
    # Most rows of a request.
    max_rows: int = 10_000
    # Most values of one input in a row: events of a history, items that are left out.
    max_values_per_row: int = 100_000


@dataclass(frozen=True)
class TrainConfig:
    """Clean, split, prepare, train, evaluate and export: everything that decides a run, from raw log to SavedModel."""

    # A folder with user_behavior_data.csv and items.csv (cleaned first), or one written by `run.py import`.
    data: Path = Path("data")
    # Which models are trained.
    model: ModelChoice = "all"
    # Where the run is written; empty means a folder in data/runs named after what is trained.
    run: str = ""
    # Cleaning: what is kept of a raw log.
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    # The split into training, validation and test.
    split: SplitConfig = field(default_factory=SplitConfig)
    # Filters fitted on the training side.
    filters: FilterConfig = field(default_factory=FilterConfig)
    # Vocabularies, scalers and lengths, fitted on the training side.
    features: FeatureConfig = field(default_factory=FeatureConfig)
    # The article's classifier.
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    # How the classifier is trained.
    fit: FitConfig = field(default_factory=FitConfig)
    # The two-tower model.
    two_tower: TwoTowerConfig = field(default_factory=TwoTowerConfig)
    # How the two-tower model is trained.
    two_tower_fit: FitConfig = field(default_factory=two_tower_fit)
    # Evaluation on the test side.
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    # The SavedModels.
    export: ExportConfig = field(default_factory=ExportConfig)


def preset(name: Preset) -> TrainConfig:
    """Return the named set of defaults: the best we know, the article's listing, or a short run for checks."""
    match name:
        case "default":
            return TrainConfig()
        case "article":
            return TrainConfig(
                model="classifier",
                classifier=ClassifierConfig(inputs="token", dropout=0.0, item_dropout=0.0, every_position=False),
                fit=FitConfig(
                    epochs=10,
                    batch_size=32,
                    learning_rate=1e-3,
                    warmup_share=0.0,
                    decay=False,
                    clip_norm=0.0,
                    patience=10,
                ),
            )
        case "quick":
            return TrainConfig(
                classifier=ClassifierConfig(embedding_size=32, lstm_units=(32, 32)),
                fit=FitConfig(epochs=3),
                two_tower=TwoTowerConfig(width=32, layers=1),
                two_tower_fit=dataclasses.replace(two_tower_fit(), epochs=3),
                evaluate=EvaluateConfig(bootstrap_samples=200, max_queries=2000, last_click=300),
            )
