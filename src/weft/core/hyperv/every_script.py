"""Every fixed script that Weft sends to Hyper-V hosts. A module that has some adds its own here.

Read by the test that parses them all and by the fake host's own tests.
"""

from weft.core.hyperv import machines, network_scripts
from weft.core.hyperv.script import Script

SCRIPTS: tuple[Script, ...] = (*machines.SCRIPTS, *network_scripts.SCRIPTS)
