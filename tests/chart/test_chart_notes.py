"""What the installer is told after an installation."""

import pytest

from tests.chart.rendering import NAMESPACE, RELEASE, notes
from tests.chart.test_chart_rendering import EVERYTHING


def test_notes_say_what_is_closed_and_what_to_do():
    """A newcomer is warned, and finds the receiver to paste."""
    told = notes("{}")

    for part in (
        *("everything but the probes is closed", "no policies", "kind: AlertmanagerConfig"),
        *("webhook_configs:", "adds namespace=", "starts with an empty store", "unmatched"),
        f"http://{RELEASE}-retrain-receiver.{NAMESPACE}.svc:8080/webhook",
    ):
        assert part in told


def test_notes_of_a_complete_installation_warn_of_nothing():
    """Warnings are for what is missing."""
    told = notes(EVERYTHING)

    assert "WARNING" not in told
    assert "deployment/" in told


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ("persistence: {storageClassName: nfs-monitoring}", True),
        ("persistence: {storageClassName: managed-NFS-storage}", True),
        ("persistence: {storageClassName: efs-sc}", True),
        ("persistence: {storageClassName: azurefile-csi}", True),
        ("persistence: {storageClassName: local-path}", False),
        ("persistence: {storageClassName: chiefs}", False),
        ("persistence: {storageClassName: nfs, existingClaim: mine}", False),
        ("persistence: {storageClassName: nfs, enabled: false}", False),
        (
            "{persistence: {storageClassName: nfs}, "
            "config: {storage: {network_filesystem: true}}}",
            False,
        ),
        (
            "{persistence: {storageClassName: nfs}, "
            "database: {type: postgresql, existingSecret: x}}",
            False,
        ),
    ],
)
def test_notes_warn_of_a_class_that_is_named_after_a_network_filesystem(values, warned):
    """The receiver would refuse to start there; the installer learns it before."""
    assert ("sounds like NFS" in notes(values)) is warned
