import os
import stat
import subprocess
import sys

import pytest
from dagwire_standalone.directory import Directory
from dagwire_standalone.errors import DirectoryInUseError, StandaloneError


@pytest.fixture
def directory(tmp_path):
    directory = Directory(tmp_path / "data")
    directory.create()
    return directory


def test_a_secret_is_made_once_and_is_private(directory):
    assert directory.secret("nats") == directory.secret("nats")
    assert directory.secret("nats") != directory.secret("postgres")
    assert stat.S_IMODE(directory.private("nats").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.private("nats").parent.stat().st_mode) == 0o700


def test_a_private_file_stays_private_when_it_is_written_again(directory):
    directory.keep_private("nats.url", "nats://one")
    assert directory.keep_private("nats.url", "nats://two").read_text() == "nats://two"
    assert stat.S_IMODE(directory.private("nats.url").stat().st_mode) == 0o600


def test_a_held_directory_is_refused_with_its_holder(directory):
    with (
        directory.locked(),
        pytest.raises(DirectoryInUseError, match=f"process {os.getpid()}"),
        directory.locked(),
    ):
        pass


def test_a_directory_is_free_again_after_its_holder_lets_go(directory):
    with directory.locked():
        pass
    with directory.locked():
        pass


def test_a_directory_stays_held_until_the_children_of_its_holder_end(directory):
    with directory.locked() as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,), text=True
        )
    with pytest.raises(DirectoryInUseError), directory.locked():
        pass
    child.communicate("\n")
    with directory.locked():
        pass


def test_a_directory_is_new_until_nats_has_used_it(directory):
    assert directory.is_new
    directory.nats.mkdir()
    assert not directory.is_new


def test_a_path_that_is_no_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StandaloneError, match="--directory"):
        Directory(tmp_path / "file").create()


def test_streams_of_before_there_were_accounts_are_kept(tmp_path):
    directory = Directory(tmp_path)
    directory.create()
    (directory.nats / "jetstream" / "$G" / "streams").mkdir(parents=True)
    directory.adopt_streams("DAGWIRE")
    directory.adopt_streams("DAGWIRE")
    assert [one.name for one in (directory.nats / "jetstream").iterdir()] == ["DAGWIRE"]
    assert (directory.nats / "jetstream" / "DAGWIRE" / "streams").is_dir()


def test_a_new_directory_has_no_streams_to_keep(tmp_path):
    directory = Directory(tmp_path)
    directory.create()
    directory.adopt_streams("DAGWIRE")
    assert directory.is_new
