"""The command line: one verb per step, made from the configuration dataclasses; every field is an option.

`--config FILE` takes the settings of an earlier run (its config.json), `--preset NAME` a named set of them; options
given beside them win. Bad input ends in one line and exit code 2.
"""

import errno
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import tyro

from recsys_tf.commands import (
    AdsCommand,
    AttackCommand,
    BenchmarkCommand,
    EvaluateCommand,
    ExportCommand,
    ForgetCommand,
    ImportCommand,
    PrepareCommand,
    RecommendCommand,
    RiskCommand,
    ServiceCommand,
    TablesCommand,
    TutorialCommand,
)
from recsys_tf.config import Preset, ServeConfig, SimulateConfig, TrainConfig, preset
from recsys_tf.config_json import from_json
from recsys_tf.errors import InputError

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, or 2 after one line that says what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verb = given[0] if given else "--help"
    if verb not in _VERBS:
        print(_usage(), file=sys.stdout if verb in ("-h", "--help") else sys.stderr)
        return 0 if verb in ("-h", "--help") else 2
    try:
        _VERBS[verb](given[1:])
    except InputError as error:
        return _refuse(verb, str(error))
    except KeyboardInterrupt:
        return _refuse(verb, "stopped by Ctrl-C; nothing half-written is left behind")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        full = " (nothing half-written is left behind)" if error.errno == errno.ENOSPC else ""
        return _refuse(verb, f"{place}{error.strerror or error}{full}")
    return 0


def _refuse(verb: str, why: str) -> int:
    print(f"run.py {verb}: {' '.join(why.split())}", file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [f"  {verb:<10} {(action.__doc__ or '').splitlines()[0]}" for verb, action in _VERBS.items()]
    return "\n".join(
        ["usage: python run.py VERB [options]", "", *lines, "", "`python run.py VERB --help` lists a verb's options."]
    )


def _parse(verb: str, kind: Callable[..., T], arguments: list[str], default: T | None = None) -> T:
    options: dict[str, Any] = {} if default is None else {"default": default}
    parsed: T = tyro.cli(kind, args=arguments, prog=f"run.py {verb}", **options)
    return parsed


def _take_option(arguments: list[str], name: str) -> tuple[list[str], str | None]:
    """Take `--name VALUE` or `--name=VALUE` out of the arguments: it decides the defaults of all the others."""
    rest, value = [], None
    waiting = iter(arguments)
    for argument in waiting:
        if argument == f"--{name}":
            value = next(waiting, None)
            if value is None:
                raise InputError(f"--{name} needs a value")
        elif argument.startswith(f"--{name}="):
            value = argument.partition("=")[2]
        else:
            rest.append(argument)
    return rest, value


def _train_config(arguments: list[str]) -> TrainConfig:
    arguments, file = _take_option(arguments, "config")
    arguments, name = _take_option(arguments, "preset")
    if file is not None and name is not None:
        raise InputError("--config and --preset exclude each other")
    default = TrainConfig()
    if name is not None:
        if name not in get_args(Preset):
            raise InputError(f"unknown preset {name!r}; known are {', '.join(get_args(Preset))}")
        default = preset(cast(Preset, name))
    if file is not None:
        default = _read_config(Path(file))
    return _parse("train", TrainConfig, arguments, default)


def _read_config(path: Path) -> TrainConfig:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"no JSON ({error})", file=path) from error
    if not isinstance(values, dict):
        raise InputError("no JSON object", file=path)
    return from_json(TrainConfig, values, path)


def _simulate(arguments: list[str]) -> None:
    """Simulate a shop: a raw log, an item table, and the truth about both."""
    from recsys_tf.events.simulator import simulate, write_simulation

    config = _parse("simulate", SimulateConfig, arguments)
    simulation = simulate(config)
    write_simulation(simulation, config.output)
    print(f"{len(simulation.lines):,} rows in {config.output}/user_behavior_data.csv, the truth beside it")


def _import(arguments: list[str]) -> None:
    """Clean a raw log into the two tables, with a quality report and every rejected row."""
    from recsys_tf.importing import import_raw

    command = _parse("import", ImportCommand, arguments)
    import_raw(
        command.format,
        command.files,
        _pairs("columns", command.columns),
        _pairs("behaviors", command.behaviors),
        command.cleaning,
        command.output,
        command.publish,
    )


