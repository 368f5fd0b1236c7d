"""A certificate for 127.0.0.1 that nobody knows, for peers that speak TLS."""

from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOOPBACK = IPv4Address("127.0.0.1")


YEARS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def sign_certificate(
    folder: Path, *names: str, valid: tuple[datetime, datetime] = YEARS
) -> tuple[Path, Path]:
    """Sign a certificate for 127.0.0.1 and names with its own key: its file, and the key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = [x509.IPAddress(LOOPBACK), *(x509.DNSName(each) for each in names)]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate_file, key_file = folder / "peer.pem", folder / "peer.key"
    signed = builder.sign(key, hashes.SHA256())
    certificate_file.write_bytes(signed.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file
