"""A machine and the world that verbs depend on."""

import msgspec

from tests.unit.agent.policies import GUESTS
from weft.agent.bindings import Local, Role
from weft.agent.hypervisors import Start
from weft.agent.machines import World
from weft.agent.switch import SwitchPort
from weft.model.hypervisor import MachineState
from weft.model.records import Machine, SubnetRecord
from weft.model.values import pack_ip

BLUE1 = GUESTS["blue1"]
BINDING = BLUE1.binding()
PORT = SwitchPort("vnet1", 5, BLUE1.instance, BLUE1.mac, 1500)
BOUND, ABSENT = Local(BINDING, PORT, Role.HERE), Local(BINDING, None, Role.HERE)
SUBNET = SubnetRecord(BLUE1.vsid, pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1"))


def machine(power="Running", move_to=""):
    return Machine("blue1", power, (BLUE1.instance,), "", move_to, 3)


def world(told=None, state=None, local=BOUND, **more):
    base = World(
        machines={"blue1": told} if told else {},
        states={"blue1": MachineState("blue1", state)} if state else {},
        locals={BLUE1.instance: local} if local else {},
        subnets={BLUE1.vsid: (SUBNET,)},
        mtus={BLUE1.instance: 1458},
        leaving=(),
        in_sync=True,
        settled=True,
    )
    return msgspec.structs.replace(base, **more)


START = Start(machine(), (BINDING,), (SUBNET,), 1458)
