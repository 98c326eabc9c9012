"""Two cmdlets about things, for tests of the interpreter, and a script's output by them."""

from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.powershell.run import run
from weft.fakes.hyperv.powershell.session import Cmdlet
from weft.fakes.hyperv.powershell.values import EnumValue, Guid, Record

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
STATE = EnumValue("Running", 2)


def _get(call):
    for name in call.texts("Name") or ["a", "B"]:
        if name == "gone":
            raise PowerShellError(f"there is no thing {name}", id="NotThere", category="ObjectNotFound")
        yield Record({"Name": name, "Id": Guid(GUID), "State": STATE}, "Thing")


def _set(call):
    yield call.get("Thing").get("Name") + ("!" if call.get("Loud", False) else "")


THINGS = {
    one.name: one
    for one in (
        Cmdlet("Get-Thing", ("Name",), positional=("Name",), run=_get, documented=("Remote",)),
        Cmdlet(
            "Set-Thing",
            ("Thing", "Loud"),
            switches=("Loud",),
            piped=("Thing",),
            takes=lambda name, value: isinstance(value, Record) and value.kind == "Thing",
            mandatory=("Thing",),
            run=_set,
        ),
    )
}
STOP = "$ErrorActionPreference = 'Stop'\n"


def out(script, **arguments):
    return run(script, arguments, THINGS).output


def one(script, **arguments):
    found = out(script, **arguments)
    assert len(found) == 1, found
    return found[0]
