"""What is taken for the leaving of a lost session, and what is somebody's own."""

import json

import pytest

from weft.core.hyperv.machines_leavings import Begun, Leaving, leavings
from weft.model.hypervisor import CheckpointState, MachineState

OLD, NEW = "5f0c2b1e-0000-4000-8000-00000000000a", "5f0c2b1e-0000-4000-8000-00000000000b"
FILE, PLACE = r"C:\vms\weft-defining-HV1-web1.json", r"D:\vms\web1"


def claim(target="", host="HV1", folders=()):
    told = {"host": host, "machine": "web1", "before": [OLD.upper()], "target": target, "folders": folders}
    return {"path": FILE, "text": json.dumps(told)}


def begun(own=NEW, name="web1", notes="", path=PLACE, power="Off", checkpoints=()):
    return Begun(MachineState("", power, id=own, name=name, checkpoints=checkpoints), notes, path)


def found(one, written=None):
    return list(leavings([one], "hv1", [written or claim()]))


def test_a_machine_of_that_name_that_came_after_the_claim_is_what_the_script_made():
    assert found(begun()) == [Leaving("web1", NEW, (FILE,))]


@pytest.mark.parametrize(
    "stranger",
    [
        begun(OLD),
        begun(name="web2"),
        begun(notes="of the shop"),
        begun(notes=f"weft: other {NEW}"),
        begun(power="Running"),
        begun(power="Saved"),
        begun(checkpoints=(CheckpointState("c", "before"),)),
    ],
    ids=["it was there before", "another name", "somebody's notes", "ours", "it runs", "saved", "it has checkpoints"],
)
def test_a_machine_that_somebody_else_has_is_left_alone(stranger):
    assert found(stranger) == [Leaving("web1", "", (FILE,))], "the claim alone goes"


def test_a_copy_is_known_by_its_folder_and_may_bear_its_originals_name_notes_and_checkpoints():
    folders = (PLACE, PLACE + ".weft-copy")
    copied = begun(
        name="db", notes=f"weft: db {OLD}", path=PLACE.upper() + "\\", checkpoints=(CheckpointState("c", "n"),)
    )
    assert found(copied, claim(PLACE, folders=folders)) == [Leaving("web1", NEW, (FILE,), PLACE, folders)]
    elsewhere = begun(notes=f"weft: db {OLD}", path=r"D:\vms\db")
    assert found(elsewhere, claim(PLACE, folders=folders)) == [Leaving("web1", "", (FILE,), folders=folders)]


def test_the_folder_of_a_copy_that_became_whole_stays():
    folders = (PLACE, PLACE + ".weft-copy")
    whole = begun(notes=f"weft: web1 {NEW}")
    assert found(whole, claim(PLACE, folders=folders)) == [Leaving("web1", "", (FILE,), folders=folders[1:])]
    theirs = begun(OLD, name="theirs")
    assert found(theirs, claim(PLACE, folders=folders)) == [Leaving("web1", "", (FILE,), folders=folders[1:])]


def test_notes_that_say_so_are_enough():
    notes = f"weft defining: web1 {NEW}\r\nweft disk: D:\\web1.vhdx"
    assert list(leavings([begun(notes=notes)], "hv1", [])) == [Leaving("web1", NEW, ("D:\\web1.vhdx",))]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "HV1"}', claim(host="HV2")["text"]])
def test_a_claim_of_another_host_or_one_that_was_cut_off_claims_nothing(text):
    assert found(begun(), {"path": FILE, "text": text}) == []
