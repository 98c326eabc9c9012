"""Two fake hosts and a way to type at them."""

import json

from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.powershell.run import run

STOP = "$ErrorActionPreference = 'Stop'\n"


class World:
    def __init__(self):
        self.datacenter = HyperVDatacenter()
        self.host1 = self.datacenter.add_host("hv1", "192.168.1.10")
        self.host2 = self.datacenter.add_host("hv2", "192.168.2.20")
        self.console = Console(self.datacenter, "hv1")
        self.console2 = Console(self.datacenter, "hv2")

    def type(self, text, host=None):
        """What the script writes; an error of a cmdlet ends it."""
        return run(STOP + text, {}, cmdlets_of(host or self.host1)).output

    def read(self, text, host=None):
        """What it writes, by way of JSON."""
        return json.loads(self.type(f"@({text}) | ForEach-Object {{ $_ }} | ConvertTo-Json -Depth 5", host)[0])

    def macs(self, vm):
        return [f"{nic.mac:012X}" for nic in vm.nics]
