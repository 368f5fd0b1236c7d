"""A bill of materials is about this release, and lists something."""

import json

import pytest

from release import Refused, sbom

BILL = {
    "bomFormat": "CycloneDX",
    "metadata": {"component": {"name": "retrain-receiver", "version": "1.2.3"}},
    "components": [{"name": "uvicorn", "version": "0.35.0"}],
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"bomFormat": "SPDX"}, "no bill of materials of retrain-receiver 1.2.3"),
        ({"metadata": {}}, "no bill of materials of retrain-receiver 1.2.3"),
        ({"components": []}, "does not list what retrain-receiver needs"),
    ],
)
def test_a_bill_of_something_else_is_refused(tmp_path, changes, said):
    """Or of nothing: a tool that finds no packages ends well all the same."""
    bill = tmp_path / "bill.json"
    bill.write_text(json.dumps(BILL | changes))

    if said is None:
        sbom.check(bill, "1.2.3")
        return
    with pytest.raises(Refused, match=said):
        sbom.check(bill, "1.2.3")


def test_a_bill_of_another_version_is_refused(tmp_path):
    """It would be believed of this one."""
    bill = tmp_path / "bill.json"
    bill.write_text(json.dumps(BILL))

    with pytest.raises(Refused, match=r"retrain-receiver 1\.2\.4"):
        sbom.check(bill, "1.2.4")