def _pairs(option: str, text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for name, equals, value in pairs:
        if not (name.strip() and equals and value.strip()):
            wanted = "ours=theirs,…" if option == "columns" else "theirs=ours,…"
            raise InputError(f"--{option} wants {wanted}, not {text!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _prepare(arguments: list[str]) -> None:
    """Split, filter, fit and write sequences for training."""
    from recsys_tf.workflow import prepare_data

    command = _parse("prepare", PrepareCommand, arguments)
    config = TrainConfig(
        data=command.data,
        cleaning=command.cleaning,
        split=command.split,
        filters=command.filters,
        features=command.features,
    )
    prepare_data(config, command.output)


def _train(arguments: list[str]) -> None:
    """Clean, split, prepare, train, evaluate and export: from a raw log to a servable model."""
    arguments, head = _take_option(arguments, "head")
    if head is not None:
        _train_head(head, arguments)
        return
    from recsys_tf.workflow import train

    train(_train_config(arguments))


def _train_head(name: str, arguments: list[str]) -> None:
    if name not in _HEADS:
        raise InputError(f"unknown head {name!r}; known are {', '.join(_HEADS)}")
    _HEADS[name](arguments)


def _train_risk(arguments: list[str]) -> None:
    from recsys_tf.risk_head import train_risk
    from recsys_tf.training.runs import chosen_run

    command = _parse("train --head risk", RiskCommand, arguments)
    train_risk(chosen_run(command.run), command.risk, command.publish)


def _train_service(arguments: list[str]) -> None:
    from recsys_tf.service_head import train_service
    from recsys_tf.training.runs import chosen_run

    command = _parse("train --head service", ServiceCommand, arguments)
    train_service(chosen_run(command.run), command.service, command.publish)


def _train_ads(arguments: list[str]) -> None:
    from recsys_tf.ads_head import train_ads
    from recsys_tf.training.runs import chosen_run

    command = _parse("train --head ads", AdsCommand, arguments)
    train_ads(chosen_run(command.run), command.ads, command.publish)


_HEADS: dict[str, Callable[[list[str]], None]] = {"ads": _train_ads, "risk": _train_risk, "service": _train_service}


def _evaluate(arguments: list[str]) -> None:
    """Measure a run beside simple rules and write its report."""
    from recsys_tf.workflow import evaluate

    command = _parse("evaluate", EvaluateCommand, arguments)
    evaluate(command.run, command.evaluate, command.publish)


def _attack(arguments: list[str]) -> None:
    """Try to tell from the model's surprise who it was trained on (membership inference)."""
    from recsys_tf.membership_attack import attack_run
    from recsys_tf.training.runs import chosen_run

    command = _parse("attack", AttackCommand, arguments)
    attack_run(chosen_run(command.run), command.attack, command.publish)


def _export(arguments: list[str]) -> None:
    """Publish a run as the next version of a SavedModel."""
    from recsys_tf.workflow import export

    command = _parse("export", ExportCommand, arguments)
    export(command.run, command.export)


def _forget(arguments: list[str]) -> None:
    """Take a user out of tables, prepared data and runs, and name what must be trained again."""
    from recsys_tf.forgetting import forget_user

    command = _parse("forget", ForgetCommand, arguments)
    forget_user(command.user, command.user_key_file, command.data, command.models)


def _serve(arguments: list[str]) -> None:
    """Serve exported models over TensorFlow Serving's REST paths."""
    from recsys_tf.serving.model_server import serve

    serve(_parse("serve", ServeConfig, arguments))


def _recommend(arguments: list[str]) -> None:
    """Answer for one history on the command line."""
    from recsys_tf.workflow import print_recommendation

    command = _parse("recommend", RecommendCommand, arguments)
    if command.k < 1:
        raise InputError(f"k is {command.k}; it must be at least 1")
    items, behaviors = _listed(command.history), _listed(command.behaviors)
    print_recommendation(command.model, items, behaviors, command.k, command.server)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _benchmark(arguments: list[str]) -> None:
    """Measure speed and memory beside a reference."""
    from recsys_tf.benchmarks.data import benchmark_data
    from recsys_tf.benchmarks.serving import benchmark_serving
    from recsys_tf.benchmarks.training import benchmark_training

    command = _parse("benchmark", BenchmarkCommand, arguments)
    match command.what:
        case "data":
            benchmark_data(command.events, command.publish)
        case "training":
            benchmark_training(command.data, command.steps, command.publish)
        case "serving":
            benchmark_serving(command.model, command.publish)


def _tables(arguments: list[str]) -> None:
    """Make the tables of the README and of the page of figures."""
    from recsys_tf.results.tables import write_tables

    for page in _parse("tables", TablesCommand, arguments).pages:
        write_tables(page)


def _tutorial(arguments: list[str]) -> None:
    """Run the tutorial's chapters, refresh them, or write them as notebooks or a site."""
    from recsys_tf.tutorial.follow import follow_tutorial, write_tutorial

    command = _parse("tutorial", TutorialCommand, arguments)
    if command.notebook is None and command.html is None:
        follow_tutorial(command.refresh, command.chapters, command.workplace)
    else:
        write_tutorial(command.notebook, command.html)


_VERBS: dict[str, Callable[[list[str]], None]] = {
    "simulate": _simulate,
    "import": _import,
    "prepare": _prepare,
    "train": _train,
    "evaluate": _evaluate,
    "attack": _attack,
    "export": _export,
    "serve": _serve,
    "recommend": _recommend,
    "forget": _forget,
    "benchmark": _benchmark,
    "tables": _tables,
    "tutorial": _tutorial,
}
