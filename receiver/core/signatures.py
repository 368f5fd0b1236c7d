"""Signatures of webhooks, as Standard Webhooks defines them: v1, HMAC-SHA256."""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes; the standard's own bounds."""

CURE = 'write the output of: echo "whsec_$(openssl rand -base64 32)"'


def signing_key(secret: str) -> bytes:
    """The key in `whsec_BASE64`. Raises `ValueError`, without the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"holds no signing secret in base64; {CURE}") from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        bounds = f"{SHORTEST_KEY} to {LONGEST_KEY}"
        raise ValueError(f"holds a signing secret of {len(key)} bytes, not {bounds}; {CURE}")
    return key


def signature(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    signed = f"{message_id}.{seconds}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(key: bytes, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of a message that is signed at this moment: old ones may be turned away."""
    seconds = int(now.timestamp())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(key, message_id, seconds, body),
    }
