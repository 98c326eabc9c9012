"""Every script that we send parses and calls what is documented, and the checker that says so finds what is wrong."""

import json

import pytest

from tests.powershell import faults
from weft.core.hyperv.every_script import SCRIPTS
from weft.core.hyperv.script import PROLOGUE, Script, json_line


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_parses_and_calls_what_is_documented(script: Script) -> None:
    assert faults(script.text) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_takes_one_argument_and_writes_one_document(script: Script) -> None:
    assert script.text.startswith(PROLOGUE)
    assert script.text.rstrip().endswith("| ConvertTo-Json -Depth 8 -Compress")


def test_no_two_scripts_have_one_name() -> None:
    assert len({script.name for script in SCRIPTS}) == len(SCRIPTS)


GOOD = (
    PROLOGUE
    + """
function Get-Own {
    param([string]$Name, $Kind)
    if ($Kind -eq 'x') { return }
    return @(Get-VM | Where-Object { $_.Name -eq $Name })
}
$values = @{ Name = $arguments.name; MemoryStartupBytes = 1 }
$values.Generation = 2
$values['Path'] = 'x'
if ($arguments.switch) { $values.SwitchName = $arguments.switch }
New-VM @values -NoVHD -ErrorAction Stop | Out-Null
$known = @{}
foreach ($one in @(Get-Own -Name 'a' -Kind 3)) {
    try { $known[('{0}' -f $one.Id)] = [string]$one.Name } catch { throw ('no: {0}' -f $_) } finally { }
}
[pscustomobject]@{ found = @($known.Keys) } | ConvertTo-Json -Depth 8 -Compress
"""
)


def test_what_is_in_order_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("if ($a { }", "does not parse"),
        ("Get-VM 'a", "does not parse"),
        ("gci", "calls 'gci'"),
        ("get-vm", "calls 'get-vm'"),
        ("Get-VM | ? { $_.Name }", "calls '?'"),
        ("Get-VM | select Name", "calls 'select'"),
        ("Invoke-Expression $x", "calls 'Invoke-Expression'"),
        ("Get-VMCheckpoint -VMName a", "calls 'Get-VMCheckpoint'"),
        ("& $x", "runs what a value names"),
        (". ./a.ps1", "calls"),
        ("Get-VM -VMName a", "Get-VM has no parameter VMName"),
        ("Stop-VM -Name a -Turn", "Stop-VM has no parameter Turn"),
        ("Set-VM -Confirm:$false -Nam x", "Set-VM has no parameter Nam"),
        ("function Get-Own { param($A)\n $A }\nGet-Own -B 1", "Get-Own has no parameter B"),
        ("$v = @{ Name = 1; Colour = 2 }\nGet-VM @v", "Get-VM has no parameter Colour"),
        ("$v = @{}\n$v.Colour = 2\nGet-VM @v", "Get-VM has no parameter Colour"),
        ("$v = @{}\n$v['Colour'] = 2\nGet-VM @v", "Get-VM has no parameter Colour"),
        ("Get-VM @v", "no table written here"),
        ('Get-VM -Name "a $b"', "puts a value into a string"),
        ("[scriptblock]::Create('x')", "uses type [scriptblock]"),
        ("[guid]::NewGuid()", "uses a static member"),
        ("while ($true) { }", "loops with while"),
        ("switch ($a) { 1 { } }", "uses switch"),
        ("Get-VM 2> x", "redirects"),
        ("Get-VM -Name 'é'", "ASCII"),
    ],
)
def test_a_fault_is_said(text: str, said: str) -> None:
    assert any(said in fault for fault in faults(text)), faults(text)


def test_a_line_of_json_holds_nothing_that_a_script_could_mistake() -> None:
    hostile = "it's `$(x)` \"q\"\r\n'@\n\u2018\u202e\u2028\x00\x7f\ud800 \U0001f600"
    line = json_line({hostile: [hostile, None, 1, True]})
    assert line.isascii()
    assert line.isprintable()
    assert "'" not in line
    assert json.loads(line) == {hostile: [hostile, None, 1, True]}
