"""The agent's loop on a fake Hyper-V host: driver and plane together, as `weft agent --driver hyperv` runs them."""

import asyncio
import contextlib

import msgspec

from tests.contract.test_edge import EDGE
from tests.unit.agent.host import Controller, machine_says
from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, RED, access_list, host_records, network_records
from tests.waiting import soon
from weft.agent.agent import Agent
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.plane import HyperVPlane
from weft.agent.link import Identity
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell
from weft.model.hypervisor import Disk, Hardware
from weft.model.records import LookupRecord, Machine, NetworkSettings, PortLearning
from weft.model.values import InstanceId, ip_text, pack_ip
from weft.wire.messages import Delta, Facts, Full

BLUE1 = GUESTS["blue1"]
HARDWARE = Hardware(1, 512, (Disk("C:\\vms\\blue1.vhdx", 1),))
RUNNING = Machine("blue1", "Running", (BLUE1.instance,), "", "", 4, hardware=HARDWARE, macs=(BLUE1.mac,))
RDIDS = {BLUE: "b1000000-0000-4000-8000-000000000000", RED: "4ed00000-0000-4000-8000-000000000000"}


def stream(rdid):
    """With the routing domain's GUID, as the controller of this release tells it."""
    settings, *rest = network_records(rdid)
    return (NetworkSettings(rdid, "nvgre", settings.resource_ref, InstanceId(RDIDS[rdid])), *rest)


WHOLE = (
    Full(0, 0, 10, tuple(host_records("host1"))),
    Full(BLUE, 3, 10, stream(BLUE)),
    Full(RED, 5, 10, stream(RED)),
)


class Host:
    def __init__(self, adapter="Ethernet"):
        self.datacenter = HyperVDatacenter()
        self.fake = self.datacenter.add_host("host1", "192.168.1.10")
        self.console = Console(self.datacenter, "host1")
        self.shell = FakeShell(self.fake)
        plane = HyperVPlane("host1", self.shell, adapter, look_seconds=0.2)
        self.agent = Agent(Identity("host1", "a1", "hyperv"), plane, HyperVDriver("host1", self.shell, pulse=0.05))
        self.controller = Controller()

    def lookups(self, vsid):
        """Customer address to (provider address, MAC) of what bears our mark."""
        return {
            one.customer_address: (one.provider_address, one.mac_address)
            for one in self.fake.records.lookups
            if one.virtual_subnet_id == vsid and one.context.startswith("weft:")
        }

    @property
    def vm(self):
        (found,) = (vm for vm in self.fake.vms if vm.name == "blue1")
        return found

    def at_start(self):
        """What was there whenever the machine was started."""
        seen = []

        def look():
            seen.append(
                (len(self.lookups(6001)), self.vm.nics[0].virtual_subnet_id, self.vm.nics[0].profile is not None)
            )
            self.fake.trouble.before["Start-VM"] = look

        self.fake.trouble.before["Start-VM"] = look
        return seen


@contextlib.asynccontextmanager
async def working(*more, adapter="Ethernet"):
    host = Host(adapter)
    tasks = [asyncio.create_task(host.agent.run()), asyncio.create_task(host.agent.serve(host.controller))]
    host.controller.say(*WHOLE, *more)
    try:
        yield host, host.controller
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def problems(words):
    def said(controller):
        return [one for facts in controller.all(Facts)[-1:] for one in facts.problems if words in one.message]

    return said


PEERS = {
    "10.1.1.1": ("169.254.254.254", "025745465401"),
    "10.1.1.11": ("192.168.1.10", "001DD8B71C01"),
    "10.1.1.12": ("192.168.2.20", "001DD8B71C02"),
}


async def test_a_policy_is_on_the_host_when_it_is_acked():
    async with working() as (host, controller):
        await controller.applied(10, 0, BLUE, RED)
        assert host.lookups(6001) == host.lookups(5001) == PEERS
        records = host.fake.records
        assert [(one.provider_address, one.prefix_length) for one in records.provider_addresses] == [
            ("192.168.1.10", 24)
        ]
        assert [(one.destination_prefix, one.next_hop) for one in records.provider_routes] == [
            ("0.0.0.0/0", "192.168.1.1")
        ]
        assert {one.virtual_subnet_id: one.routing_domain_id for one in records.customer_routes} == {
            6001: f"{{{RDIDS[BLUE]}}}",
            6002: f"{{{RDIDS[BLUE]}}}",
            5001: f"{{{RDIDS[RED]}}}",
        }


