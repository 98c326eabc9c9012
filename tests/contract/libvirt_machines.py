"""The world of agent.hypervisors.Hypervisor's contract in which libvirt's machines have disks and people virsh."""

import os
import re
import uuid
from pathlib import Path

from tests.contract.hypervisor_worlds import LibvirtWorld
from weft.model.hypervisor import Disk, Hardware


class LibvirtMachines(LibvirtWorld):
    letter = "m"

    def hardware(self, name):
        return Hardware(memory_mib=32, disks=(Disk(str(Path(self.lab.path) / f"{name}.qcow2"), 1),))

    async def rename(self, host, name, other):
        with self.connected(host) as connection:
            connection.lookupByName(name).rename(other)

    async def clone(self, host, name, other):
        """As virt-clone does, but with the addresses too: the mark is copied along."""
        with self.connected(host) as connection:
            text = connection.lookupByName(name).XMLDesc()
            text = text.replace(f"<name>{name}</name>", f"<name>{other}</name>")
            connection.defineXML(re.sub(r"<uuid>.*?</uuid>", f"<uuid>{uuid.uuid4()}</uuid>", text, count=1))

    async def stranger(self, host, name):
        text = f"<domain type='qemu'><name>{name}</name><memory>32768</memory><os><type>hvm</type></os></domain>"
        with self.connected(host) as connection:
            return connection.defineXML(text).UUIDString()

    def has_file(self, host, path):
        return os.path.exists(path)

    def delete_file(self, host, path):
        os.unlink(path)

    def clear(self):
        super().clear()
        for file in Path(self.lab.path).glob("*.qcow2"):
            file.unlink()
