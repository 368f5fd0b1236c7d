"""Renders templates and serves static files, with strict security headers."""

import hashlib
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from receiver import __version__
from receiver.core.durations import show_duration
from receiver.web.page import chart, labels, sparkline

HEADERS = {
    # No inline script or style, and no sink that makes script of text: the page has none.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    # With `no-referrer` a browser would hide the origin of our own forms from us.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

MEDIA_TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The static files, all of them: no other name is ever looked for on the disk."""


async def page(template: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """An answer in HTML. It is written in a thread: others are answered meanwhile."""

    def render() -> str:
        return environment().get_template(template).render(**values)

    text = await run_in_threadpool(render)
    return Response(text, status, {**HEADERS}, "text/html; charset=utf-8")


def static_file(name: str) -> Response | None:
    """One of our static files; None for any other name."""
    if name not in MEDIA_TYPES:
        return None
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_content(name), headers=headers, media_type=MEDIA_TYPES[name])


@cache
def environment() -> Environment:
    """The templates' environment: everything is escaped, and what is missing is a fault."""
    made = Environment(
        loader=PackageLoader("receiver.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    made.filters |= {
        "visible": labels.visible,
        "link": labels.web_link,
        "segment": labels.segment,
        "plain": labels.plain,
        "number": labels.number,
        "ago": labels.ago,
        "clock": labels.clock,
        "span": show_duration,
        "seconds": lambda count: show_duration(timedelta(seconds=count)),
        "pretty": labels.pretty,
    }
    made.globals |= {
        "sign": labels.sign,
        "STATES": labels.STATES,
        "MODES": labels.MODES,
        "DISPATCH_STATES": labels.DISPATCH_STATES,
        "OUTCOMES": labels.OUTCOMES,
        "EFFECTS": labels.EFFECTS,
        "ORIGINS": labels.ORIGINS,
        "WIDTH": sparkline.WIDTH,
        "HEIGHT": sparkline.HEIGHT,
        "CHART": (chart.WIDTH, chart.HEIGHT),
        "RANGES": chart.RANGES,
        "HOLDS": labels.HOLDS,
        "LISTED": chart.LISTED,
        "VERSION": __version__,
        "asset": _address,
    }
    return made


@cache
def _content(name: str) -> bytes:
    return (files("receiver.web") / "static" / name).read_bytes()


@cache
def _address(name: str) -> str:
    """A static file's address, which changes with its content."""
    return f"/ui/static/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"
