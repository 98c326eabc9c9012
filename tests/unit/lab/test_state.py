"""A lab's state on disk: whole at any time, one changing verb at a time, gone with the lab."""

import tempfile

import msgspec
import pytest

from weft.lab.processes import Process
from weft.lab.state import HostState, LabFailure, LabFolder, labs_folder, locked, open_lab
from weft.model.errors import Conflict, Invalid, NotFound

HOST = HostState("Host1", 0, "192.168.1.10/24", "192.168.1.1")


@pytest.fixture
def lab(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="weft") as short:  # pytest's own folders have long names
        monkeypatch.setenv("WEFT_LAB_DIR", f"{short}/labs")
        yield open_lab("one")


def with_host(state):
    return msgspec.structs.replace(state, hosts={"host1": HOST})


def test_a_lab_that_is_not_up_says_how_to_make_it(lab):
    with pytest.raises(NotFound, match="weft lab --name one up FILE"):
        lab.read()
    with pytest.raises(Invalid):
        open_lab("../x")
    open_lab("other").create()
    with pytest.raises(NotFound, match=r"FILE makes one\. Up: other, each by its --name\.$"):
        lab.read()


def test_state_is_read_as_written(lab):
    lab.create()
    lab.change(with_host)
    changed = lab.change_host("HOST1", lambda old: msgspec.structs.replace(old, agent=Process(7, 8)))
    assert LabFolder(lab.path).read().hosts == {"host1": changed}
    assert lab.host("hOsT1").agent == Process(7, 8)
    with pytest.raises(NotFound, match="its hosts: Host1"):
        lab.host("host2")


def test_a_failed_change_changes_nothing(lab):
    lab.create()
    with pytest.raises(KeyError):
        lab.change_host("host1", lambda old: old)
    assert lab.read().hosts == {}


def test_an_unreadable_state_says_what_helps(lab):
    lab.create()
    (lab.path / "lab.json").write_text("{")
    with pytest.raises(LabFailure, match="weft lab --name one down"):
        lab.read()


def test_a_path_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(LabFailure, match="WEFT_LAB_DIR"):
        LabFolder(tmp_path / ("x" * 90)).create()


def test_one_changing_verb_at_a_time_and_no_lock_stays(lab):
    with locked(labs_folder(), "one"):
        lab.create()
        with pytest.raises(Conflict, match="wait for it to end"), locked(labs_folder(), "one"):
            pass
        with locked(labs_folder(), "two"):
            pass
    with locked(labs_folder(), "one"):
        lab.remove()
    assert not labs_folder().exists()
    with locked(labs_folder(), "one"):
        pass


def test_the_body_of_a_lock_may_fail(lab):
    with pytest.raises(FileNotFoundError), locked(labs_folder(), "one"):
        raise FileNotFoundError
