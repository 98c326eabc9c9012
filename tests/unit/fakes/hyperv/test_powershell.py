"""The interpreter of the scripts' PowerShell: the semantics that scripts rely on without thinking of them.

What Windows PowerShell 5.1 does is known from its language pages (about_Operators, about_Arrays, about_Pipelines,
about_Try_Catch_Finally and others).
"""

import pytest

from tests.unit.fakes.hyperv.things import GUID, STOP, THINGS, out
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.run import run


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        # one object is itself, several are a list, none is nothing
        ("$x = 1, 2 | Where-Object { $_ -gt 1 }; $x", [2]),
        ("$x = 1, 2, 3 | Where-Object { $_ -gt 1 }; $x.Count", [2]),
        ("$x = 1 | Where-Object { $_ -gt 1 }; @($x).Count", [0]),
        ("$x = $null; @($x).Count", [1]),
        ("$x = 1 | Where-Object { $_ -gt 1 }; $null -eq $x", [True]),
        ("@(1).Count; (1).Count; $x = $null; $x.Count", [1, 1, 0]),
        ("$x = @(1); $x -is [array]", [True]),
        ("$x = if ($true) { @(1) }; $x -is [array]", [False]),
        ("$x = @(if ($true) { 1 }); $x -is [array]", [True]),
        ("@(1, @(2, 3)).Count; @(@(1, 2)).Count", [2, 2]),
        ("foreach ($one in $null) { 'never' }", []),
        ("$x = 1 | Where-Object { $false }; foreach ($one in $x) { 'never' }", []),
        ("$null | ForEach-Object { 'once' }", ["once"]),
        ("@() | ForEach-Object { 'never' }", []),
        (",@(1, 2) | ForEach-Object { $_.Count }", [2]),
        ("@{ a = 1; b = 2 } | ForEach-Object { $_.Count }", [2]),
    ],
)
def test_pipelines_unroll(script, expected):
    assert out(script) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'A' -eq 'a'", True),
        ("'A' -ceq 'a'", False),
        ("'1' -eq 1", True),
        ("1 -eq 'x'", False),
        ("1 -eq '0x1'", True),
        ("$null -eq ''", False),
        ("'' -eq $null", False),
        ("$true -eq 'False'", True),
        ("@(1, 2, 1) -eq 1", [1, 1]),
        ("@('a', 'b') -ne 'A'", ["b"]),
        ("'web1' -like 'WEB?'", True),
        ("'RDV_ROLLBACK - 7' -like 'RDV_ROLLBACK - *'", True),
        ("'a[1]' -like 'a`[1]'", True),
        ("'b' -like '[a-c]'", True),
        ("'x' -in 'X', 'y'", True),
        ("@('X', 'y') -contains 'x'", True),
        ("'x' -notin @()", True),
        ("$null -in @()", False),
        ("@() -contains $null", False),
        ("'b' -gt 'A'", True),
        ("10 -gt '9'", True),
        ("'10' -gt 9", False),
        ("-not ''", True),
        ("!@()", True),
        ("!@(0)", True),
        ("!@(0, 0)", False),
        ("!'False'", False),
        ("!@{}", False),
        ("1 + '2'", 3),
        ("'1' + 2", "12"),
        ("@(1) + 2", [1, 2]),
        ("7 / 2; ", 3.5),
        ("6 / 2", 3),
        ("-7 % 3", -1),
        ("2 + 3 * 4", 14),
        ("4GB", 4 * 2**30),
        ("3..1", [3, 2, 1]),
        ("'{0:X4}-{1} {{}}' -f 6001, 'a'", "1771-a {}"),
        ("'a', 'b' -join '-'", "a-b"),
        ("'a.b' -split '\\.'", ["a", "b"]),
        ("'001122' -replace '..(?!$)', '$&-'", "00-11-22"),
        ("[int]'12'", 12),
        ("[int]2.5", 2),
        ("[int]3.5", 4),
        ("[long]'3000000000'", 3000000000),
        ("[string]@(1, 2)", "1 2"),
        ("[string]$true", "True"),
        ("[string]$null", ""),
        ("[bool]'False'", True),
        ("[string][guid]'{0F8FAD5B-D9CB-469F-A165-70867728950E}'", GUID),
        ("'x' -is [string] -and 1 -isnot [string]", True),
        ("'aBc'.ToUpper().Substring(1)", "BC"),
        ("(1, 2, 3)[-1]", 3),
        ("(1, 2)[5] -eq $null", True),
        ("@{ a = 1 }['A']", 1),
        ("@{ a = 1 }.b -eq $null", True),
        ("([pscustomobject]@{ a = 1 }).b -eq $null", True),
        ("@([pscustomobject]@{ n = 1 }, [pscustomobject]@{ n = 2 }).n", [1, 2]),
        ("@([pscustomobject]@{ n = 1 }).n", 1),
        ("$null.Name.Other -eq $null", True),
        ("([pscustomobject]@{ a = 1 }).PSObject.Properties.Name -contains 'A'", True),
    ],
)
def test_values_of_expressions(expression, expected):
    found = out(f"$found = {expression}\n,$found")
    assert found == [expected]


