"""The yardstick of P1: a bare Starlette endpoint that decodes the JSON of a PUT and answers JSON, nothing else.

`python -m weft.bench.bare PORT` serves it with the same server and settings as `weft serve`.
"""

import sys

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def put(request: Request) -> Response:
    document = msgspec.json.decode(await request.body())
    return Response(msgspec.json.encode(document), media_type="application/json")


app = Starlette(routes=[Route("/{path:path}", put, methods=["GET", "PUT", "POST"])])


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
    )
