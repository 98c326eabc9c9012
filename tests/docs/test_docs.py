"""The docs name what there is (routes, commands, metrics, codes, drop reasons, properties); their links lead somewhere.

What there is, is asked of the code (the tables it works from, its syntax tree, real answers), never listed here.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.docs import found
from tests.docs.texts import DOCS, ROOT, text_of
from tests.unit.api.conftest import Api, N, W, interface_in, machine_with, with_filters_routes_and_peers
from weft.__main__ import commands
from weft.agent.flows.fields import DropReason
from weft.api import openapi, words
from weft.api.metrics import Metrics
from weft.cli import desk
from weft.control.controller import Controller
from weft.model.kinds import KINDS, Kind

PAGES = sorted(page for page in (ROOT / "README.md", *DOCS.rglob("*.md")) if page.exists())
SHELL = ("sh", "shell", "bash", "console")
EVERYWHERE = "Options of many commands"
"""The section of cli.md whose options need not be named again."""


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    start = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert start is not None, f"there is no heading '{title}'"
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.end() : start.end() + end.start()] if end else text[start.end() :]


def named(word: str, text: str) -> bool:
    """Whether a word stands in the text whole: `subnet` is not named by `subnets`."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


# Routes


def test_every_path_of_the_description_is_documented() -> None:
    text = re.sub(r"\{\w+(?: or \w+)?\}", "{}", text_of("api.md")).lower()
    tails = ("/usage", "/addresses", "/reserve")
    for path in openapi.document("")["paths"]:
        plain = re.sub(r"\{\w+\}", "{}", path).lower()
        if plain.endswith(tails):
            # one sentence documents them for all pools
            assert f"`{plain[plain.rindex('/') :]}`" in text or f"...{plain[plain.rindex('/') :]}`" in text, path
            continue
        collection_or_one = (plain, f"{plain}/{{}}", plain.replace("{}/start", "{}/{action}"))
        action = re.sub(r"(virtualmachines/\{\})/(\w+)$", r"\1/{}", plain)
        assert any(each in text for each in (*collection_or_one, action)), path


def test_every_word_that_the_router_knows_is_documented() -> None:
    text = text_of("api.md").lower()
    for word in found.words_of_routes():
        assert re.search(rf"[/`]{re.escape(word)}(?![\w])", text), f"path segment '{word}'"


def test_every_action_and_every_query_is_documented() -> None:
    text = text_of("api.md")
    for word in sorted(found.words_of_actions()):
        assert re.search(rf"`{word}`", text, re.IGNORECASE), f"docs/api.md does not name the action '{word}'"
    for word in sorted(found.members_of_actions()):
        assert named(word, section(text, "/weft/v1")), f"docs/api.md does not name the member '{word}'"
    for word in sorted(found.queries()):
        assert re.search(rf"[?&`]{word}[=`]", text), f"docs/api.md does not name the query parameter '{word}'"


# Command line

COMMANDS = dict(found.commands(typer.main.get_command(commands()), ("weft",)))


@pytest.mark.parametrize("command", [name for name in COMMANDS if " " in name])
def test_every_command_and_option_is_documented(command: str) -> None:
    text = text_of("cli.md")
    is_bare_group = found.below_of(COMMANDS[command]) and not found.options(COMMANDS[command])
    own = "" if is_bare_group else section(text, command)
    for option in found.options(COMMANDS[command]):
        assert named(option, own) or named(option, section(text, EVERYWHERE)), f"{command} {option}"


def test_the_options_of_weft_itself_are_documented() -> None:
    for option in found.options(COMMANDS["weft"]):
        assert named(option, text_of("cli.md")), option


def test_every_exit_code_is_documented() -> None:
    codes = section(text_of("cli.md"), "Exit codes")
    for code in found.exit_codes():
        assert f"| {code} |" in codes, f"exit code {code}"


# What the service says


def test_every_metric_and_label_is_documented(controller: Controller) -> None:
    table = section(text_of("api.md"), "Service endpoints")
    for line in Metrics(controller).page().decode().splitlines():
        if line.startswith("# HELP "):
            assert f"`{line.split()[2]}`" in table, line
    for label in found.metric_labels():
        assert f"`{label}`" in table, label


def test_every_error_code_is_documented() -> None:
    text = "".join(text_of(name) for name in ("api.md", "operations.md", "cli.md"))
    missing = sorted(code for code in found.error_codes() if f"`{code}`" not in text)
    assert not missing


def test_every_documented_error_code_exists() -> None:
    """A code that no rule raises any more goes from the docs too."""
    first_cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+)", section(text_of("api.md"), "Errors"), re.MULTILINE)
    documented = {code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)}
    assert documented <= found.error_codes(), sorted(documented - found.error_codes())
    assert documented


