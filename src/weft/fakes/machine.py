"""A machine of a fake datacenter, as its hosts have it; its stack is in fakes/guest.py."""

from weft.fakes.guest import Adapter
from weft.fakes.shelf import Checkpoint


class Guest:
    """A machine: where it runs, and its adapters. `silent` is a firewall inside that answers nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = ""
        """Where it runs; empty while it does not."""
        self.prepared: set[str] = set()
        """Hosts that have its ports."""
        self.adapters: tuple[Adapter, ...] = ()
        self.silent = False
        self.saved = False
        self.mtu = 0
        """Of its adapters as its hypervisor tells it; 0: it does not."""
        self.isolated = False
        """Its ports were unplugged by us."""
        self.checkpoints: list[Checkpoint] = []
        self.exports: list[str] = []
