"""Certificates of a test's own: an authority, and what it signs for servers and clients."""
import datetime
import ipaddress
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """`crt` is its certificate's file; all files are in `folder`."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = pathlib.Path(folder)
        self.count = 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        cert = self._builder(self.name, self.key, 0, 10).add_extension(
            x509.BasicConstraints(True, None), True).sign(self.key, hashes.SHA256())
        self.crt = self.folder / f"{name.replace(' ', '-')}.crt"
        self.crt.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, key, begins, ends):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now + datetime.timedelta(days=begins, hours=-1))
                .not_valid_after(now + datetime.timedelta(days=ends)))

    def issue(self, *names, use="client", dns=(), begins=0, ends=5, split=False):
        """The file of a certificate with these common names, with its key behind it; split: two files, and
        both are returned."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
        builder = self._builder(subject, key, begins, ends).add_extension(
            x509.ExtendedKeyUsage([USES[use]]), False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        other = [x509.DNSName(name) for name in dns]
        if use == "server":
            other += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        if other:
            builder = builder.add_extension(x509.SubjectAlternativeName(other), False)
        cert = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.count += 1
        path = self.folder / f"issued-{self.count}.pem"
        if not split:
            path.write_bytes(cert + _pem(key))
            return path
        path.write_bytes(cert)
        path.with_suffix(".secret").write_bytes(_pem(key))
        return path, path.with_suffix(".secret")

    def context(self, client=None, version=None):
        """What a client connects with that trusts this authority; client: a file of issue()."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.load_verify_locations(self.crt)
        if client:
            tls.load_cert_chain(client)
        if version:
            tls.minimum_version = tls.maximum_version = version
        return tls


def der_of(path):
    """The first certificate of a PEM file."""
    pem = x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())
    return pem.public_bytes(serialization.Encoding.DER)


def fingerprint(path):
    cert = x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())
    return "sha256:" + cert.fingerprint(hashes.SHA256()).hex()