def test_every_hint_is_about_a_code_that_there_is() -> None:
    assert set(desk.HINTS) <= found.error_codes()


@pytest.mark.parametrize("reason", DropReason)
def test_every_drop_reason_is_documented(reason: DropReason) -> None:
    assert f"`{reason.name.lower()}`" in section(text_of("operations.md"), "Dropped packets")


# Properties


def section_of(kind: Kind) -> str:
    return section(text_of("api.md"), kind.name)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_property_of_a_struct_is_documented(kind: Kind) -> None:
    own = section_of(kind)
    missing = sorted(name for name in found.members(kind) if not named(name, own))
    assert not missing, f"docs/api.md, {kind.name}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_every_property_that_is_answered_is_documented(kind: Kind, fabric: Api, controller: Controller) -> None:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in(dnsSettings={"dnsServers": ["10.1.1.53"]}))
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    await fabric.made(f"{W}/addressPlans/plan1", {"prefix": "0A-15-5D"})
    await with_filters_routes_and_peers(fabric, controller)
    await fabric.made(f"{W}/clusters/c1", {"servers": [{"resourceRef": "/servers/host1"}]})
    for path, asked in (
        (f"{W}/virtualMachines/vm1/checkpoint", {"resourceId": "before"}),
        (f"{W}/virtualMachines/vm1/export", {"resourceId": "copy"}),
        (f"{W}/macPools/pool1/reserve", {"count": 2, "purpose": "x", "until": "2030-01-01T00:00:00Z"}),
    ):
        assert (await fabric.post(path, asked)).is_success, path
    await _make_gateways(fabric)
    if kind.name in words.UNSERVED_KINDS:
        return
    listed = await fabric.body(f"{N if kind.prefix == 'networking' else W}/{kind.name}")
    assert listed["value"]
    envelope = section(text_of("api.md"), "Envelope")
    own = section_of(kind)
    for name in sorted(_names(listed["value"])):
        assert named(name, own) or named(name, envelope), f"{kind.name}: {name}"


async def _make_gateways(fabric: Api) -> None:
    pool = {"resourceId": "p", "properties": {"startIpAddress": "203.0.113.10", "endIpAddress": "203.0.113.20"}}
    public = {"addressPrefix": "203.0.113.0/24", "isPublic": True, "ipPools": [pool]}
    await fabric.made(f"{N}/logicalNetworks/internet", {"subnets": [{"resourceId": "public", "properties": public}]})
    await fabric.made(f"{N}/publicIPAddresses/out", {})
    outside = {"publicIPAddresses": [{"resourceRef": "/publicIPAddresses/out"}]}
    await fabric.made(f"{N}/gatewayPools/forwarders", {"type": "forwarding", "ipConfiguration": outside})
    gateway = {"pool": {"resourceRef": "/gatewayPools/forwarders"}, "server": {"resourceRef": "/servers/host1"}}
    await fabric.made(f"{N}/gateways/g1", gateway)
    way_out = {
        "GatewayPools": [{"resourceRef": "/gatewayPools/forwarders"}],
        "gatewaySubnets": [{"resourceRef": "/virtualNetworks/blue/subnets/web"}],
    }
    await fabric.made(f"{N}/virtualGateways/v", way_out)


def _names(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_names(each) for each in value))
    if isinstance(value, dict):
        return set(value) | set().union(*(_names(each) for each in value.values()))
    return set()


# Links and examples


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file.read_text()), f"{page.name}: {target}"


def _anchors(text: str) -> set[str]:
    """As code hosts make them of headings: lower case, spaces to dashes, punctuation left out."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_name_commands_that_exist(page: Path) -> None:
    for language, block in re.findall(r"^ *```(\w+)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        if language in SHELL:
            for line in block.splitlines():
                for words in found.weft_calls(line, prompted=language == "console"):
                    _check_call(words, f"{page.name}: {line}")


def _check_call(words: list[str], where: str) -> None:
    """Follow the words down the command tree and ask for each option; what a command takes beside them is its own."""
    command, known = COMMANDS["weft"], found.options(COMMANDS["weft"]) | {"--help": False}
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        if word.startswith("-") and word != "-":
            spelling, _, value = word.partition("=")
            assert spelling in known, where
            if known[spelling] and not value:
                next(rest, None)
        elif below := found.below_of(command):
            assert word in below or _is_placeholder(word), where
            command = below.get(word, command)
            known |= found.options(command)


def _is_placeholder(word: str) -> bool:
    """As in `weft COMMAND --help`."""
    return word.isupper()
