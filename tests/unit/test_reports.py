"""What a run says of itself is read strictly: it is a stranger's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.reports import (
    LONGEST,
    MOST_METRICS,
    BadReport,
    Report,
    Verdict,
    merge_reports,
    parse_report,
    report_in_names,
)

MANY = " ".join(f"m{n}=1" for n in range(MOST_METRICS + 1))


@pytest.mark.parametrize(
    ("text", "verdict", "metrics"),
    [
        ("promoted", Verdict.PROMOTED, {}),
        (
            "rejected mae=0.59 champion_mae=0.44",
            Verdict.REJECTED,
            {"mae": 0.59, "champion_mae": 0.44},
        ),
        ("mae=0.41", None, {"mae": 0.41}),
        ("  promoted\n r2=-1.5e-3 ", Verdict.PROMOTED, {"r2": -0.0015}),
        ("promoted mae=NaN r2=inf n=1e999 f1=.5", Verdict.PROMOTED, {"f1": 0.5}),
    ],
)
def test_a_report_is_a_verdict_numbers_or_both(text, verdict, metrics):
    """Numbers that are not finite are left out."""
    assert parse_report(text) == Report(verdict, metrics)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "deployed",
        "Promoted",
        "mae=0.4 promoted",
        "promoted mae",
        "promoted mae=",
        "promoted mae=low",
        "promoted mae=1_0",
        "promoted 9mae=1",
        "promoted ma\u202ee=1",
        "promoted mae=\u0661",
        "promoted " + "m" * 41 + "=1",
        "promoted mae=" + "1" * 31,
        "promoted " + "x" * LONGEST,
        MANY,
    ],
)
def test_anything_else_is_no_report(text):
    """Each part is bounded, and the complaint is fit for a log line."""
    with pytest.raises(BadReport) as caught:
        parse_report(text)

    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 200


@given(st.text(max_size=2 * LONGEST))
def test_no_text_breaks_the_reading(text):
    """Whatever a run says, it is a report or a `BadReport`."""
    try:
        report = parse_report(text)
    except BadReport:
        return
    assert report.verdict or report.metrics or "=" in text


@pytest.mark.parametrize(
    ("names", "report"),
    [
        ([], None),
        (
            ["build", "Set up job", "my retrain-verdict: promoted", "retrain-verdicts: promoted"],
            None,
        ),
        (["retrain-verdict: promoted mae=0.4"], Report(Verdict.PROMOTED, {"mae": 0.4})),
        (["retrain-verdict rejected"], Report(Verdict.REJECTED)),
        (["retrain-verdict: ", "retrain-verdict: ${{ steps.train.outputs.report }}"], None),
        (
            ["retrain-verdict: mae=0.4", "x", "retrain-verdict: promoted r2=1"],
            Report(Verdict.PROMOTED, {"mae": 0.4, "r2": 1.0}),
        ),
        (["retrain-verdict: promoted", "retrain-verdict: promoted"], Report(Verdict.PROMOTED)),
    ],
)
def test_names_of_jobs_and_steps_carry_the_report(names, report):
    """Several parts are one report; a name that was never filled in says nothing."""
    assert report_in_names(names) == report


@pytest.mark.parametrize(
    "names",
    [
        ["retrain-verdict: promoted", "retrain-verdict: rejected"],
        ["retrain-verdict: deployed"],
        [f"retrain-verdict: a{n}=1 b{n}=1" for n in range(MOST_METRICS)],
    ],
)
def test_names_that_contradict_each_other_are_no_report(names):
    """Neither of two verdicts is taken for the truth."""
    with pytest.raises(BadReport):
        report_in_names(names)


def test_nothing_merged_is_nothing():
    """A run without reports reports nothing, rather than an empty report."""
    assert merge_reports([]) is None
