"""The README's reference of commands and options, made from the same dataclasses as the command line."""

import argparse
import inspect
import re
import warnings
from typing import Any, get_args

import tyro

from recsys_tf.commands import COMMANDS
from recsys_tf.config import Preset

_DEFAULT = re.compile(r" ?\((?:default|required|optional|repeatable)[^()]*(?:\([^()]*\)[^()]*)*\)$")
_WHOLE = "train"  # the verb whose options hold every group of settings


def reference() -> str:
    """List every verb with what it does, its options, their meaning and their defaults."""
    return "\n\n".join(_verb(verb, kind) for verb, kind in COMMANDS.items())


def _verb(verb: str, kind: type[Any]) -> str:
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    rows, groups = [], []
    for action in _actions(kind):
        group = _group(action)
        if group and verb != _WHOLE:
            groups.append(group)
        else:
            rows.append(f"| {_name(action)} | {_meaning(action)} | {_default(action)} |")
    table = "\n".join(["| option | meaning | default |", "| --- | --- | --- |", *rows])
    named = ", ".join(f"`--{group}.*`" for group in dict.fromkeys(groups))
    also = f"\n\nAnd {named}, as for `{_WHOLE}`." if named else ""
    if verb == _WHOLE:
        presets = " | ".join(get_args(Preset))
        also = f"\n\nAnd `--preset {presets}` or `--config FILE` (a run's), which these options override."
    title = f"<summary><code>run.py {verb}</code>: {summary}</summary>"
    return f"<details>\n{title}\n\n{table}{also}\n\n</details>"


def _actions(kind: type[Any]) -> list[argparse.Action]:
    with warnings.catch_warnings():
        # tyro will drop its argparse door one day; its version is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        parser = tyro.extras.get_parser(kind)
    return [action for action in parser._actions if "--help" not in action.option_strings]


def _group(action: argparse.Action) -> str:
    option = next(iter(action.option_strings), "").removeprefix("--")
    return option.partition(".")[0] if "." in option else ""


def _name(action: argparse.Action) -> str:
    names = action.option_strings or [action.dest.upper()]
    return "<br>".join(f"`{name}`" for name in names)


def _meaning(action: argparse.Action) -> str:
    text = " ".join((action.help or "").replace("%%", "%").split())
    while (shorter := _DEFAULT.sub("", text)) != text:
        text = shorter
    names = re.fullmatch(r"\{([^{}]+)\}", str(action.metavar))
    choices = f" One of {', '.join(f'`{name}`' for name in names[1].split(','))}." if names else ""
    return f"{text}{choices}".replace("|", "\\|").replace("<", "&lt;")


def _default(action: argparse.Action) -> str:
    text = " ".join((action.help or "").split())
    found = re.search(r"\(default: (.*)\)$", text)
    if found is None:
        return "needed" if "(required)" in text else ""
    value = found.group(1)
    match value:
        case "''" | "None" | "":
            return ""
        case "True" | "False":
            return "yes" if value == "True" else "no"
    return f"`{value}`"
