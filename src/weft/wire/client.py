"""The client of the public API, over TCP or a unix socket: what the CLI, the lab and the benches speak through.

Promises: every call answers what the controller answered, or raises. A refusal comes back as the same exception of
weft.model.errors that the controller raised (code, message, target, status). A lost connection is tried again with
the same x-ms-client-request-id (MS-NCNBI 1.3.1.2), so a write that was done but not answered is not done twice; when
it stays lost, ControllerUnreachable is raised. A controller that ends and says so is asked again, too. Calls may run
together. Ids come from `new_id`; without it no id is sent and only reads are tried again.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from weft.model.errors import (
    Compacted,
    Conflict,
    ControllerEnding,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    Unavailable,
    WaitTimedOut,
    WeftError,
)
from weft.model.kinds import BY_NAME
from weft.model.values import NewId
from weft.wire.place import check_controller

if TYPE_CHECKING:
    import httpx  # where it runs it is imported by those who speak: it takes as long as most of our own code
    import tenacity

NETWORKING = "/networking/v1"
WEFT = "/weft/v1"
DEFAULT_URL = "http://127.0.0.1:8470"

_FAMILIES: dict[int, type[WeftError]] = {
    400: Invalid,
    404: NotFound,
    409: Conflict,
    410: Compacted,
    412: PreconditionFailed,
    503: Unavailable,
    504: WaitTimedOut,
}


class ControllerUnreachable(Unavailable):
    """No answer from the controller: not running, wrong address, or the connection broke on every try."""

    code = "ControllerUnreachable"


class _Ending(Exception):
    """The controller answered that it ends."""

    def __init__(self, response: "httpx.Response") -> None:
        super().__init__()
        self.response = response
        told = response.headers.get("retry-after", "")
        self.after_s = float(told) if told.isdecimal() else 0.0


class Answer(msgspec.Struct, frozen=True):
    """`status` is 200, 201 or 204; `body` the decoded JSON, None where there was none."""

    status: int
    body: Any
    etag: str = ""


class Write(msgspec.Struct, frozen=True):
    """How a write is to be done. `wait_s` > 0 answers when the hosts have applied it, or raises WaitTimedOut."""

    dry_run: bool = False
    wait_s: float = 0.0
    if_match: str | None = None
    if_none_match: str | None = None
    force: bool = False
    """Of the delete of a server: although machines are bound to it; of a machine that was taken in: although it
    runs."""
    fenced: bool = False
    """With force, of a server: it is cut off and runs nothing, although its agent is connected."""
    keep_disks: bool = False
    """Of the delete of a machine: not the disks that were made for it."""

    def parameters(self) -> dict[str, str]:
        """As the query of the request."""
        found = {"dryRun": "true"} if self.dry_run else {}
        found |= {"force": "true"} if self.force else {}
        found |= {"fenced": "true"} if self.fenced else {}
        found |= {"keepDisks": "true"} if self.keep_disks else {}
        return found | ({"wait": "hosts", "timeout": f"{self.wait_s:g}"} if self.wait_s else {})

    def headers(self) -> dict[str, str]:
        """The preconditions of MS-NCNBI 1.3.1.1."""
        asked = {"If-Match": self.if_match, "If-None-Match": self.if_none_match}
        return {name: value for name, value in asked.items() if value is not None}


PLAIN = Write()


class Patience(msgspec.Struct, frozen=True):
    """How long to hold on: `tries` for a lost connection (pauses 0.1, 0.2, 0.4 ... s, as long as Retry-After says after
    a controller said that it ends), `answer_s` for an answer."""

    tries: int = 4
    answer_s: float = 60.0
    pause_s: float = 0.1


class Client:
    """One connection pool to one controller. Use as an async context manager, or call `aclose`."""

    def __init__(
        self, http: "httpx.AsyncClient", new_id: NewId | None = None, patience: Patience | None = None
    ) -> None:
        self._http = http
        self._new_id = new_id
        self._patience = patience or Patience()
        self.place = str(http.base_url)
        """How messages name the controller."""

    @classmethod
    def connect(cls, url: str, new_id: NewId | None = None, patience: Patience | None = None) -> "Client":
        """Open lazily: `http://HOST:PORT`, `https://...`, or `unix:PATH`. Raises Invalid for another form."""
        import httpx

        check_controller(url)
        if url.startswith("unix:"):
            transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:"), verify=False)
            client = cls(httpx.AsyncClient(transport=transport, base_url="http://weft"), new_id, patience)
        else:
            # the roots of trust take 25 ms to load, and are of use for https alone; no redirect is followed
            secure = url.startswith("https:")
            client = cls(httpx.AsyncClient(base_url=url.rstrip("/"), trust_env=False, verify=secure), new_id, patience)
        client.place = url
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **parameters: str | int) -> Any:
        """The body of a resource, child or view. Raises NotFound and other refusals."""
        return (await self._call("GET", path, {k: str(v) for k, v in parameters.items()})).body

    async def text(self, path: str, **parameters: str) -> str:
        """As `get`, of what is no JSON: a host's policy as a script."""
        return str((await self._call("GET", path, parameters)).body)

    async def find(self, path: str) -> Any | None:
        """As `get`, with None where there is nothing."""
        try:
            return await self.get(path)
        except NotFound:
            return None

    async def list_all(self, path: str) -> list[Any]:
        """All resources of a collection, following nextLink."""
        found: list[Any] = []
        seen = {""}
        while path not in seen:
            seen.add(path)
            page = await self.get(path)
            found += page["value"]
            path = page.get("nextLink") or ""
        return found

    async def put(self, path: str, body: Any, write: Write = PLAIN) -> Answer:
        return await self._call("PUT", path, write.parameters(), body, write)

    async def delete(self, path: str, write: Write = PLAIN) -> Answer:
        return await self._call("DELETE", path, write.parameters(), None, write)

    async def post(self, path: str, body: Any, write: Write = PLAIN) -> Answer:
        """Actions (`/weft/v1/virtualMachines/web1/start`), trace, batch."""
        return await self._call("POST", path, write.parameters(), body, write)

    async def batch(self, requests: Iterable[dict[str, Any]], write: Write = PLAIN) -> list[Any]:
        """All or nothing in one revision: the responses, one per request. A refusal's target names the request."""
        answer = await self.post(f"{WEFT}/batch", {"atomic": True, "requests": list(requests)}, write)
        responses: list[Any] = answer.body["responses"]
        return responses

    async def watch(self, after: str = "") -> AsyncGenerator[tuple[str, Any], None]:
        """Every change as (cursor GENERATION:REVISION, event), until the connection ends. Raises Compacted."""
        import httpx

        query = {"after": after} if after else {}
        timeout = httpx.Timeout(None, connect=5.0)
        try:
            async with self._http.stream("GET", f"{WEFT}/watch", params=query, timeout=timeout) as response:
                if response.status_code != 200:
                    raise error_of(response.status_code, _json(await response.aread()))
                async for event in server_sent_events(response.aiter_lines()):
                    yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def capture(self, query: dict[str, str]) -> AsyncGenerator[bytes, None]:
        """A pcap file piece by piece, until the capture ends; see docs/api.md."""
        import httpx

        timeout = httpx.Timeout(None, connect=5.0)
        try:
            async with self._http.stream("GET", f"{WEFT}/capture", params=query, timeout=timeout) as response:
                if response.status_code != 200:
                    raise error_of(response.status_code, _json(await response.aread()))
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def _call(
        self, method: str, path: str, query: dict[str, str], body: Any = None, write: Write = PLAIN
    ) -> Answer:
        import httpx

        headers = write.headers()
        content: bytes | None = None
        if body is not None or method == "PUT":
            headers["Content-Type"] = "application/json; charset=UTF-8"
            content = msgspec.json.encode(body)
        if self._new_id is not None and method != "GET":
            headers["x-ms-client-request-id"] = self._new_id()
        timeout = httpx.Timeout(self._patience.answer_s + write.wait_s, connect=5.0)
        request = self._http.build_request(
            method, path, params=query or None, content=content, headers=headers, timeout=timeout
        )
        response = await self._send(request)
        is_text = response.headers.get("content-type", "").startswith("text/plain")
        body = response.text if is_text else _json(response.content)
        answer = Answer(response.status_code, body, response.headers.get("etag", ""))
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return answer

    async def _send(self, request: "httpx.Request") -> "httpx.Response":
        """Send; on a lost connection, or if the controller ends, again: the same bytes with the same request id."""
        import httpx
        import tenacity

        repeatable = request.method == "GET" or "x-ms-client-request-id" in request.headers
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._patience.tries if repeatable else 1),
            wait=self._pauses(),
            retry=tenacity.retry_if_exception_type((httpx.NetworkError, httpx.RemoteProtocolError, _Ending)),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    response = await self._http.send(request)
                    if response.status_code == 503 and _code_of(response) == ControllerEnding.code:
                        raise _Ending(response)
                    return response
        except _Ending as ending:
            return ending.response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        raise AssertionError("tenacity either returns or raises")

    def _pauses(self) -> "Callable[[tenacity.RetryCallState], float]":
        """Of one request; as long as Retry-After said, once it was told."""
        import tenacity

        growing, told = tenacity.wait_exponential(multiplier=self._patience.pause_s), 0.0

        def pause(state: tenacity.RetryCallState) -> float:
            nonlocal told
            failure = state.outcome.exception() if state.outcome is not None else None
            if isinstance(failure, _Ending):
                told = failure.after_s
            return max(told, growing(state))

        return pause

    def _unreachable(self, error: Exception) -> ControllerUnreachable:
        why = str(error) or type(error).__name__
        return ControllerUnreachable(
            f"no answer from the controller at {self.place} ({why}); is `weft serve` running there? "
            "Name another with --controller or WEFT_CONTROLLER"
        )


