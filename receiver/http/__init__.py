"""The one HTTP client: single requests with a total deadline, and failures that say what is true.

Whoever asks another program imports it from here; nothing else opens a connection.
"""

from receiver.http.client import Answer, Client
from receiver.http.messages import (
    LONGEST_QUOTE,
    USER_AGENT,
    Credentials,
    InDoubt,
    NoAnswer,
    NotSent,
    Request,
    Response,
    basic,
    bearer,
    is_redirect,
    is_server_error,
    is_success,
    words,
)
from receiver.http.tls_cures import WRITE_HTTPS, wants_tls

__all__ = [
    "LONGEST_QUOTE",
    "USER_AGENT",
    "WRITE_HTTPS",
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
    "is_redirect",
    "is_server_error",
    "is_success",
    "wants_tls",
    "words",
]
