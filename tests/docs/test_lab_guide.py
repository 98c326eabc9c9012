"""docs/lab-guide.md is what a reader can do: its worksheet is the example, its cmdlets are known.

That its commands exist is asked of every page, in test_docs.py.
"""

import re
from pathlib import Path

from tests.docs.texts import text_of
from weft.core.hyperv.cmdlets import CMDLETS

ROOT = Path(__file__).parents[2]


def test_its_worksheet_is_the_example() -> None:
    text = text_of("lab-guide.md")
    shown = text.split("$ cat examples/worksheet.csv\n")[1].split("$ ")[0]
    assert shown == (ROOT / "examples" / "worksheet.csv").read_text()


def test_its_cmdlets_and_their_parameters_are_those_of_the_policy_script() -> None:
    for block in re.findall(r"```powershell\n(.*?)```", text_of("lab-guide.md"), re.DOTALL):
        for line in block.splitlines():
            name, *rest = line.split(" ", 1)
            for parameter in re.findall(r" -(\w+)", " " + rest[0]):
                assert CMDLETS[name.lower()].knows(parameter), f"{parameter}: {line}"
