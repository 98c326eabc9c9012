"""Every cmdlet that a script of ours may call, and every parameter it may give: facts, nothing runs here.

From Microsoft's public cmdlet reference, one page per cmdlet, named by `Cmdlet.page`: the NetWNV pages of Windows
Server 2016 (the last that document the module), Hyper-V, NetAdapter and FailoverClusters of Windows Server 2025, the
others of Windows PowerShell 5.1, which every host has. Parameters that send a command to another computer stand here as
well, so that the fake host can refuse them by name. Aliases of cmdlets and parameters are left out: our scripts use
none.

The checker of scripts (tests/powershell.py) and the fake host (weft.fakes.hyperv) read this table; a script that needs
something which is not here has it added with its page's name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from weft.core.hyperv import cmdlets_hyperv, cmdlets_windows


@dataclass(frozen=True)
class Cmdlet:
    """A cmdlet as its page has it."""

    name: str
    module: str
    parameters: Mapping[str, str]
    """By lower case: the page's own spelling. Those that take a value and the switches."""
    switches: frozenset[str]
    """In lower case: those that stand alone."""

    @property
    def page(self) -> str:
        """Name of the public page that documents it."""
        return f"{self.name} ({self.module})"

    def knows(self, parameter: str) -> bool:
        """Whether a call may give this parameter, its own or one that every cmdlet has; whatever the case."""
        return parameter.lower() in self.parameters or parameter.lower() in COMMON_PARAMETERS

    def is_switch(self, parameter: str) -> bool:
        """Whether the parameter stands alone, without a value."""
        return parameter.lower() in self.switches or parameter.lower() in COMMON_SWITCHES


COMMON_SWITCHES = frozenset({"verbose", "debug"})
COMMON_PARAMETERS = COMMON_SWITCHES | frozenset(
    {
        "erroraction",
        "errorvariable",
        "informationaction",
        "informationvariable",
        "outbuffer",
        "outvariable",
        "pipelinevariable",
        "warningaction",
        "warningvariable",
    }
)
"""What each cmdlet takes beside its own, in lower case (about_CommonParameters)."""


def _cmdlet(module: str, row: str) -> Cmdlet:
    """A row is the cmdlet's name and its parameters; a switch ends in `!`."""
    name, *written = row.split()
    own = [word.rstrip("!") for word in written]
    return Cmdlet(
        name=name,
        module=module,
        parameters=MappingProxyType({each.lower(): each for each in own}),
        switches=frozenset(word[:-1].lower() for word in written if word.endswith("!")),
    )


def _table(modules: Iterable[tuple[str, tuple[str, ...]]]) -> Mapping[str, Cmdlet]:
    every = [_cmdlet(module, row) for module, rows in modules for row in rows]
    return MappingProxyType({each.name.lower(): each for each in every})


CMDLETS: Mapping[str, Cmdlet] = _table([*cmdlets_hyperv.MODULES, *cmdlets_windows.MODULES])
"""By lower-case name."""
