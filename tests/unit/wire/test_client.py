"""The client against an in-process server that fails on purpose."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from weft.model.errors import Compacted, Conflict, Invalid, NotFound, Refusal, Unavailable, WaitTimedOut, WeftError
from weft.wire.client import Client, ControllerUnreachable, Patience, Write, error_of, path_of, server_sent_events


class Flaky(httpx.AsyncBaseTransport):
    """Answers what it is told to after losing the first `lost` connections; remembers each request."""

    def __init__(self, status: int = 200, body: Any = None, lost: int = 0) -> None:
        self.status, self.body, self.lost = status, body, lost
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if len(self.seen) <= self.lost:
            raise httpx.ConnectError("refused", request=request)
        if self.body is None:
            return httpx.Response(self.status)
        return httpx.Response(self.status, json=self.body, headers={"etag": 'W/"1"'})


def client_on(flaky: Flaky, ids: bool = True) -> Client:
    numbers = iter(range(1000))
    http = httpx.AsyncClient(transport=flaky, base_url="http://weft")
    return Client(http, (lambda: f"id-{next(numbers)}") if ids else None, Patience(tries=3, pause_s=0.0))


async def test_lost_connection_is_tried_again_with_the_same_request_id() -> None:
    flaky = Flaky(201, {"resourceId": "blue"}, lost=2)
    async with client_on(flaky) as client:
        answer = await client.put("/networking/v1/virtualNetworks/blue", {})
    assert (answer.status, answer.body, answer.etag) == (201, {"resourceId": "blue"}, 'W/"1"')
    assert [r.headers["x-ms-client-request-id"] for r in flaky.seen] == ["id-0"] * 3


async def test_each_write_has_its_own_request_id() -> None:
    flaky = Flaky(200, {})
    async with client_on(flaky) as client:
        await client.put("/a", {})
        await client.delete("/a")
    assert [r.headers["x-ms-client-request-id"] for r in flaky.seen] == ["id-0", "id-1"]


async def test_write_without_ids_is_not_repeated_but_a_read_is() -> None:
    flaky = Flaky(200, {}, lost=1)
    async with client_on(flaky, ids=False) as client:
        with pytest.raises(ControllerUnreachable):
            await client.put("/a", {})
    flaky = Flaky(200, {"value": []}, lost=1)
    async with client_on(flaky, ids=False) as client:
        assert await client.get("/a") == {"value": []}


class Ending(Flaky):
    """A controller that ends: it says so to who comes first, is gone for the next, and then back."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.seen:
            return await super().handle_async_request(request)
        self.seen.append(request)
        body = {"error": {"code": "ControllerEnding", "message": "Ask again."}}
        return httpx.Response(503, json=body, headers={"retry-after": "0"})


async def test_a_controller_that_ends_is_asked_again_with_the_same_request_id() -> None:
    ending = Ending(201, {"resourceId": "blue"}, lost=2)
    async with client_on(ending) as client:
        assert (await client.put("/networking/v1/virtualNetworks/blue", {})).status == 201
    assert [r.headers["x-ms-client-request-id"] for r in ending.seen] == ["id-0"] * 3


async def test_what_is_refused_for_another_reason_is_not_asked_again() -> None:
    flaky = Flaky(503, {"error": {"code": "ServiceUnavailable", "message": "The disk is full."}})
    async with client_on(flaky) as client:
        with pytest.raises(Unavailable, match="disk is full"):
            await client.put("/a", {})
    assert len(flaky.seen) == 1


async def test_lost_for_good_says_where_and_what_to_do() -> None:
    async with Client.connect("unix:/nowhere/weft.sock", patience=Patience(tries=1)) as client:
        with pytest.raises(ControllerUnreachable, match="unix:/nowhere/weft.sock.*weft serve"):
            await client.get("/healthz")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8470",
        "",
        "foo",
        "http://",
        "http://localhost:abc",
        "http://[::1",
        "unix:",
        "ftp://a",
        "http://a:99999",
    ],
)
async def test_controller_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="unix:PATH"):
        Client.connect(url)


@pytest.mark.parametrize(
    ("status", "family"),
    [(400, Invalid), (404, NotFound), (409, Conflict), (410, Compacted), (418, Refusal), (504, WaitTimedOut)],
)
async def test_refusal_comes_back_as_its_exception(status: int, family: type[WeftError]) -> None:
    body = {"error": {"code": "SomeCode", "message": "no", "target": "subnets", "details": [{"message": "why"}]}}
    async with client_on(Flaky(status, body)) as client:
        with pytest.raises(family) as caught:
            await client.get("/a")
    error = caught.value
    assert (error.code, error.message, error.target, error.status) == ("SomeCode", "no; why", "subnets", status)


def test_error_without_body() -> None:
    error = error_of(502, None)
    assert (error.code, error.status, error.message) == ("Http502", 502, "the controller answered 502")


async def test_list_follows_next_link() -> None:
    class Pages(Flaky):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            last = request.url.params.get("after") == "2"
            return httpx.Response(
                200, json={"value": [3] if last else [1, 2], "nextLink": "" if last else "/a?after=2"}
            )

    async with client_on(Pages()) as client:
        assert await client.list_all("/a") == [1, 2, 3]


async def test_how_a_write_is_to_be_done_travels_in_query_and_headers() -> None:
    flaky = Flaky(200, {})
    async with client_on(flaky) as client:
        await client.put("/a", {}, Write(dry_run=True, wait_s=30, if_match="*"))
    (request,) = flaky.seen
    assert dict(request.url.params) == {"dryRun": "true", "wait": "hosts", "timeout": "30"}
    assert request.headers["if-match"] == "*"
    assert "if-none-match" not in request.headers


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        ("/virtualNetworks/blue/subnets/web", "/networking/v1/virtualNetworks/blue/subnets/web"),
        ("/weft/virtualMachines/web1", "/weft/v1/virtualMachines/web1"),
        ("virtualMachines/web1", "/weft/v1/virtualMachines/web1"),
    ],
)
def test_path_of_a_resource_ref(ref: str, path: str) -> None:
    assert path_of(ref) == path


async def test_server_sent_events() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in [": hello", "", "id: g:1", 'data: {"a":', "data: 1}", "", "id: g:2", "data: 2", ""]:
            yield line

    assert [event async for event in server_sent_events(lines())] == [("g:1", {"a": 1}), ("g:2", 2)]