def error_of(status: int, body: Any) -> WeftError:
    """The exception that an error body (MS-NCNBI 3.1.5.35) stands for; its family by what the caller can do."""
    said = body.get("error") if isinstance(body, dict) else None
    said = said if isinstance(said, dict) else {}
    family = _FAMILIES.get(status) or (Refusal if status < 500 else WeftError)
    details = [d.get("message", "") for d in said.get("details") or () if isinstance(d, dict)]
    said_first = str(said.get("message") or f"the controller answered {status}")
    message = "; ".join([said_first, *(detail for detail in details if detail != said_first)])
    error = family(message, code=said.get("code") or f"Http{status}", target=said.get("target"))
    error.status = status
    return error


def _code_of(response: "httpx.Response") -> str:
    return error_of(response.status_code, _json(response.content)).code


def path_of(ref: str) -> str:
    """Where a resourceRef (`/virtualNetworks/blue/subnets/web`, `/weft/virtualMachines/web1`) is served."""
    ref = "/" + ref.strip("/")
    first = ref.split("/")[1].lower()
    if first == "weft":
        return WEFT + ref[len("/weft") :]
    kind = BY_NAME.get(first)
    return (WEFT if kind is not None and kind.prefix == "weft" else NETWORKING) + ref


async def server_sent_events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    """(id, decoded data) of each event of a text/event-stream; comments and empty events are left out."""
    event_id = ""
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield event_id, json.loads("\n".join(data))
            data = []
        elif line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())


def _json(content: bytes) -> Any:
    """Decoded, or None where the body is empty or not JSON (a proxy's page)."""
    try:
        return msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        return None
