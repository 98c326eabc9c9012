"""The cmdlets of PowerShell itself, and what its objects become: JSON, text, members."""

import json

import pytest

from tests.unit.fakes.hyperv.things import GUID, STOP, one, out
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.powershell.run import run
from weft.fakes.hyperv.powershell.values import NOTHING


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("@(1) | ConvertTo-Json", 1),
        ("ConvertTo-Json @(1)", [1]),
        ("1, 2 | ConvertTo-Json", [1, 2]),
        ("@{ a = @('x' | Where-Object { $_ }) } | ConvertTo-Json", {"a": ["x"]}),
        ("@{ a = ('x' | Where-Object { $_ }) } | ConvertTo-Json", {"a": "x"}),
        ("@{ a = @{ b = @{ c = @{ d = 1 } } } } | ConvertTo-Json -Depth 3", {"a": {"b": {"c": {"d": 1}}}}),
        (
            "@{ a = @{ b = @{ c = @{ d = 1 } } } } | ConvertTo-Json",
            {"a": {"b": {"c": "System.Collections.Hashtable"}}},
        ),
        ("@{ a = $null; b = $true; c = '<&>''\"\\' } | ConvertTo-Json", {"a": None, "b": True, "c": "<&>'\"\\"}),
        ("[pscustomobject]@{ s = (Get-Thing a).State } | ConvertTo-Json", {"s": 2}),
        ("[pscustomobject]@{ s = [string](Get-Thing a).State } | ConvertTo-Json", {"s": "Running"}),
        ("[pscustomobject]@{ s = (Get-Thing a).Id } | ConvertTo-Json", {"s": GUID}),
        ("'[[1],[]]' | ConvertFrom-Json | ConvertTo-Json -Depth 4", [[1], []]),
    ],
)
def test_what_becomes_json(script, expected):
    assert json.loads(one(script)) == expected


def test_nothing_piped_to_json_writes_nothing():
    assert out("@() | ConvertTo-Json") == []


def test_json_is_read_as_it_stands():
    names = 'a"b', "$(1)", "`n", "x\ny", "\u202eabc", "'"
    text = json.dumps({"n": names, "one": [1], "none": [], "o": {"x": None}})
    script = "param([string]$Json)\n$ErrorActionPreference = 'Stop'\n$a = $Json | ConvertFrom-Json\n"
    assert tuple(out(script + "$a.n", Json=text)) == names
    assert out(script + "$a.one -is [array]; $a.none.Count; $null -eq $a.o.x", Json=text) == [True, 0, True]
    assert json.loads(one(script + "$a | ConvertTo-Json -Depth 4 -Compress", Json=text)) == json.loads(text)
    with pytest.raises(PowerShellError, match="duplicated keys 'a' and 'A'"):
        out(script, Json='{"a": 1, "A": 2}')
    with pytest.raises(PowerShellError, match="it is an empty string"):
        out(script, Json="")


# -- the cmdlets of PowerShell itself


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("3, 1, 2 | Sort-Object", [1, 2, 3]),
        ("'b', 'A', 'B' | Sort-Object -Unique", ["A", "b"]),
        ("Get-Thing | Sort-Object -Property Name -Descending | ForEach-Object { $_.Name }", ["B", "a"]),
        ("1..5 | Select-Object -First 2", [1, 2]),
        ("1..5 | Select-Object -Last 1", [5]),
        ("1..5 | Select-Object -Skip 4", [5]),
        ("'a', 'A', 'b' | Select-Object -Unique", ["a", "A", "b"]),
        ("Get-Thing | Select-Object -ExpandProperty Name", ["a", "B"]),
        ("(Get-Thing | Select-Object -Property Name -First 1).Name", ["a"]),
        ("(1, 2, 3 | Measure-Object).Count", [3]),
        ("1 | Out-Null", []),
        ("Join-Path 'C:\\VMs\\' 'a.vhdx'", ["C:\\VMs\\a.vhdx"]),
        ("Split-Path -Path 'C:\\VMs\\a.vhdx' -Parent", ["C:\\VMs"]),
        ("Split-Path -Path 'C:\\VMs\\a.vhdx' -Leaf", ["a.vhdx"]),
        ("Write-Output 1, 2", [1, 2]),
        ("'a', 'b', 'a' | Group-Object | Where-Object { $_.Count -gt 1 } | ForEach-Object { $_.Name }", ["a"]),
    ],
)
def test_the_cmdlets_of_powershell(script, expected):
    assert out(script) == expected


def test_enumerations_compare_by_name_and_guids_by_value():
    script = (
        f"$t = Get-Thing a\n$t.State -eq 'running'; 'Running' -eq $t.State; \"$($t.State)\"; $t.Id -eq '{GUID.upper()}'"
    )
    assert out(script) == [True, True, "Running", True]


def test_properties_and_elements_are_set():
    script = """
$x = [pscustomobject]@{ a = 1; t = @{} }
$x.a = 2
$x.t.k = 3
$list = 1, 2
$list[1] = 5
$x.a, $x.t['K'], $list[1]
"""
    assert out(script) == [2, 3, 5]
    with pytest.raises(PowerShellError, match="The property 'z' cannot be found on this object"):
        out("$x = [pscustomobject]@{ a = 1 }; $x.z = 1")


def test_a_number_too_large_for_its_type_is_refused():
    with pytest.raises(PowerShellError, match="too large or too small for an Int32"):
        out(STOP + "[int]'3000000000'")


def test_nothing_is_kept_apart_from_null():
    assert run("$x = 1 | Where-Object { $false }; $x", {}, {}).output == []
    assert repr(NOTHING) == "NOTHING"
