"""The one HTTP client: single requests with a total deadline, and failures that say what is true.

Whoever asks another program imports it from here; nothing else opens a connection.
"""

from receiver.http.client import Answer, Client
from receiver.http.messages import (
    Credentials,
    InDoubt,
    NoAnswer,
    NotSent,
    Request,
    Response,
    basic,
    bearer,
)

__all__ = [
    "Answer",
    "Client",
    "Credentials",
    "InDoubt",
    "NoAnswer",
    "NotSent",
    "Request",
    "Response",
    "basic",
    "bearer",
]