def test_a_text_holds_values_of_variables_and_expressions_alone():
    script = """
$x = [pscustomobject]@{ n = 'q"$y`' }
$name = 'a'
"$name.n ${name}b $($x.n) `$name ""quoted"" it's`tdone"
'$name ''x'' `n'
@'
two
lines $name
'@
"""
    assert out(script) == ['a.n ab q"$y` $name "quoted" it\'s\tdone', "$name 'x' `n", "two\nlines $name"]


def test_names_have_no_case():
    assert out("$Name = 1; $NAME; [PSCUSTOMOBJECT]@{ Aa = 2 } | foreach-OBJECT { $_.aA }") == [1, 2]


def test_functions_have_their_own_variables_and_see_those_outside():
    script = """
$seen = 'outer'
$kept = 'outer'
function Show-It {
    param([Parameter(Mandatory)][string]$Name, [int]$Number = 4, [switch]$Twice)
    $kept = 'inner'
    "$seen $Name $Number"
    if ($Twice) { return 'again' }
    'last'
}
Show-It -Name 1 -Twice
Show-It 'b' '7'
$with = @{ Name = 'c'; Twice = $false }
@(Show-It @with).Count
$kept
"""
    assert out(script) == ["outer 1 4", "again", "outer b 7", "last", 2, "outer"]


def test_a_function_refuses_what_it_has_no_parameter_for():
    function = "function Show-It {\n    param([Parameter(Mandatory)][string]$Name)\n    $Name\n}\n"
    for call, id in [
        ("Show-It -Nmae 1", "NamedParameterNotFound"),
        ("Show-It 1 2", "PositionalParameterNotFound"),
        ("Show-It", "MissingMandatoryParameter"),
        ("Show-It -Name ''", "ParameterArgumentValidationErrorNullNotAllowed"),
        ("Show-It -Name", "MissingArgument"),
    ]:
        with pytest.raises(PowerShellError) as refused:
            out(STOP + function + call)
        assert refused.value.id == id


def test_a_script_takes_parameters():
    script = "param([Parameter(Mandatory)][string]$Json)\n$x = $Json | ConvertFrom-Json\n$x.a"
    assert out(script, Json='{"A": "x"}') == ["x"]
    with pytest.raises(PowerShellError, match="missing mandatory parameters: Json"):
        out(script)


# -- errors


def test_an_error_of_a_cmdlet_is_what_the_preference_says():
    script = "Get-Thing -Name 'a', 'gone', 'b' | ForEach-Object { $_.Name }\n'after'"
    found = run(script, {}, THINGS)
    assert found.output == ["a", "after"]
    assert [each.message for each in found.errors] == ["there is no thing gone"]
    with pytest.raises(PowerShellError) as stopped:
        out(STOP + script)
    assert (stopped.value.command, stopped.value.line) == ("Get-Thing", 2)
    silent = run(STOP + "Get-Thing -Name gone -ErrorAction SilentlyContinue\n'after'", {}, THINGS)
    assert (silent.output, silent.errors) == (["after"], [])


def test_catch_sees_the_record_and_finally_runs():
    script = f"""{STOP}
try {{ 'before'; Get-Thing gone; 'never' }}
catch {{ $_.Exception.Message; $_.FullyQualifiedErrorId; $_.CategoryInfo.Category; $_.InvocationInfo.MyCommand.Name }}
finally {{ $last = 'ran' }}
$last
"""
    assert out(script) == [
        "before",
        "there is no thing gone",
        "NotThere,Get-Thing",
        "ObjectNotFound",
        "Get-Thing",
        "ran",
    ]


def test_an_error_that_the_preference_lets_pass_is_not_caught():
    script = "try { Get-Thing gone; 'on' } catch { 'caught' }"
    assert out(script) == ["on"]
    assert out(script.replace("gone", "gone -ErrorAction Stop")) == ["caught"]


def test_a_statement_that_fails_outside_of_try_is_left_for_the_next():
    found = run("try { 1 } catch { 2 }\n[int]'x'\n'after'", {}, THINGS)
    assert found.output == [1, "after"]
    assert [(each.line, each.id) for each in found.errors] == [(2, "InvalidCast")]


