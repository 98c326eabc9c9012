"""The shell of a fake host: its errors are those of the real one."""

import pytest

from tests.unit.fakes.hyperv.world import World
from weft.agent.hyperv.shell import CredentialsRefused, HostUnreachable, ScriptFailed
from weft.core.hyperv.script import PROLOGUE, Script
from weft.fakes.hyperv.shell import FakeShell

ECHO = Script("echo", PROLOGUE + "[pscustomobject]@{ back = $arguments.text } | ConvertTo-Json -Compress")
START = Script("start", PROLOGUE + "Start-VM -Name $arguments.name\n'{}'")


@pytest.fixture
def world():
    return World()


async def run(world, script, arguments):
    return await FakeShell(world.host1).run(script, arguments)


@pytest.mark.parametrize("text", ["a \"b\" 'c' $(Get-VM) `n", "line\r\nbreak", "\u202egnp.exe", "é 漢 🙂", ""])
async def test_text_goes_and_comes_back_as_it_is(world, text):
    assert await run(world, ECHO, {"text": text}) == {"back": text}


async def test_a_host_that_is_not_there_or_lets_nobody_in(world):
    world.host1.trouble.refused = True
    with pytest.raises(CredentialsRefused, match="^hv1: "):
        await run(world, ECHO, {})
    world.host1.trouble.unreachable = True
    with pytest.raises(HostUnreachable, match="^hv1: "):
        await run(world, ECHO, {})
    world.host1.trouble.unreachable = world.host1.trouble.refused = False
    world.datacenter.die("hv1")
    with pytest.raises(HostUnreachable):
        await run(world, ECHO, {})


async def test_a_failure_names_host_cmdlet_script_and_line(world):
    with pytest.raises(ScriptFailed) as failed:
        await run(world, START, {"name": "web1"})
    assert str(failed.value) == (
        'hv1: Start-VM: Hyper-V was unable to find a virtual machine with name "web1". (script start, line 4)'
    )


async def test_what_a_script_throws_names_its_cmdlet_itself(world):
    script = Script("own", PROLOGUE + "throw 'Set-VM: it has another'")
    with pytest.raises(ScriptFailed) as failed:
        await run(world, script, {})
    assert (failed.value.cmdlet, failed.value.message) == ("Set-VM", "it has another")


async def test_an_error_that_was_passed_over_is_a_failure_all_the_same(world):
    script = Script("careless", PROLOGUE + "$ErrorActionPreference = 'Continue'\nGet-VM nope\n'{}'")
    with pytest.raises(ScriptFailed, match="unable to find"):
        await run(world, script, {})
    with pytest.raises(ScriptFailed, match="it wrote no JSON but ''"):
        await run(world, Script("silent", PROLOGUE), {})


async def test_a_fake_host_has_a_state_for_each_run(world):
    world.console.create("web1")
    shell = FakeShell(world.host1)
    assert await shell.run(START, {"name": "web1"}) == {}
    assert shell.ran == ["start"]
    assert world.host1.vms[0].state == "Running"
