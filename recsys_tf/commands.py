"""What can be said to each verb: its options beside the settings of `config`, one comment per field."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from recsys_tf.config import (
    AdsConfig,
    AttackConfig,
    CleaningConfig,
    EvaluateConfig,
    ExportConfig,
    FeatureConfig,
    FilterConfig,
    RiskConfig,
    ServeConfig,
    ServiceConfig,
    SimulateConfig,
    SplitConfig,
    TrainConfig,
)

# The options of a verb's own configuration need no prefix: `evaluate --online`.
_BARE = tyro.conf.arg(name="")

LogFormat = Literal[
    "generic",
    "retailrocket",
    "online-retail",
    "complete-journey",
    "bestbuy",
    "yoochoose",
    "movielens",
    "sequences",
]


@dataclass(frozen=True)
class ImportCommand:
    """Read a raw log of a known or described layout, clean it, and write the two tables and the quality report."""

    # Layout of the files.
    format: tyro.conf.Positional[LogFormat]
    # Files of the log (CSV, CSV.GZ, Parquet, JSON lines), item files included; they are told apart by their columns.
    files: tyro.conf.Positional[tuple[Path, ...]]
    # Folder to write.
    output: Path
    # Names of the columns in a generic log, as ours=theirs,…: user_id=visitorid,item_id=itemid.
    columns: str = ""
    # Names of the behaviours in the log, as theirs=ours,…: pageview=view,ordered=purchase.
    behaviors: str = ""
    # Also write the account as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # Cleaning: what is kept of a raw log.
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)


@dataclass(frozen=True)
class PrepareCommand:
    """Split a log, fit filters, vocabularies and scalers on its training side, and write TFRecord shards."""

    # A folder with user_behavior_data.csv and items.csv, or one written by `run.py import`.
    data: Path = Path("data")
    # Folder to write.
    output: Path = Path("data/prepared/default")
    # Cleaning: what is kept of a raw log.
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    # The split into training, validation and test.
    split: SplitConfig = field(default_factory=SplitConfig)
    # Filters fitted on the training side.
    filters: FilterConfig = field(default_factory=FilterConfig)
    # Vocabularies, scalers and lengths, fitted on the training side.
    features: FeatureConfig = field(default_factory=FeatureConfig)


@dataclass(frozen=True)
class AdsCommand:
    """Fit the ads head on a finished run's frozen two-tower model and an ad log, and measure it."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # The ads head.
    ads: Annotated[AdsConfig, _BARE] = field(default_factory=AdsConfig)


@dataclass(frozen=True)
class RiskCommand:
    """Fit the risk head on a finished run's frozen two-tower model, and measure it."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # The risk head.
    risk: Annotated[RiskConfig, _BARE] = field(default_factory=RiskConfig)


@dataclass(frozen=True)
class ServiceCommand:
    """Fit the service head on a finished run's frozen two-tower model and contacts with customer service."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # The service head.
    service: Annotated[ServiceConfig, _BARE] = field(default_factory=ServiceConfig)


@dataclass(frozen=True)
class AttackCommand:
    """Try to tell from a finished run's model who it was trained on, beside users who were held out of it."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # The attack.
    attack: Annotated[AttackConfig, _BARE] = field(default_factory=AttackConfig)


@dataclass(frozen=True)
class EvaluateCommand:
    """Measure a finished run on its test side, beside simple rules, and write its report."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""
    # Evaluation on the test side.
    evaluate: Annotated[EvaluateConfig, _BARE] = field(default_factory=EvaluateConfig)


@dataclass(frozen=True)
class ExportCommand:
    """Publish a finished run as the next version of a SavedModel."""

    # The run's folder; empty means the newest in data/runs.
    run: str = ""
    # The SavedModels.
    export: Annotated[ExportConfig, _BARE] = field(default_factory=ExportConfig)


@dataclass(frozen=True)
class RecommendCommand:
    """Ask the newest exported model what one user wants next; no history at all is a new user."""

    # Item ids of the history, oldest first, separated by commas.
    history: str = ""
    # Behaviours of the history, one per item, separated by commas; empty means views.
    behaviors: str = ""
    # How many items (and classes, by a classifier) to answer.
    k: int = 5
    # The exported model's folder, with numeric versions inside; saved_models/classifier is the other one.
    model: Path = Path("saved_models/two_tower")
    # Ask this server, such as http://127.0.0.1:8501, which serves the model under its folder's name.
    server: str = ""


@dataclass(frozen=True)
class ForgetCommand:
    """Take a user out of imported tables, prepared data and runs, and name what learned from them."""

    # The user's id, as the log has it.
    user: tyro.conf.Positional[str]
    # The folder below which everything is looked through.
    data: Path = Path("data")
    # The folder of exported models; those that learned from the user are named.
    models: Path = Path("saved_models")
    # The key file that the log was imported with: the id is hashed first.
    user_key_file: Path | None = None


@dataclass(frozen=True)
class BenchmarkCommand:
    """Measure speed and memory beside a reference in the same run."""

    # What to measure: "data" is reading, cleaning, preparing and feeding; "training" every encoder and loss; "serving"
    # the local server under load.
    what: tyro.conf.Positional[Literal["data", "training", "serving"]]
    # data: events in the simulated log that is measured.
    events: int = 1_000_000
    # training: a folder with prepared data (a run's, say) or with an imported log.
    data: Path = Path("data/runs/all")
    # training: steps that are measured, after a warm-up; 0 measures one epoch.
    steps: int = 0
    # serving: the exported model's folder, with numeric versions inside.
    model: Path = Path("saved_models/two_tower")
    # Also write the figures as one small JSON file for the README's tables: <results>/<name>.json.
    publish: str = ""


@dataclass(frozen=True)
class TablesCommand:
    """Make the tables of the README and of the page of figures anew, from the result files and from the code."""

    # Pages whose tables are written.
    pages: tuple[Path, ...] = (
        Path("README.md"),
        Path("recsys_tf/results/README.md"),
        Path("recsys_tf/tutorial/en/README.md"),
        Path("recsys_tf/tutorial/zh/README.md"),
    )


@dataclass(frozen=True)
class TutorialCommand:
    """Follow the tutorial: run its chapters and compare, refresh what they say, or write them in another form."""

    # Chapters to run, by number; none means all of them.
    chapters: tuple[int, ...] = ()
    # Write into the chapters, in both languages, what their blocks print now, and keep the pictures that they draw.
    refresh: bool = False
    # Run in this folder and leave everything there; empty means a temporary one.
    workplace: Path | None = None
    # Run nothing: write the chapters as notebooks into this folder.
    notebook: Path | None = None
    # Run nothing: write the chapters as an HTML site into this folder; run.py serve shows data/tutorial/html.
    html: Path | None = None


# What each verb takes, for the reference in the README.
COMMANDS: dict[str, type] = {
    "simulate": SimulateConfig,
    "import": ImportCommand,
    "prepare": PrepareCommand,
    "train": TrainConfig,
    "train --head ads": AdsCommand,
    "train --head risk": RiskCommand,
    "train --head service": ServiceCommand,
    "evaluate": EvaluateCommand,
    "attack": AttackCommand,
    "export": ExportCommand,
    "serve": ServeConfig,
    "recommend": RecommendCommand,
    "forget": ForgetCommand,
    "benchmark": BenchmarkCommand,
    "tables": TablesCommand,
    "tutorial": TutorialCommand,
}
