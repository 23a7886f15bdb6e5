"""Nitro attestation documents and KMS envelopes, written a second time.

Nothing here is shared with the server: certificates by `cryptography`, CBOR by
`cbor2`, CMS by `asn1crypto`. Each argument of `Nsm.document` changes one thing
of a valid document.
"""

import datetime
import hashlib
import time

import cbor2
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509.oid import NameOID

REGION = "eu-central-1"
INSTANCE = "i-0123456789abcdef0"
MODULE = f"{INSTANCE}-enc0198765432abcdef"
PROTECTED = bytes.fromhex("a1013822")  # {1: -35}, ES384

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


def default_pcrs():
    pcrs = {index: bytes(48) for index in range(16)}
    for index in (0, 1, 2, 3, 8):
        pcrs[index] = hashlib.sha384(b"PCR%d of the tests" % index).digest()
    pcrs[4] = hashlib.sha384(bytes(48) + INSTANCE.encode()).digest()
    return pcrs


class Nsm:
    """A root of its own and, below it, the chain that AWS's documents carry."""

    def __init__(self, now=None):
        now = now or datetime.datetime.now(datetime.timezone.utc)
        suffix = f"{REGION}.aws.nitro-enclaves"
        signs = ("digital_signature", "key_cert_sign", "crl_sign")
        root = _certificate("aws.nitro-enclaves", None, now - 365 * DAY, 3650 * DAY, signs, path_length=None)
        regional = _certificate(f"0123456789abcdef.{suffix}", root, now - DAY, 20 * DAY, signs, path_length=2)
        zonal = _certificate(
            f"fedcba9876543210.zonal.{suffix}", regional, now - DAY, 6 * DAY, signs, path_length=1
        )
        instance = _certificate(
            f"{INSTANCE}.{suffix}", zonal, now - HOUR, DAY, ("key_cert_sign",), path_length=0
        )
        self.chain = [root, regional, zonal, instance]
        self.root_pem = root.certificate.public_bytes(serialization.Encoding.PEM)
        self.leaf = self.issue_leaf(now - datetime.timedelta(seconds=600))

    def issue_leaf(self, not_before, lifetime=3 * HOUR, name=f"{MODULE}.{REGION}.aws", issuer=None):
        return _certificate(
            name, issuer or self.chain[-1], not_before, lifetime, ("digital_signature", "content_commitment")
        )

    def document(
        self,
        public_key=None,
        *,
        leaf=None,
        age=0.0,
        pcrs=None,
        definite=False,
        tagged=False,
        unprotected=None,
        payload_changes=None,
        extra_pairs=(),
        tamper=None,
    ):
        """A signed document; `public_key` is DER or None."""
        leaf = leaf or self.leaf
        payload = {
            "module_id": MODULE,
            "digest": "SHA384",
            "timestamp": int((time.time() - age) * 1000),
            "pcrs": default_pcrs() if pcrs is None else pcrs,
            "certificate": leaf.der,
            "cabundle": [link.der for link in self.chain],
            "public_key": public_key,
            "user_data": None,
            "nonce": None,
        }
        payload.update(payload_changes or {})
        pairs = [(name, value) for name, value in payload.items() if value is not ...] + list(extra_pairs)
        items = b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in pairs)
        # The hardware has written an indefinite-length map since 2025.
        encoded = bytes([0xA0 + len(pairs)]) + items if definite else b"\xbf" + items + b"\xff"
        signature = leaf.sign(cbor2.dumps(["Signature1", PROTECTED, b"", encoded]))
        if tamper:
            encoded, signature = tamper(encoded, signature)
        envelope = cbor2.dumps([PROTECTED, unprotected or {}, encoded, signature])
        return b"\xd2" + envelope if tagged else envelope


class _Issued:
    def __init__(self, key, certificate):
        self.key = key
        self.certificate = certificate
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    def sign(self, message):
        """ECDSA with SHA-384 as COSE wants it: r and s, 48 bytes each."""
        r, s = utils.decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def _certificate(common_name, issuer, not_before, lifetime, usages, **authority):
    key = ec.generate_private_key(ec.SECP384R1())
    attributes = [
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.ORGANIZATION_NAME, "Amazon"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "AWS"),
    ]
    attributes.append((NameOID.COMMON_NAME, common_name))
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])
    is_authority = "path_length" in authority
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage.update(dict.fromkeys(usages, True))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + lifetime)
        .add_extension(x509.BasicConstraints(is_authority, authority.get("path_length")), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=is_authority)
    )
    if is_authority:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        if issuer:
            parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
            builder = builder.add_extension(parent, critical=False)
    return _Issued(key, builder.sign((issuer or _Signer(key)).key, hashes.SHA384()))


class _Signer:
    def __init__(self, key):
        self.key = key


def recipient(bits=2048):
    """A fresh RSA key pair, as an enclave makes one for each document."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def spki(private_key):
    return private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def open_envelope(blob, private_key):
    """The secret inside a CiphertextForRecipient; checks that it is what AWS KMS sends."""
    content = cms.ContentInfo.load(blob, strict=True)
    assert content["content_type"].native == "enveloped_data"
    enveloped = content["content"]
    assert enveloped["version"].native == "v2"
    (information,) = enveloped["recipient_infos"]
    transport = information.chosen
    assert transport["version"].native == "v2"
    assert transport["rid"].name == "subject_key_identifier"
    assert transport["rid"].native == hashlib.sha256(spki(private_key)).digest()
    algorithm = transport["key_encryption_algorithm"]
    assert algorithm["algorithm"].native == "rsaes_oaep"
    assert algorithm["parameters"]["hash_algorithm"]["algorithm"].native == "sha256"
    assert algorithm["parameters"]["mask_gen_algorithm"]["algorithm"].native == "mgf1"
    assert algorithm["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native == "sha256"
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    content_key = private_key.decrypt(transport["encrypted_key"].native, oaep)
    assert len(content_key) == 32

    encrypted = enveloped["encrypted_content_info"]
    assert encrypted["content_type"].native == "data"
    assert encrypted["content_encryption_algorithm"]["algorithm"].native == "aes256_cbc"
    iv = encrypted["content_encryption_algorithm"]["parameters"].native
    decryptor = Cipher(algorithms.AES(content_key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(encrypted["encrypted_content"].native) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
