"""The tables of the attack on our own model: who was trained on, and what the remedies are worth."""

from recsys_tf.results.files import read_result
from recsys_tf.results.markdown import Result, interval, made_by, markdown_table

_RUNS = {
    "attack-none": "no remedy: 100 epochs, no dropout, no clipping",
    "attack-dropout": "dropout alone, all 100 epochs",
    "attack-stopping": "early stopping alone, of 100 epochs",
    "attack-default": "**the default recipe: dropout, clipping, at most 30 epochs**",
    "attack-noise": "the default recipe, and noise of 0.001 clipping norms",
}
_LOSS, _CALIBRATED = "loss: the model is not surprised", "loss, less what popularity explains"
_KNOWN, _POPULARITY = "items that the model has an id for", "popularity alone, which cannot know"
_EVERYBODY = "everybody"


def membership() -> str:
    """What a threshold on the loss tells of who was trained on, and what each remedy costs."""
    results = _read()
    rows = []
    for name, result in results.items():
        attacks = result["groups"][_EVERYBODY]["attacks"]
        figures = [interval(attacks[_LOSS]["auc"]), interval(attacks[_LOSS]["advantage"])]
        rows.append(
            [
                _RUNS[name],
                *figures,
                interval(attacks[_CALIBRATED]["auc"]),
                interval(result["quality"]["NDCG@10"]),
            ]
        )
    header = ["embedded log", "loss: ROC AUC", "advantage", "less popularity: ROC AUC", "NDCG@10"]
    everybody = results["attack-default"]["groups"][_EVERYBODY]
    attacks = everybody["attacks"]
    note = (
        f"{everybody['members']:,} members and {everybody['held_out']:,} held-out users; an advantage below "
        f"{attacks[_LOSS]['by_chance']:.3f} is within chance. Popularity, which cannot know: ROC AUC "
        f"{interval(attacks[_POPULARITY]['auc'])}. Whether all items have an id in the model: "
        f"{interval(attacks[_KNOWN]['auc'])}. {made_by(list(results.values()))}"
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def membership_by_length() -> str:
    """ROC AUC of the loss threshold by length of history, for every remedy."""
    results = _read()
    groups = results["attack-default"]["groups"]
    rows = [
        [
            name,
            f"{groups[name]['members']:,} + {groups[name]['held_out']:,}",
            *(interval(result["groups"][name]["attacks"][_LOSS]["auc"]) for result in results.values()),
        ]
        for name in groups
    ]
    titles = [_RUNS[name].strip("*").partition(":")[0].partition(",")[0] for name in results]
    titles[-1] = "and noise"
    header = ["loss: ROC AUC, by training events", "members + held out", *titles]
    return f"{markdown_table(header, rows)}\n\n{made_by(list(results.values()))}"


def _read() -> dict[str, Result]:
    return {name: read_result(name) for name in _RUNS}
