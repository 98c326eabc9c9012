"""What the driver says when a host cannot be asked, or a script fails: host, machine and cmdlet."""

import asyncio

import pytest

from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.shell import CredentialsRefused, HostUnreachable, ScriptFailed
from weft.agent.hypervisors import CarryOut, Define, HypervisorFailure, Migrate, Prepare, Start, Stop
from weft.core.hyperv.machines_facts import FACTS
from weft.model.hypervisor import Hardware
from weft.model.records import Errand, Machine

OWN = "5f0c2b1e-0000-4000-8000-000000000001"
WEB = Machine("web1", "Running", (), "")
BOOT = "11/29/2026 08:00:00"
EMPTY = {"parts": [], "switches": ["sw"], "first": "", "last": "", "boot": BOOT, "host": "H", "claims": []}


class Line:
    """A shell that answers FACTS with what it was given, and everything else with an error."""

    def __init__(self, error=None, answer=EMPTY):
        self.error = error
        self.answer = answer
        self.asked = []

    async def run(self, script, arguments):
        self.asked.append(script.name)
        if self.error is not None and (self.answer is None or script != FACTS):
            raise self.error
        return self.answer


def driver(error=None, answer=EMPTY):
    return HyperVDriver("host1", Line(error, answer), pulse=0.01)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HostUnreachable("10.0.0.1", "it does not answer in time"), "host1: facts: it does not answer in time"),
        (CredentialsRefused("10.0.0.1", "access is denied"), "host1: facts: access is denied"),
        (
            ScriptFailed("10.0.0.1", "facts", "not there", cmdlet="Get-VM", line=7),
            r"host1: facts: Get-VM: not there \(script facts, line 7\)",
        ),
    ],
)
async def test_a_host_that_cannot_be_asked_is_named(error, words):
    with pytest.raises(HypervisorFailure, match=f"^{words}$"):
        await driver(error, None).facts()


async def test_an_answer_that_makes_no_sense_is_an_error_and_not_an_empty_host():
    with pytest.raises(HypervisorFailure, match="host1: facts: the answer makes no sense: KeyError"):
        await driver(answer={"parts": []}).facts()


async def test_a_cmdlet_that_fails_is_told_with_host_machine_and_cmdlet():
    failing = driver(ScriptFailed("h", "start", "not enough memory", cmdlet="Start-VM", line=90))
    with pytest.raises(
        HypervisorFailure, match=r"^host1: Start of web1: Start-VM: not enough memory \(script start, line 90\)$"
    ):
        await failing.carry_out(Start(WEB, (), id=OWN))


@pytest.mark.parametrize(
    "verb", [Start(WEB, ()), Migrate("web1", "host2"), Prepare(WEB, ())], ids=lambda verb: type(verb).__name__
)
async def test_a_machine_that_was_deleted_meanwhile(verb):
    with pytest.raises(HypervisorFailure, match=f"^host1: {type(verb).__name__} of web1: the host has no such machine"):
        await driver().carry_out(verb)


async def test_stopping_what_is_not_there_is_done():
    await driver().carry_out(Stop("web1"))


@pytest.mark.parametrize(
    ("hardware", "words"),
    [(None, "does not say what it is made of"), (Hardware(kernel="/boot/vmlinuz"), "is for libvirt")],
)
async def test_what_cannot_be_defined(hardware, words):
    with pytest.raises(HypervisorFailure, match=f"host1: Define of web1: .*{words}"):
        await driver().carry_out(Define(Machine("web1", "Off", (), "", hardware=hardware), ()))


async def test_an_errand_is_named_in_its_failure():
    errand = Errand(3, "restore", "before")
    with pytest.raises(HypervisorFailure, match="^host1: restore 'before' of web1: the host has no such machine$"):
        await driver().carry_out(CarryOut(Machine("web1", "Off", (), "", errand=errand)))


async def test_a_host_that_falls_silent_is_an_event_and_so_is_its_return():
    pulse = {"machines": [], "adapters": [], "checkpoints": [], "restored": []}
    host = driver(answer=pulse)
    events = host.events()
    await anext(events)
    host._shell.error, host._shell.answer = HostUnreachable("h", "gone"), None
    await asyncio.wait_for(anext(events), 30)
    host._shell.error, host._shell.answer = None, pulse
    await asyncio.wait_for(anext(events), 30)
    await events.aclose()


async def test_a_clock_that_was_set_is_no_restart():
    host = driver()
    first = await host.facts()
    host._shell.answer = {**EMPTY, "boot": "11/29/2026 08:00:05"}
    assert (await host.facts()).boot == first.boot == "11/29/2026 08:00:00"
    host._shell.answer = {**EMPTY, "boot": "11/30/2026 02:00:00"}
    assert (await host.facts()).boot == "11/30/2026 02:00:00"
