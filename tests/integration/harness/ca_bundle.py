"""Certificates of two authorities, as the bundle that AppAPI sends along."""
import datetime
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class CaBundle:
    """`text` is the bundle with comments between, as Nextcloud's has them; `pems` its members."""

    def __init__(self, *names):
        self.pems = [authority(name) for name in names]
        self.text = "##\n## Bundle of CA Root Certificates\n##\n" + "".join(
            f"\n{name}\n{'=' * len(name)}\n{pem}" for name, pem in zip(names, self.pems))


def authority(name):
    """A self-signed certificate, as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
    return made.public_bytes(serialization.Encoding.PEM).decode()


def pems(text):
    """Each certificate in that PEM text, without what stands between."""
    return re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)


def load(pem):
    return x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)


def common_name(certificate):
    entry, = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return entry.value
