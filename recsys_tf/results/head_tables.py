"""The README's tables of what the frozen representation is good for besides recommending."""

from typing import Any

from recsys_tf.results.files import read_result
from recsys_tf.results.markdown import Result, difference, interval, made_by, markdown_table

_RISK = {"embedded-risk": "embedded log", "online-retail-risk": "`online-retail-2009`"}
_TASKS = {"bots": "bots among people", "take_over": "accounts that somebody else went on with"}
_PICTURES = {
    "pictures-neither": "neither",
    "pictures-titles": "titles",
    "pictures-vectors": "pictures",
    "pictures-both": "titles and pictures",
}
_DEVICES = {
    "embedded-default": "one sequence of all devices, the device known",
    "embedded-devices-hidden": "one sequence of all devices, the device not known",
    "embedded-devices-apart": "a sequence for each device",
}
_QUESTIONS = {"unsaid": "before anything is said", "said": "after the first words"}
_TWO_TOWER = "two-tower"


def risk() -> str:
    """How well bots and taken-over accounts are found, by the head's measures and by rules."""
    results = {name: read_result(name) for name in _RISK}
    rows = []
    for task, title in _TASKS.items():
        for name, result in results.items():
            found = result["tasks"].get(task)
            if found is None:
                continue
            rows.append([f"*{title}, {_RISK[name]}, {found['cases']:,} cases*", "", ""])
            rows += [
                [detector, interval(row["auc"]), interval(row["precision"])]
                for detector, row in _highest_first(found["detectors"], "auc")
            ]
    table = markdown_table(["", "ROC AUC", "precision of the 1 % flagged"], rows)
    return f"{table}\n\n{made_by(list(results.values()))}"


def heads() -> str:
    """One line for each head: its figure beside the best rule's and the best there could be."""
    tasks = read_result("embedded-risk")["tasks"]
    bots, taken = (tasks[task]["detectors"] for task in ("bots", "take_over"))
    rules = "categories that are new to the account", "number of events"
    ads_rows = read_result("embedded-ads")["probabilities"]["rows"]
    asked = read_result("embedded-service")["questions"]["unsaid"]
    reasons = {name: interval(asked["rows"][name]["top_1"]) for name in ("service head", asked["plain"], "ceiling")}
    losses = [
        interval(ads_rows[n]["log_loss"], 4)
        for n in ("ads head", "logistic regression on counts", "the truth (simulated)")
    ]
    rows = [
        ["`risk`: bots among people, ROC AUC", interval(bots["surprise"]["auc"]), interval(bots[rules[1]]["auc"]), "–"],
        [
            "`risk`: accounts that somebody else went on with, ROC AUC",
            interval(taken["surprise to the owner's representation"]["auc"]),
            interval(taken[rules[0]]["auc"]),
            "–",
        ],
        ["`ads`: is an item that is shown clicked, log loss", *losses],
        ["`service`: why a user gets in touch, before a word is said, top-1", *reasons.values()],
    ]
    return markdown_table(["embedded log", "head", "counts or rule", "best possible"], rows)


def ads() -> str:
    """How good the ads head's probabilities are, and whether look-alike audiences share the seeds' interest."""
    result = read_result("embedded-ads")
    found = result["probabilities"]
    rows = []
    for name, row in sorted(found["rows"].items(), key=lambda pair: pair[1]["log_loss"]["mean"]):
        error = f"{row['reliability']['expected_calibration_error']:.4f}"
        rows.append([name, interval(row["log_loss"], 4), interval(row["auc"]), error, _ahead(found["ahead"].get(name))])
    header = ["is an ad clicked? embedded log", "log loss", "ROC AUC", "calibration error", "log loss less the head's"]
    audiences = result["audiences"]["precision"]
    alike = [[name, interval(one)] for name, one in sorted(audiences.items(), key=lambda pair: -pair[1]["mean"])]
    return "\n\n".join(
        [
            markdown_table(header, rows),
            markdown_table(["look-alike audiences: users compared by", "precision"], alike),
            f"{found['exposures']:,} exposures of the test window, {found['answers']:,} clicked. {made_by([result])}",
        ]
    )


def service() -> str:
    """How well the reason of a contact is guessed, before and after the user's first words."""
    result = read_result("embedded-service")
    rows = []
    for name, title in _QUESTIONS.items():
        found = result["questions"][name]
        rows.append([f"*{title}, {found['contacts']:,} contacts of {found['users']:,} users*", "", "", ""])
        for one, row in _highest_first(found["rows"], "top_1"):
            rows.append([one, *(interval(row[figure]) for figure in ("top_1", "top_3", "macro_f1"))])
        ahead = difference(found["ahead_of_plain"])
        rows.append([f"the head leads {found['plain']} by", ahead, "", ""])
    table = markdown_table(["why does a user get in touch? embedded log", "top-1", "top-3", "macro F1"], rows)
    return f"{table}\n\n{made_by([result])}"


def last_click() -> str:
    """NDCG@10 of the same questions with less of the history."""
    result = read_result("embedded-default")
    found = result["last_click"]
    rows = [["everything", interval(found["everything"]), "–"]]
    called = {"0": "nothing", "1": "the newest event"}
    named = {called.get(number, f"the newest {number} events"): one for number, one in found["by_number"].items()}
    named |= {"everything but the newest event": found["without_newest"]}
    named |= {f"the history as it stood {age} before": one for age, one in found["by_age"].items()}
    rows += [[name, interval(one["ndcg"]), interval(one["lost"])] for name, one in named.items()]
    table = markdown_table([f"{found['questions']:,} questions, embedded log", "NDCG@10", "all of it adds"], rows)
    return f"{table}\n\n{made_by([result])}"


def devices() -> str:
    """What knowing the device and joining a user's devices are worth."""
    results = {name: read_result(name) for name in _DEVICES}
    rows = [[_DEVICES[name], *_quality(result, _TWO_TOWER)] for name, result in results.items()]
    return f"{markdown_table(['embedded log', 'NDCG@10', 'HR@10'], rows)}\n\n{made_by(list(results.values()))}"


def pictures() -> str:
    """What titles and pictures are worth, for all items and for those that training has not seen."""
    results = {name: read_result(name) for name in _PICTURES}
    rows = []
    for name, result in results.items():
        alone = result["recommenders"][f"{_TWO_TOWER}, without the mixture"]
        new = interval(alone["slices"]["target item"]["new"])
        rows.append([_PICTURES[name], *_quality(result, _TWO_TOWER), interval(alone["intervals"]["NDCG@10"]), new])
    header = [
        "items are known by id, category, price and",
        "NDCG@10",
        "HR@10",
        "towers alone",
        "towers alone, new items",
    ]
    return f"{markdown_table(header, rows)}\n\n{made_by(list(results.values()))}"


def _highest_first(detectors: dict[str, Any], figure: str) -> list[tuple[str, Any]]:
    return sorted(detectors.items(), key=lambda pair: -pair[1][figure]["mean"])


def _ahead(found: dict[str, Any] | None) -> str:
    return "–" if found is None else f"{found['interval']['mean']:+.4f} (p = {found['p_value']:.3f})"


def _quality(result: Result, row: str) -> list[str]:
    figures = result["recommenders"][row]["intervals"]
    return [interval(figures[metric]) for metric in ("NDCG@10", "HR@10")]