async def test_a_machine_is_made_and_starts_once_its_port_is_bound_and_its_records_are_there():
    async with working() as (host, controller):
        seen = host.at_start()
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        assert seen == [(3, 6001, True)]
        (nic,) = host.vm.nics
        assert (nic.mac, nic.dynamic) == (BLUE1.mac, False)
        bound = {one.instance_id: one.state for one in controller.all(Facts)[-1].ports}
        assert bound[BLUE1.instance] == "bound"
        assert controller.all(Facts)[-1].machines[0].id == host.vm.id.lower()


async def test_a_host_that_started_anew_gets_all_records_before_its_machines_run():
    async with working(Delta(0, 1, 11, (RUNNING,))) as (host, controller):
        await controller.until(machine_says("blue1", "Running"))
        seen = host.at_start()
        host.datacenter.pass_time(600)
        host.fake.restart()
        assert (host.fake.records.lookups, host.vm.power) == ([], "Off")
        await soon(lambda: host.vm.power == "Running")
        assert seen == [(3, 6001, True)]
        assert host.lookups(6001) == PEERS


async def test_what_another_hand_changed_is_put_right_and_told():
    async with working() as (host, controller):
        await controller.applied(10, 0, BLUE, RED)
        del host.fake.records.lookups[1]
        host.fake.records.customer_routes.pop()
        await controller.until(lambda self: self.all(Facts)[-1].drift)
        await soon(lambda: host.lookups(6001) == host.lookups(5001) == PEERS)
        assert "add lookup records: 1" in controller.all(Facts)[-1].drift
        assert len(host.fake.records.customer_routes) == 3


async def test_a_virtual_subnet_that_another_hand_changed_is_drift_and_one_of_a_port_that_came_is_not():
    async with working(Delta(0, 1, 11, (RUNNING,))) as (host, controller):
        await controller.until(machine_says("blue1", "Running"))
        await controller.applied(11, 0)
        assert controller.all(Facts)[-1].drift == ()
        (nic,) = host.vm.nics
        nic.virtual_subnet_id = 5001
        await controller.until(lambda self: self.all(Facts)[-1].drift == ("set ports: 1",))
        assert nic.virtual_subnet_id == 6001


async def test_a_peer_that_moved_is_one_change_in_place():
    async with working() as (host, controller):
        await controller.applied(10, 0, BLUE, RED)
        before = len(host.fake.records.lookups)
        moved = LookupRecord(GUESTS["blue2"].vsid, GUESTS["blue2"].addresses[0], GUESTS["blue2"].mac, HOSTS["host1"])
        controller.say(Delta(BLUE, 4, 11, (moved,)))
        await controller.applied(11, BLUE)
        assert host.lookups(6001)["10.1.1.12"] == (ip_text(HOSTS["host1"]), "001DD8B71C02")
        assert len(host.fake.records.lookups) == before


async def test_a_cmdlet_that_fails_half_way_is_a_problem_and_no_ack_until_it_is_over():
    host_says = "New-NetVirtualizationCustomerRoute: not today"
    async with working() as (host, controller):
        host.fake.trouble.failing["New-NetVirtualizationCustomerRoute"] = "not today"
        (problem, *_) = await controller.until(problems(host_says))
        assert problem.message.startswith("host1: ")
        assert not controller.acked(BLUE, 10)
        host.fake.trouble.failing.clear()
        await controller.applied(10, 0, BLUE, RED)
        await controller.until(lambda self: not problems(host_says)(self))
        assert host.lookups(6001) == PEERS


async def test_a_silent_host_is_a_problem_and_gets_all_it_missed():
    async with working(Delta(0, 1, 11, (RUNNING,))) as (host, controller):
        await controller.until(machine_says("blue1", "Running"))
        host.fake.trouble.unreachable = True
        await controller.until(problems("the hypervisor does not answer: host1: "))
        off = msgspec.structs.replace(RUNNING, power="Off", generation=5)
        moved = LookupRecord(GUESTS["blue2"].vsid, GUESTS["blue2"].addresses[0], GUESTS["blue2"].mac, HOSTS["host1"])
        controller.say(Delta(0, 2, 12, (off,)), Delta(BLUE, 4, 12, (moved,)))
        await asyncio.sleep(0.3)
        assert not controller.acked(BLUE, 12)
        (machine,) = controller.all(Facts)[-1].machines
        assert (machine.power, machine.failure) == ("Running", "")
        host.fake.trouble.unreachable = False
        await controller.applied(12, 0, BLUE)
        await soon(lambda: host.vm.power == "Off")


