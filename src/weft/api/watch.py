"""GET /weft/v1/watch: every change as server-sent events, one event per revision. Called by weft.api.routes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from weft.api.call import Answer, Call, encode
from weft.api.changes import event_of
from weft.control.controller import Controller
from weft.core.changes import Commit
from weft.model.errors import Compacted, Invalid

HEARTBEAT_S = 15.0
"""A comment goes out after so much silence, so that a dead connection is noticed on both sides."""

EVENT_STREAM = b"text/event-stream; charset=utf-8"
_UNCACHED = ((b"cache-control", b"no-store"),)


async def watch(controller: Controller, call: Call, ending: asyncio.Event) -> Answer:
    """Events after the cursor ?after=GENERATION:REVISION (or Last-Event-ID), from now on without one.

    Raises Compacted (410) if the log no longer reaches back, Invalid for a cursor that is none.
    """
    call.only("after")
    text = call.query.get("after") or call.header(b"last-event-id") or ""
    cursor = _cursor(text) if text else (controller.generation, controller.state.revision)
    newest = controller.state.revision
    if cursor[0] == controller.generation and cursor[1] > newest:
        raise Compacted(f"There is no revision {cursor[1]} yet, the newest is {newest}: read everything, then watch.")
    commits = controller.subscribe(*cursor)
    following = asyncio.ensure_future(anext(commits))
    # one turn of the loop lets the first step refuse, while that can still be an answer and not a broken stream
    await asyncio.sleep(0)
    if following.done() and following.exception() is not None:
        following.result()
    stream = _events(controller.generation, commits, following, ending)
    return Answer(200, headers=_UNCACHED, content_type=EVENT_STREAM, stream=stream)


def _cursor(text: str) -> tuple[str, int]:
    generation, _, revision = text.rpartition(":")
    if not generation or not revision.isdecimal() or len(revision) > 18:
        raise Invalid(f"?after={text}: a cursor is GENERATION:REVISION, as in the ids of events.", target="after")
    return generation, int(revision)


async def _events(
    generation: str, commits: AsyncIterator[Commit], following: "asyncio.Future[Any]", ending: asyncio.Event
) -> AsyncIterator[bytes]:
    """Until `ending` is set, so that a controller that stops does not break off in the middle."""
    ended: asyncio.Future[Any] = asyncio.ensure_future(ending.wait())
    try:
        yield b": connected\n\n"
        while not ending.is_set():
            done, _ = await asyncio.wait({following, ended}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                return
            if not done:
                yield b": alive\n\n"
                continue
            try:
                commit = following.result()
            except (StopAsyncIteration, Compacted):
                # too slow for the log: the client comes back with its cursor and gets 410
                return
            yield _event(generation, commit)
            following = asyncio.ensure_future(anext(commits))
    finally:
        following.cancel()
        ended.cancel()


def _event(generation: str, commit: Commit) -> bytes:
    return b"id: %s:%d\nevent: revision\ndata: %s\n\n" % (
        generation.encode(),
        commit.revision,
        encode(event_of(commit)),
    )
