"""`weft watch`: what a line says, and that it goes on where a connection ended."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import Result

from tests.command_line import invoke
from weft.cli import follow
from weft.cli.commands import app
from weft.cli.desk import Desk
from weft.cli.follow import event_lines
from weft.wire.client import Client, Patience


def event(*changes: dict[str, Any], revision: int = 7) -> dict[str, Any]:
    return {"revision": revision, "time": "2026-01-01T00:00:00Z", "actors": [], "changes": list(changes)}


def machine(power: str, server: str, interfaces: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    refs = [{"resourceRef": f"/networkInterfaces/{name}"} for name in interfaces]
    properties = {
        "powerState": power,
        "server": {"resourceRef": f"/servers/{server}"},
        "networkInterfaces": refs,
    }
    return {"resourceId": "red1", "etag": f"W/{power}{server}", "properties": properties}


def updated(before: Any, after: Any) -> list[str]:
    change = {"action": "updated", "resourceRef": "/weft/virtualMachines/red1", "before": before, "after": after}
    return [line.partition("updated   ")[2] for line in event_lines(event(change))]


def test_a_line_says_when_what_and_which_members_changed() -> None:
    [line] = event_lines(
        event(
            {
                "action": "updated",
                "resourceRef": "/weft/virtualMachines/red1",
                "before": machine("Running", "host1"),
                "after": machine("Off", "host1"),
            }
        )
    )
    assert line == "2026-01-01T00:00:00Z       7  updated   /weft/virtualMachines/red1  powerState: Running -> Off"


def test_moves_interfaces_children_and_addresses_in_words() -> None:
    on_host2 = machine("Running", "host2", interfaces=("a", "b"))
    assert updated(machine("Running", "host1"), on_host2) == [
        "/weft/virtualMachines/red1  server: /servers/host1 -> /servers/host2; "
        "networkInterfaces: /networkInterfaces/a -> /networkInterfaces/a, /networkInterfaces/b"
    ]
    web, db = ({"resourceId": name, "properties": {"addressPrefix": name}} for name in ("web", "db"))
    one, two = ({"resourceId": "blue", "properties": {"subnets": subnets}} for subnets in ([web], [db, web]))
    assert "properties/subnets" not in updated(one, two)[0]
    assert "subnets/db/properties/addressPrefix: - -> db" in updated(one, two)[0]
    [granted] = event_lines(event({"action": "granted", "address": "10.1.1.2", "holders": ["/networkInterfaces/n"]}))
    assert granted.split()[2:] == ["granted", "10.1.1.2", "/networkInterfaces/n"]


class Breaking(httpx.AsyncBaseTransport):
    """A controller whose streams hold one event each; `down` connections in between are refused."""

    def __init__(self, down: int = 0) -> None:
        self.down, self.asked = down, []
        self.cut = httpx.RemoteProtocolError("incomplete chunked read")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/readyz":
            return httpx.Response(200, json={"status": "ready", "generation": "g", "revision": 6})
        self.asked.append(request.url.params.get("after"))
        if 1 < len(self.asked) <= self.down + 1:
            raise httpx.ConnectError("refused", request=request)
        revision = int(self.asked[-1].rpartition(":")[2]) + 1
        change = {"action": "created", "resourceRef": f"/servers/h{revision}"}
        data = json.dumps(event(change, revision=revision))
        return httpx.Response(200, stream=Broken(f"id: g:{revision}\ndata: {data}\n\n".encode(), self.cut))


class Broken(httpx.AsyncByteStream):
    def __init__(self, content: bytes, cut: Exception) -> None:
        self.content, self.cut = content, cut

    async def __aiter__(self):
        yield self.content
        raise self.cut


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(follow, "PAUSES_S", (0.0, 0.0, 0.0))
    yield


def watching(transport: Breaking, *words: str) -> Result:
    def connect(url: str, new_id: Any, patience: Any) -> Client:
        return Client(httpx.AsyncClient(transport=transport, base_url="http://weft"), None, Patience(tries=1))

    return invoke(app, ["watch", *words], obj=Desk(None, connect))


def test_a_connection_that_ends_is_taken_up_where_it_ended() -> None:
    transport = Breaking(down=2)
    result = watching(transport, "--limit", "3")
    assert result.exit_code == 0, result.output
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["/servers/h7", "/servers/h8", "/servers/h9"]
    assert transport.asked == ["g:6", "g:7", "g:7", "g:7", "g:8"]
    assert "weft watch --after g:7" in result.stderr


def test_a_controller_that_stays_away_is_given_up_with_the_way_to_go_on() -> None:
    result = watching(Breaking(down=99))
    assert (result.exit_code, "To go on: weft watch --after g:7" in result.stderr) == (3, True)
