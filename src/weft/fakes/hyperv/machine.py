"""A virtual machine of the fake host, with all that scripts may ask of one. Rules about addresses are sim.hyperv's."""

import copy

import msgspec

from weft.model.values import Mac
from weft.sim.hyperv import OFF, RUNNING, Adapter, Checkpoint, Machine

PRODUCTION, STANDARD = "Production", "Standard"


class Disk(msgspec.Struct, frozen=True):
    """A disk on a controller."""

    path: str
    controller: str
    number: int
    location: int


class Profile(msgspec.Struct, frozen=True):
    """The port profile feature of an adapter (Msvm_EthernetSwitchPortProfileSettingData)."""

    values: tuple[tuple[str, object], ...]

    def value(self, name: str) -> object:
        return dict(self.values)[name]


class Vlan(msgspec.Struct, frozen=True):
    mode: str = "Untagged"
    access: int = 0


class Nic(Adapter):
    """A network adapter. Its id stays when it is renamed and in checkpoints; a copy of the machine has others."""

    def __init__(self, id: str, name: str = "Network Adapter", mac: int = 0, *, dynamic: bool = True) -> None:
        super().__init__(name, mac, dynamic=dynamic)
        self.id = id
        self.port = id.upper()
        self.switch = ""
        """Empty: not connected."""
        self.virtual_subnet_id = 0
        self.profile: Profile | None = None
        self.vlan = Vlan()
        self.settings: dict[str, object] = {"MacAddressSpoofing": "Off", "DhcpGuard": "Off", "RouterGuard": "Off"}
        """What Set-VMNetworkAdapter sets and nothing here heeds. Replaced as a whole, never changed."""

    def blank(self) -> None:
        """-DynamicMacAddress where no host counts the address: in a checkpoint."""
        self.mac, self.dynamic, self.assigned = Mac(0), True, False

    def pin(self, mac: Mac) -> None:
        """-StaticMacAddress, likewise."""
        self.mac, self.dynamic, self.assigned = mac, False, True


class Settings(msgspec.Struct, frozen=True):
    """What a checkpoint brings back beside the adapters."""

    notes: str = ""
    processors: int = 1
    memory: int = 1 << 30
    """Bytes at startup."""
    dynamic_memory: bool = False
    disks: tuple[Disk, ...] = ()
    first_boot: str = ""
    secure_boot: bool = True


class VmCheckpoint(Checkpoint, frozen=True):
    """`power` is Running where it has the machine's memory; a production checkpoint has none."""

    id: str = ""
    name: str = ""
    created: float = 0.0
    parent: str = ""
    settings: Settings = Settings()


class Vm(Machine):
    """Known by its id; two machines of one host may bear the same name."""

    def __init__(self, id: str, name: str, *, generation: int = 2, path: str = "") -> None:
        super().__init__(name, ())
        self.id = id
        self.generation = generation
        self.path = path
        self.settings = Settings()
        self.paused = False
        self.migrating = False
        self.checkpoint_type = PRODUCTION
        self.automatic_start = "StartIfRunning"
        self.automatic_stop = "Save"
        self.created = 0.0
        self.parent = ""
        """The checkpoint that was taken or applied last."""
        self.managed = True
        """False between the crash of its host and the host's start."""
        self.power_ons = 0
        """How often it was started while it was off; a checkpoint that resumes it is no start."""

    @property
    def key(self) -> str:
        return self.id

    @property
    def state(self) -> str:
        return "Paused" if self.paused and self.power == RUNNING else self.power

    @property
    def nics(self) -> tuple[Nic, ...]:
        return tuple(each for each in self.adapters if isinstance(each, Nic))

    def nic(self, id: str) -> Nic | None:
        return next((each for each in self.nics if each.id == id), None)

    def taken(self) -> tuple[VmCheckpoint, ...]:
        """Its checkpoints, oldest first."""
        return tuple(each for each in self.checkpoints.values() if isinstance(each, VmCheckpoint))

    def capture(self, id: str, name: str, now: float) -> VmCheckpoint:
        """Take a checkpoint: adapters with their addresses and, of the standard kind, the memory of what runs."""
        power = self.power if self.checkpoint_type == STANDARD else OFF
        taken = VmCheckpoint(
            tuple(copy.copy(each) for each in self.adapters), power, id, name, now, self.parent, self.settings
        )
        self.checkpoints[id] = taken
        self.parent = id
        return taken


class ExportFile(msgspec.Struct, frozen=True):
    """The configuration in an export's .vmcx file."""

    machine: Vm
    disks: tuple[str, ...]
    """Paths of the exported copies, in the order of the machine's disks."""


def copied(machine: Vm) -> Vm:
    """As it is on disk: same id, nothing shared with the original."""
    made = copy.copy(machine)
    made.adapters = tuple(copy.copy(each) for each in machine.adapters)
    made.checkpoints = {
        id: msgspec.structs.replace(taken, adapters=tuple(copy.copy(each) for each in taken.adapters))
        for id, taken in machine.checkpoints.items()
    }
    return made
