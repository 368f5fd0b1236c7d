"""Sums and signature: whoever downloads a file can tell that it is the one that was released."""

import os
import shutil
import subprocess

import pytest

from release import Refused, signing


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.whl").write_bytes(b"wheel")
    (folder / "b.tgz").write_bytes(b"chart")
    signing.write_sums(folder)
    return folder


@pytest.fixture
def key(tmp_path):
    """Secret and public; without minisign this skips, and fails in CI."""
    if shutil.which("minisign") is None:
        reason = "minisign is missing: apt-get install minisign"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return signing.throwaway_key(tmp_path)


def test_sha256sum_takes_the_sums(files):
    """Everybody has it; each file is named once, and neither sums nor signature."""
    command = ["sha256sum", "--check", "--strict", signing.SUMS]
    checked = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False)

    assert checked.stdout.splitlines() == ["a.whl: OK", "b.tgz: OK"]
    signing.check_sums(files)


def test_a_file_with_one_other_byte_is_found(files):
    """So is one that is gone."""
    (files / "a.whl").write_bytes(b"wheeL")
    with pytest.raises(Refused, match=r"a\.whl is not the file"):
        signing.check_sums(files)

    (files / "a.whl").unlink()
    with pytest.raises(Refused, match=r"a\.whl is not the file"):
        signing.check_sums(files)


def test_a_signature_verifies_and_one_other_byte_does_not(files, key):
    """With the public key alone."""
    secret, public = key
    sums = files / signing.SUMS
    signing.sign(sums, secret, "retrain-receiver 1.2.3")
    signing.verify(sums, public)
    sums.write_text(sums.read_text().replace("a.whl", "A.whl"))

    with pytest.raises(Refused, match="the signature of SHA256SUMS is not one by the key"):
        signing.verify(sums, public)


def test_a_key_whose_public_part_is_another_is_refused(files, key, tmp_path):
    """The releaser's own slip: who verifies has the committed public key."""
    secret, _ = key
    (tmp_path / "other").mkdir()
    _, other = signing.throwaway_key(tmp_path / "other")
    sums = files / signing.SUMS
    signing.sign(sums, secret, "retrain-receiver 1.2.3")

    with pytest.raises(Refused, match="sign with the key whose public part is committed"):
        signing.verify(sums, other)


def test_a_key_that_is_not_there_is_told(files, tmp_path):
    """With how to make one."""
    with pytest.raises(Refused, match=r"minisign -G -p release/minisign\.pub"):
        signing.sign(files / signing.SUMS, tmp_path / "no.key", "")
