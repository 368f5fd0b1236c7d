"""Which certificate authorities are trusted."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

from receiver.http.messages import NotSent, words


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Trust this file's authorities alone, or those of the environment. Raises `NotSent`.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` are OpenSSL's own variables, `REQUESTS_CA_BUNDLE` the one
    that Python programs often know. Without any, the system's authorities and Mozilla's.
    """
    named = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    file = ca_file or (None if any(named.values()) else os.environ.get("REQUESTS_CA_BUNDLE"))
    try:
        if file:
            return ssl.create_default_context(cafile=str(file))
        return _usual_trust(*named.values())
    except OSError as error:
        raise NotSent(f"cannot use the certificates in {file}: {words(error)}", error) from error


@lru_cache(maxsize=1)
def _usual_trust(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """Read once: there are 150 of them."""
    context = ssl.create_default_context()
    if not cert_file and not cert_dir:
        import certifi  # noqa: PLC0415  an address with http needs none

        context.load_verify_locations(certifi.where())
    return context
