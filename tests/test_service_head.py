"""`run.py train --head service`: from a finished run to figures, a report, and a signature that a server answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_tf.cli import main
from recsys_tf.evaluation.evaluate import evaluate_run
from recsys_tf.events.contacts import read_contacts
from recsys_tf.heads.answers import read_answers
from recsys_tf.heads.service import ServiceHead
from recsys_tf.sequences.moments import side_of
from recsys_tf.sequences.splits import TEST
from recsys_tf.serving.example_requests import example_requests
from recsys_tf.serving.export import export_model
from recsys_tf.training.fit_service import contact_data, windows_before
from recsys_tf.training.head_data import clean_events, encoded
from recsys_tf.training.runs import Run, head_folder, load_two_tower


@pytest.fixture(scope="module")
def run(head_run: Run) -> Run:
    """The shared run, with the service head on it."""
    assert main(["train", "--head", "service", "--run", str(head_run.directory), "--bootstrap-samples", "20"]) == 0
    return head_run


@pytest.fixture(scope="module")
def contacts(run: Run) -> pd.DataFrame:
    return read_contacts(run.config.data / "contacts.csv")


def sides(run: Run, contacts: pd.DataFrame) -> Any:
    split = run.data.facts["split"]
    return side_of(contacts["timestamp"].to_numpy(), split["validation_from"], split["test_from"])


def test_both_questions_are_answered_beside_rules(run: Run, contacts: pd.DataFrame) -> None:
    report = json.loads((head_folder(run, "service") / "report.json").read_text(encoding="utf-8"))
    side = sides(run, contacts)
    for name, rows in (
        ("unsaid", {"counts without the representation", "representation alone"}),
        ("said", {"counts and words without the representation", "words alone"}),
    ):
        question = report["questions"][name]
        assert question["contacts"] == (side == TEST).sum()
        assert set(question["rows"]) == rows | {"service head", "ceiling", "majority", "last behaviour"}
        for row in question["rows"].values():
            assert 0 <= row["top_1"]["mean"] <= row["top_3"]["mean"] <= 1
    before, after = (report["questions"][name]["rows"]["service head"]["top_1"]["mean"] for name in ("unsaid", "said"))
    majority = report["questions"]["unsaid"]["rows"]["majority"]["top_1"]["mean"]
    assert majority < before < after
    assert sum(report["training_contacts"].values()) == (side == 0).sum()
    page = (head_folder(run, "service") / "report.html").read_text(encoding="utf-8")
    assert "Before the user says anything" in page
    assert (head_folder(run, "service") / "service.png").is_file()


def test_an_event_at_or_after_a_contact_changes_nothing(run: Run, contacts: pd.DataFrame) -> None:
    some = contacts.iloc[::9].reset_index(drop=True)
    events = clean_events(run)
    events = events[events["user_id"].isin(set(some["user_id"]))].reset_index(drop=True)
    # The same user does at the moment of the contact, and a day later, what they have never done.
    added = pd.concat(
        [
            pd.DataFrame({"user_id": some["user_id"], "timestamp": some["timestamp"] + later, "behavior": "purchase"})
            for later in (0, 86_400_000)
        ]
    ).assign(item_id=events.loc[events["item_id"] != "", "item_id"].iloc[0], query="", device="web", side=0)
    forged = pd.concat([events, added.assign(position=10**6)], ignore_index=True)
    forged = forged.sort_values(["user_id", "timestamp", "position"], kind="stable", ignore_index=True)
    changed = 0
    for at in range(len(some)):
        one = some.iloc[[at]].reset_index(drop=True)
        # Events that were added for another contact of the same user may come before this one.
        own = forged[(forged["position"] < 10**6) | (forged["timestamp"] >= one["timestamp"][0])]
        found = [
            windows_before(one, encoded(table.reset_index(drop=True), {one["user_id"][0]}, run.data.space), 20)
            for table in (events, own)
        ]
        for name in found[0]:
            if name != "words":
                assert np.array_equal(found[0][name], found[1][name])
        changed += len(own) - len(events)
    assert changed > len(some)


def test_a_stranger_has_an_empty_history(run: Run, contacts: pd.DataFrame) -> None:
    events = clean_events(run)
    one = pd.DataFrame({"user_id": ["nobody"], "timestamp": [2**41], "reason": ["return"], "words": [""]})
    windows = windows_before(one, encoded(events, {events["user_id"].iloc[0]}, run.data.space), 20)
    assert np.count_nonzero(windows["behavior"]) == 1


def test_the_export_answers_as_the_head_does(run: Run) -> None:
    # export_model itself asks every signature in a process of TensorFlow alone before it publishes.
    folder = export_model(run, "two_tower", run.config.export)
    loaded = tf.saved_model.load(str(folder))
    requests = [one for one in example_requests(run.data, "two_tower", ["intent"]) if one.signature == "intent"]
    assert len(requests) == 3
    head = ServiceHead.load(head_folder(run, "service"), run.data.space)
    answers = read_answers()
    for request in requests:
        inputs: dict[str, Any] = {
            name: tf.constant(values, tf.string) if values.dtype == object else tf.constant(values)
            for name, values in request.inputs.items()
        }
        number = len(request.inputs["item_id"])
        k = np.resize(np.array([2, 100, 1, 0], np.int32), number)
        answer = loaded.signatures["intent"](**(inputs | {"k": tf.constant(k)}))
        assert set(answer) == {"reason", "answer", "answer_zh", "probability"}
        columns = min(max(int(k.max()), 1), len(head.reasons))
        for row in range(number):
            reasons = [one.decode() for one in answer["reason"].numpy()[row]]
            held = min(int(k[row]), len(head.reasons))
            assert len(reasons) == columns
            assert all(reasons[:held])
            assert reasons[held:] == [""] * (columns - held)
            assert (answer["probability"].numpy()[row, held:] == 0).all()
            assert (np.diff(answer["probability"].numpy()[row, :held]) <= 0).all()
            for at, reason in enumerate(reasons[:held]):
                assert answer["answer"].numpy()[row, at].decode() == answers[reason][0]
                assert answer["answer_zh"].numpy()[row, at].decode() == answers[reason][1]


def test_serving_says_what_was_measured(run: Run, contacts: pd.DataFrame) -> None:
    from recsys_tf.serving.export import two_tower_signatures

    test = contacts[sides(run, contacts) == TEST].head(12).reset_index(drop=True)
    events = clean_events(run)
    retrieval = load_two_tower(run)
    side = np.repeat([0, 1, 2], [len(contacts) - 20, 10, 10])
    data = contact_data(
        contacts,
        side,
        encoded(events, set(contacts["user_id"]), run.data.space),
        retrieval,
        retrieval.model.table(),
        run.data.space,
    )
    head = ServiceHead.load(head_folder(run, "service"), run.data.space)
    place = np.flatnonzero(sides(run, contacts) == TEST)[:12]
    asked = two_tower_signatures(run, run.config.export).signatures()["intent"]
    for at, contact in test.iterrows():
        own = events[(events["user_id"] == contact["user_id"]) & (events["timestamp"] < contact["timestamp"])]
        inputs = {
            name: tf.constant([own[name].tolist()], tf.string) for name in ("item_id", "behavior", "query", "device")
        }
        answer = asked(
            **inputs,
            timestamp=tf.constant([own["timestamp"].tolist()], tf.int64),
            contacted=tf.constant([contact["timestamp"]], tf.int64),
            words=tf.constant([""]),
            k=tf.constant([len(head.reasons)]),
        )
        parts = [data.parts[name][place[at]] for name in ("vector", "counts")]  # type: ignore[index]
        expected = head.unsaid(tf.constant(np.concatenate(parts)[None])).numpy()[0]
        found = dict(zip(answer["reason"].numpy()[0], answer["probability"].numpy()[0], strict=True))
        np.testing.assert_allclose([found[reason.encode()] for reason in head.reasons], expected, atol=2e-4)


def test_what_cannot_be_used_is_one_line(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    base = ["train", "--head", "service", "--run", str(run.directory)]
    bad = tmp_path / "contacts.csv"
    bad.write_text("user_id,timestamp,reason,words\nu1,never,late,\n", encoding="utf-8")
    assert main([*base, "--contacts", str(bad)]) == 2
    assert "contacts.csv, row 2, column timestamp: no time: 'never'" in capsys.readouterr().err
    user = clean_events(run)["user_id"].iloc[0]
    bad.write_text(f"user_id,timestamp,reason,words\n{user},2024-01-02,late,\n", encoding="utf-8")
    assert main([*base, "--contacts", str(bad)]) == 2
    assert "1 contacts on the training side" in capsys.readouterr().err
    bad.write_text("user_id,timestamp,reason,words\nnobody,2024-01-02,late,\n", encoding="utf-8")
    assert main([*base, "--contacts", str(bad)]) == 2
    assert "no contact is of a user of the log" in capsys.readouterr().err
    assert main([*base, "--answers", str(tmp_path / "none.csv")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_teams_own_contacts_have_their_own_reasons(
    run: Run, contacts: pd.DataFrame, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = contacts.assign(reason=np.where(contacts["reason"] == "account", "who am I", "other"), words="")
    own.to_csv(tmp_path / "contacts.csv", index=False)
    (tmp_path / "answers.csv").write_text("reason,en,zh\nother,Wait.,请稍候\n", encoding="utf-8")
    kept = head_folder(run, "service")
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    try:
        options = ["--contacts", str(tmp_path / "contacts.csv"), "--answers", str(tmp_path / "answers.csv")]
        assert (
            main(["train", "--head", "service", "--run", str(run.directory), "--bootstrap-samples", "5", *options]) == 0
        )
        head = ServiceHead.load(kept, run.data.space)
        assert head.reasons == ("other", "who am I")
        assert head.answers == {"other": ("Wait.", "请稍候"), "who am I": ("", "")}
        # Nobody knows the truth of a team's contacts.
        assert "ceiling" not in capsys.readouterr().out
    finally:
        for name, content in before.items():
            (kept / name).write_bytes(content)


def test_the_runs_report_has_a_row_of_the_head(run: Run, tmp_path: Path) -> None:
    evaluation = evaluate_run(run, run.config.evaluate, tmp_path)
    page = evaluation.page.read_text(encoding="utf-8")
    assert "Heads on the representation" in page
    report = json.loads((head_folder(run, "service") / "report.json").read_text(encoding="utf-8"))
    shown = report["questions"]["unsaid"]["rows"]["service head"]["top_1"]["mean"]
    assert f"<td>{shown:.3f} [" in page
