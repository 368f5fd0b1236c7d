"""What to mend where TLS fails: an authority, a name, a date, or the scheme of the address."""

import ssl
from collections.abc import Mapping
from http import HTTPStatus

from receiver.http.messages import Response

WRITE_HTTP = "no TLS is spoken there: write http:// in place of https://"
WRITE_HTTPS = "TLS is spoken there: write https:// in place of http://"

NAME_AUTHORITY = "let `ca_file` (or SSL_CERT_FILE) name the authority that signed its certificate"
OTHER_NAME = "write a name that its certificate holds, or have one signed that holds this name"
CERTIFICATE_CURES: Mapping[int, str] = {
    9: "its certificate is not valid yet: set the clocks",
    10: "its certificate has run out: renew it",
    62: OTHER_NAME,
    64: OTHER_NAME,
}
"""By OpenSSL's number of what is wrong (X509_V_ERR_…)."""

NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""What OpenSSL calls an answer in plain HTTP; which of them depends on its version."""

ALERT = "\x15\x03"
"""How TLS begins to say no; read as HTTP it is a bad status line."""

PLAIN_REFUSED = (
    b"HTTP request to an HTTPS server",  # Go: Alertmanager, Prometheus, most of Kubernetes
    b"plain HTTP request was sent to HTTPS port",  # nginx
    b"speaking plain HTTP to an SSL-enabled server port",  # Apache
)


def tls_cure(reason: BaseException) -> str:
    """What to mend after this failure; empty if TLS had no part in it."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return CERTIFICATE_CURES.get(reason.verify_code, NAME_AUTHORITY)
    if isinstance(reason, ssl.SSLError):
        return WRITE_HTTP if reason.reason in NOT_TLS else ""
    if ALERT in str(reason):
        return WRITE_HTTPS
    return ""


def wants_tls(answer: Response) -> bool:
    """Whether a server says that it was spoken to without TLS."""
    bad = answer.status == HTTPStatus.BAD_REQUEST
    return bad and any(words in answer.body for words in PLAIN_REFUSED)
