"""What is released is a tagged commit, whole, and nothing that lies about."""

import subprocess

import pytest

from release import Refused, source


def git(folder, *arguments):
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "tag.gpgsign=false")
    subprocess.run(["git", "-C", folder, *settings, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """One commit, tagged v1.2.3."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "kept").write_text("as committed\n")
    git(folder, "add", "kept")
    git(folder, "commit", "--quiet", "--message", "one")
    git(folder, "tag", "v1.2.3")
    return folder


@pytest.mark.parametrize("asked", ["1.2.3", None])
def test_the_tag_that_is_checked_out_is_released(repository, asked):
    """Named, or the only one there."""
    found, version = source.tagged(repository, asked)

    assert version == "1.2.3"
    assert found == source.head(repository)


def test_a_tree_that_is_not_clean_is_refused(repository):
    """Neither a change nor a file that git does not know gets into a release unseen."""
    (repository / "stray").touch()
    with pytest.raises(Refused, match=r"not clean \(\?\? stray\): commit or remove"):
        source.tagged(repository, "1.2.3")

    (repository / "stray").unlink()
    (repository / "kept").write_text("changed\n")
    with pytest.raises(Refused, match=r"not clean \(M kept\)"):
        source.tagged(repository, "1.2.3")


def test_a_missing_tag_is_refused(repository):
    """With the command that makes it."""
    with pytest.raises(Refused, match=r"no tag v1\.2\.4: make it with `git tag --annotate v1"):
        source.tagged(repository, "1.2.4")


def test_a_tag_of_another_commit_is_refused(repository):
    """What is built is what is checked out."""
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "two")

    with pytest.raises(Refused, match=r"not what is checked out: `git checkout v1\.2\.3`"):
        source.tagged(repository, "1.2.3")
    with pytest.raises(Refused, match="0 version tags point at HEAD"):
        source.tagged(repository, None)


def test_the_copy_has_the_commits_files_and_no_others(repository, tmp_path):
    """A file that was never added is not released."""
    (repository / "stray").touch()
    (tmp_path / "copy").mkdir()
    source.export(repository, source.head(repository), tmp_path / "copy")

    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["kept"]
