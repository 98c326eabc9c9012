"""The table of cmdlets: well formed, with what work on a Hyper-V host needs, without what our scripts never use."""

import re

import pytest

from weft.core.hyperv.cmdlets import CMDLETS, COMMON_PARAMETERS, COMMON_SWITCHES


def test_names_are_verb_noun_and_kept_by_lower_case() -> None:
    for key, cmdlet in CMDLETS.items():
        assert key == cmdlet.name.lower()
        assert re.fullmatch(r"[A-Z][A-Za-z]+-[A-Z][A-Za-z0-9]+", cmdlet.name)
        assert cmdlet.page == f"{cmdlet.name} ({cmdlet.module})"


def test_parameters_are_words_and_each_stands_once() -> None:
    for cmdlet in CMDLETS.values():
        assert len({spelled.lower() for spelled in cmdlet.parameters.values()}) == len(cmdlet.parameters)
        for key, spelled in cmdlet.parameters.items():
            assert key == spelled.lower()
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", spelled), (cmdlet.name, spelled)
        assert cmdlet.switches <= cmdlet.parameters.keys()
        assert not COMMON_PARAMETERS & cmdlet.parameters.keys()


@pytest.mark.parametrize(
    ("cmdlet", "parameter", "switch"),
    [
        ("Set-VMNetworkAdapter", "VirtualSubnetId", False),
        ("Set-VMNetworkAdapter", "StaticMacAddress", False),
        ("Set-VMNetworkAdapter", "DynamicMacAddress", True),
        ("New-NetVirtualizationLookupRecord", "Context", False),
        ("New-NetVirtualizationLookupRecord", "asjob", True),
        ("Remove-NetVirtualizationLookupRecord", "PassThru", True),
        ("Get-VMSnapshot", "VM", False),
        ("stop-vm", "TurnOff", True),
        ("Move-VM", "IncludeStorage", True),
        ("Remove-ClusterGroup", "VMId", False),
        ("Get-VM", "ErrorAction", False),
        ("Get-VM", "Verbose", True),
    ],
)
def test_what_a_cmdlet_takes(cmdlet: str, parameter: str, switch: bool) -> None:
    found = CMDLETS[cmdlet.lower()]
    assert found.knows(parameter)
    assert found.is_switch(parameter) is switch


def test_what_is_not_on_the_page_is_not_known() -> None:
    assert not CMDLETS["get-vm"].knows("VMName")  # an alias of Name
    assert not CMDLETS["new-netvirtualizationcustomerroute"].knows("Context")  # routes bear no comment
    assert not CMDLETS["convertto-json"].knows("AsArray")  # of PowerShell 7


def test_what_our_scripts_never_call() -> None:
    for name in ("invoke-expression", "start-sleep", "add-type", "invoke-command", "get-vmcheckpoint", "where", "?"):
        assert name not in CMDLETS
    assert COMMON_SWITCHES < COMMON_PARAMETERS
