"""Client certificates signed by a hub's own CA, with every name that a test wants.

A certificate folder is HP_CERTS_DIR; ca.key and ca.crt are in frp below it, once a hub was started.
"""
import datetime
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EVERYBODY = "harp.client.nc"  # the name of the certificate that all have


def certificate_name(container):
    """The common name of an ExApp's own certificate."""
    if len(container) < 64:
        return container
    return container[:23] + "-" + hashlib.sha256(container.encode()).hexdigest()[:40]


def issue(certs, folder, *names, days=365, issuer=None, age=datetime.timedelta(hours=1)):
    """(certificate, key): paths of a new pair with these common names, valid for `days` from now and
    since `age`. issuer: None, or the pair that signs it in place of the CA."""
    ca_crt, ca_key = issuer or (pathlib.Path(certs) / "frp/ca.crt", pathlib.Path(certs) / "frp/ca.key")
    ca = x509.load_pem_x509_certificate(pathlib.Path(ca_crt).read_bytes())
    signer = serialization.load_pem_private_key(pathlib.Path(ca_key).read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)
                                     for name in names]))
            .issuer_name(ca.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - age)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                           False)
            .sign(signer, hashes.SHA256()))
    folder = pathlib.Path(folder)
    number = len(list(folder.glob("issued-*.crt")))
    crt_path, key_path = folder / f"issued-{number}.crt", folder / f"issued-{number}.key"
    crt_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                           serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return crt_path, key_path