async def test_refused_credentials_are_said():
    async with working() as (host, controller):
        host.fake.trouble.refused = True
        await controller.until(problems("the credentials are refused"))


async def test_the_port_of_a_machine_with_anothers_mac_stays_closed():
    async with working(Delta(0, 1, 11, (RUNNING,))) as (host, controller):
        await controller.until(machine_says("blue1", "Running"))
        host.fake.stop(host.vm)
        host.console.set_static(host.vm, 0x001DD8B71CFF)
        await controller.until(problems("attached-mac 00-1D-D8-B7-1C-FF"))
        blocked = [one for one in controller.all(Facts)[-1].problems if one.code == "PortBlocked"]
        assert blocked[0].instance_id == BLUE1.instance


async def test_a_port_under_an_access_list_is_a_problem_of_its_interface_for_as_long_as_it_is():
    access = BLUE1.access(own=7)
    async with working(Delta(0, 1, 11, (RUNNING, access_list(7), access))) as (_, controller):
        (problem,) = await controller.until(problems("carry out no access lists"))
        assert (problem.code, problem.instance_id) == ("PolicyConfigurationFailure", BLUE1.instance)
        assert problem.message.startswith("blue1-eth0: ")
        controller.say(Delta(0, 2, 12, (), (access.key,)))
        await controller.until(lambda self: not problems("carry out no access lists")(self))


async def test_that_it_is_no_gateway_is_a_problem_for_as_long_as_it_should_be_one():
    async with working(Delta(0, 1, 11, (EDGE,))) as (_, controller):
        (problem,) = await controller.until(problems("make no edges"))
        assert problem.message == (
            "/virtualGateways/blue: Hyper-V hosts make no edges: let a Linux server be the gateway"
        )
        controller.say(Delta(0, 2, 12, (), (EDGE.key,)))
        await controller.until(lambda self: not problems("make no edges")(self))


async def test_the_addresses_of_running_strangers_are_seen():
    async with working() as (host, controller):
        stranger = host.console.create("somebody's")
        host.console.set_static(stranger, 0x020000000099)
        host.console.start(stranger)
        await controller.until(
            lambda self: [one for facts in self.all(Facts)[-1:] for one in facts.seen if one.mac == 0x020000000099]
        )


async def test_version_2_is_port_profiles_and_no_records():
    async with working(Delta(0, 1, 11, (RUNNING,)), adapter="") as (host, controller):
        await controller.applied(11, 0)
        await controller.until(machine_says("blue1", "Running"))
        (nic,) = host.vm.nics
        assert (str(nic.profile.value("ProfileId")), nic.virtual_subnet_id) == (f"{{{BLUE1.instance}}}", 0)
        assert host.fake.records.lookups == []
        assert not [name for name in host.shell.ran if name.startswith("network virtualization")]


async def test_a_port_whose_guest_may_bring_addresses_is_a_problem_of_its_interface_for_as_long_as_it_may():
    learning = PortLearning(BLUE1.instance, ((pack_ip("10.1.1.0"), 24),))
    async with working(Delta(0, 1, 11, (RUNNING, learning))) as (_, controller):
        (problem,) = await controller.until(problems("learn no addresses"))
        assert (problem.code, problem.instance_id) == ("PolicyConfigurationFailure", BLUE1.instance)
        controller.say(Delta(0, 2, 12, (), (learning.key,)))
        await controller.until(lambda self: not problems("learn no addresses")(self))


async def test_a_provider_address_that_another_machine_has_is_a_problem_until_it_is_mended():
    async with working() as (host, controller):
        await controller.applied(10, 0, BLUE, RED)
        (address,) = host.fake.records.provider_addresses
        address.state = "Duplicate"
        await soon(lambda: problems("Another machine on the provider network has the provider address")(controller))
        address.state = "Preferred"
        await soon(lambda: not problems("Another machine on the provider network")(controller))
