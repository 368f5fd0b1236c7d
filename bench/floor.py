"""The floor: an endpoint that only reads the body."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def read(request: Request) -> Response:
    """Read the body and say yes."""
    await request.body()
    return Response("{}", media_type="application/json")


def run(app: Starlette, port: int) -> None:
    """Serve with the receiver's own settings."""
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    routes = [Route("/", read), Route("/webhook", read, methods=["POST"])]
    run(Starlette(routes=routes), int(sys.argv[1]))