def test_what_a_block_throws_passes_the_cmdlet_that_runs_it():
    with pytest.raises(PowerShellError, match="^no$"):
        out("1, 2 | ForEach-Object { throw 'no' }\n'after'")


def test_throw_ends_the_script_and_can_be_thrown_again():
    with pytest.raises(PowerShellError, match="^no: 3$"):
        out("try { throw 'no: {0}' -f 3 } catch { throw }")
    assert out('try { try { throw \'in\' } catch { throw "out: $($_.Exception.Message)" } } catch { "$_" }') == [
        "out: in"
    ]


def test_return_in_a_block_of_a_pipeline_ends_that_block_only():
    assert out("1, 2 | ForEach-Object { if ($_ -eq 1) { return }; $_ }\n'after'") == [2, "after"]


def test_loops_are_left_and_continued():
    script = "foreach ($i in 1..5) { if ($i -eq 2) { continue }; if ($i -eq 4) { break }; $i }"
    assert out(script) == [1, 3]
    assert out("$i = 0; while ($i -lt 3) { $i++; $i }") == [1, 2, 3]


def test_a_cmdlet_that_nobody_knows_is_refused_in_powershells_words():
    with pytest.raises(PowerShellError, match="^The term 'Get-Nothing' is not recognized as the name of a cmdlet"):
        out(STOP + "Get-Nothing")
    with pytest.raises(PowerShellError, match="^A parameter cannot be found that matches parameter name 'Nmae'.$"):
        out(STOP + "Get-Thing -Nmae a")
    assert out("try { Get-Thing -Nmae a } catch { $_.CategoryInfo.Category }") == ["InvalidArgument"]
    with pytest.raises(PowerShellError, match="on parameter 'Name'. The argument is null"):
        out(STOP + "Get-Thing -Name $null")


def test_all_of_a_pipeline_is_bound_before_any_of_it_runs():
    with pytest.raises(PowerShellError, match="Nope-It"):
        out(STOP + "Get-Thing gone | Nope-It")


def test_objects_go_down_a_pipeline_one_by_one():
    script = "$seen = @()\n1, 2 | ForEach-Object { $seen += $_; $_ } | ForEach-Object { $seen += $_ * 10 }\n$seen"
    assert out(script) == [1, 10, 2, 20]
    script = "$seen = @()\n$x = 1..9 | ForEach-Object { $seen += $_; $_ } | Select-Object -First 2\n$seen.Count"
    assert out(script) == [2]


def test_a_cmdlet_takes_an_object_from_the_pipeline_or_by_name():
    assert out("Get-Thing | Set-Thing -Loud") == ["a!", "B!"]
    assert out("Get-Thing | Set-Thing -Loud:$false") == ["a", "B"]
    assert out("Set-Thing -Thing (Get-Thing a)") == ["a"]
    with pytest.raises(PowerShellError, match="The input object cannot be bound"):
        out(STOP + "1 | Set-Thing")
    with pytest.raises(PowerShellError, match="missing mandatory parameters: Thing"):
        out(STOP + "Set-Thing -Loud")


# -- what is not known is loud


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("'ok'\nswitch (1) { 1 { 'a' } }", "line 3: switch statement"),
        ("& { 1 }", "the call"),
        ("$env:PATH", "env:PATH"),
        ("$typo", "which nothing has set"),
        ("Get-Thing | ForEach-Object { $_.Nmae }", "the fake's Thing has no property Nmae"),
        ("Get-Thing -Remote x", "the parameter -Remote of Get-Thing"),
        ("Get-Thing | ConvertTo-Json", "a whole Thing"),
        ("Get-Thing a | Where-Object Name -eq 'x'", "Where-Object"),
        ("try { 1 } catch [System.Exception] { 2 }", "a catch for one type"),
        ("[datetime]'2020-01-01'", "the type [datetime]"),
        ("'x'.Normalize()", "the method Normalize"),
        ("while ($true) { $x = 1 }", "a loop without end"),
        ("@{ a = (1 | Where-Object { $_ -gt 1 }) } | ConvertTo-Json", "what a pipeline did not write"),
        ("function f($x) { $x }", "param"),
        ("if (", "cannot be parsed"),
        ("Get-Thing > file", "redirection"),
    ],
)
def test_what_it_does_not_know_is_loud_and_cannot_be_caught(script, what):
    with pytest.raises(NotUnderstood) as loud:
        out(f"try {{\n{script}\n}} catch {{ 'caught' }}" if "if (" not in script else script)
    assert what in str(loud.value)
