"""Keys of all specs through boto3, held against Python's cryptography.

What KMS signs, encrypts or agrees on must be what everybody else's implementation verifies,
decrypts and agrees on with the public key that GetPublicKey gives.
"""

import hashlib
import hmac
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed25519,
    mldsa,
    mlkem,
    padding,
    rsa,
    utils,
)

HASHES = {"SHA_1": hashes.SHA1(), "SHA_256": hashes.SHA256(), "SHA_384": hashes.SHA384(), "SHA_512": hashes.SHA512()}
MESSAGE = b"a message that is signed here and verified elsewhere"
RSA = ["RSA_2048", "RSA_3072", "RSA_4096"]
ECDSA = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
}
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}


def hash_of(algorithm):
    return HASHES["SHA_" + algorithm.rsplit("SHA_")[1]]


def digest_of(algorithm):
    return hashlib.new(hash_of(algorithm).name, MESSAGE).digest()


@pytest.fixture(scope="module")
def make(kms):
    """Makes a key of a spec and usage, or gives the one made before: RSA keys take long."""
    made = {}

    def make(spec, usage):
        if (spec, usage) not in made:
            made[spec, usage] = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        return made[spec, usage]

    return make


@pytest.fixture(scope="module")
def public(kms):
    """The public key of a KMS key, as Python's cryptography reads it."""

    def load(key):
        return serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])

    return load


class TestSignatures:
    def signature(self, kms, key, algorithm, kind, message):
        answer = kms.sign(KeyId=key, Message=message, MessageType=kind, SigningAlgorithm=algorithm)
        assert (answer["KeyId"], answer["SigningAlgorithm"]) == (key, algorithm)
        return answer["Signature"]

    def accepts(self, kms, refused, key, algorithm, kind, message, signature):
        asked = {"KeyId": key, "MessageType": kind, "SigningAlgorithm": algorithm}
        answer = kms.verify(Message=message, Signature=signature, **asked)
        assert answer["SignatureValid"] is True
        with refused("KMSInvalidSignatureException", None):
            kms.verify(Message=bytes(len(message)), Signature=signature, **asked)

    @pytest.mark.parametrize("kind", ["RAW", "DIGEST"])
    @pytest.mark.parametrize("size", [256, 384, 512])
    @pytest.mark.parametrize("scheme", ["RSASSA_PSS", "RSASSA_PKCS1_V1_5"])
    @pytest.mark.parametrize("spec", RSA)
    def test_rsa(self, kms, make, public, refused, spec, scheme, size, kind):
        algorithm = f"{scheme}_SHA_{size}"
        key = make(spec, "SIGN_VERIFY")
        message = MESSAGE if kind == "RAW" else digest_of(algorithm)
        signature = self.signature(kms, key, algorithm, kind, message)
        used = hash_of(algorithm)
        # The salt is as long as the hash.
        scheme = (
            padding.PSS(padding.MGF1(used), used.digest_size) if "PSS" in algorithm else padding.PKCS1v15()
        )
        assert len(signature) == int(spec[4:]) // 8
        public(key).verify(signature, MESSAGE, scheme, used)
        self.accepts(kms, refused, key, algorithm, kind, message, signature)

    @pytest.mark.parametrize("kind", ["RAW", "DIGEST"])
    @pytest.mark.parametrize("spec", list(ECDSA))
    def test_ecdsa(self, kms, make, public, refused, spec, kind):
        algorithm = ECDSA[spec]
        key = make(spec, "SIGN_VERIFY")
        message = MESSAGE if kind == "RAW" else digest_of(algorithm)
        signature = self.signature(kms, key, algorithm, kind, message)
        assert public(key).curve.name == CURVES[spec]().name
        public(key).verify(signature, MESSAGE, ec.ECDSA(hash_of(algorithm)))
        digest = ec.ECDSA(utils.Prehashed(hash_of(algorithm)))
        public(key).verify(signature, digest_of(algorithm), digest)
        self.accepts(kms, refused, key, algorithm, kind, message, signature)

    def test_ed25519(self, kms, make, public, refused):
        key = make("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
        signature = self.signature(kms, key, "ED25519_SHA_512", "RAW", MESSAGE)
        assert isinstance(public(key), ed25519.Ed25519PublicKey)
        public(key).verify(signature, MESSAGE)
        self.accepts(kms, refused, key, "ED25519_SHA_512", "RAW", MESSAGE, signature)

    def test_ed25519ph_is_another_algorithm(self, kms, make, public, refused):
        key = make("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
        digest = hashlib.sha512(MESSAGE).digest()
        signature = self.signature(kms, key, "ED25519_PH_SHA_512", "DIGEST", digest)
        assert len(signature) == 64
        for message in [MESSAGE, digest]:
            with pytest.raises(InvalidSignature):
                public(key).verify(signature, message)
        self.accepts(kms, refused, key, "ED25519_PH_SHA_512", "DIGEST", digest, signature)

    @pytest.mark.parametrize("spec, length", [("ML_DSA_44", 2420), ("ML_DSA_65", 3309), ("ML_DSA_87", 4627)])
    def test_ml_dsa(self, kms, make, public, refused, spec, length):
        key = make(spec, "SIGN_VERIFY")
        assert isinstance(public(key), getattr(mldsa, f"MLDSA{spec[-2:]}PublicKey"))
        tr = hashlib.shake_256(public(key).public_bytes_raw()).digest(64)
        mu = hashlib.shake_256(tr + b"\0\0" + MESSAGE).digest(64)
        for kind, message in [("RAW", MESSAGE), ("EXTERNAL_MU", mu)]:
            signature = self.signature(kms, key, "ML_DSA_SHAKE_256", kind, message)
            assert len(signature) == length
            public(key).verify(signature, MESSAGE)
            self.accepts(kms, refused, key, "ML_DSA_SHAKE_256", kind, message, signature)
        # What KMS verifies need not be its own.
        asked = {"KeyId": key, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
        assert kms.verify(Message=MESSAGE, Signature=signature, **asked)["SignatureValid"]

    def test_message_types(self, kms, make, refused):
        ec_key = make("ECC_NIST_P256", "SIGN_VERIFY")
        with refused("ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."):
            kms.sign(KeyId=ec_key, Message=bytes(31), MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
        key = make("ML_DSA_44", "SIGN_VERIFY")
        with refused("ValidationException", "Message type DIGEST is incompatible with key spec ML_DSA_44."):
            kms.sign(KeyId=key, Message=bytes(64), MessageType="DIGEST", SigningAlgorithm="ML_DSA_SHAKE_256")
        with refused(
            "InvalidKeyUsageException", "Algorithm ECDSA_SHA_512 is incompatible with key spec ECC_NIST_P256."
        ):
            kms.sign(KeyId=ec_key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_512")
        with refused("ValidationException", re.compile("at 'signingAlgorithm' .* enum value set: ")):
            kms.sign(KeyId=ec_key, Message=MESSAGE, SigningAlgorithm="ROT13")


class TestRsaEncryption:
    @pytest.mark.parametrize("size", [1, 256])
    @pytest.mark.parametrize("spec", RSA)
    def test_both_ways(self, kms, make, public, spec, size):
        key = make(spec, "ENCRYPT_DECRYPT")
        algorithm = f"RSAES_OAEP_SHA_{size}"
        used = HASHES[f"SHA_{size}"]
        oaep = padding.OAEP(padding.MGF1(used), used, None)
        most = int(spec[4:]) // 8 - 2 * used.digest_size - 2
        for plaintext in [b"x", bytes(range(most % 251)) + bytes(most - most % 251)]:
            blob = public(key).encrypt(plaintext, oaep)
            answer = kms.decrypt(CiphertextBlob=blob, KeyId=key, EncryptionAlgorithm=algorithm)
            assert (answer["Plaintext"], answer["KeyId"]) == (plaintext, key)
            assert answer["EncryptionAlgorithm"] == algorithm and "KeyMaterialId" not in answer
            blob = kms.encrypt(Plaintext=plaintext, KeyId=key, EncryptionAlgorithm=algorithm)["CiphertextBlob"]
            assert len(blob) == int(spec[4:]) // 8
            answer = kms.decrypt(CiphertextBlob=blob, KeyId=key, EncryptionAlgorithm=algorithm)
            assert answer["Plaintext"] == plaintext

    def test_limits(self, kms, make, refused):
        key = make("RSA_2048", "ENCRYPT_DECRYPT")
        with refused(
            "ValidationException",
            "Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes.",
        ):
            kms.encrypt(KeyId=key, Plaintext=bytes(215), EncryptionAlgorithm="RSAES_OAEP_SHA_1")
        with refused("InvalidKeyUsageException"):
            kms.encrypt(KeyId=key, Plaintext=b"x")
        blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_1")["CiphertextBlob"]
        with refused("InvalidCiphertextException", None):
            kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm="RSAES_OAEP_SHA_256")

    def test_re_encryption(self, kms, key, make):
        rsa_key = make("RSA_2048", "ENCRYPT_DECRYPT")
        moved = kms.re_encrypt(
            CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"moved")["CiphertextBlob"],
            DestinationKeyId=rsa_key,
            DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        )
        back = kms.re_encrypt(
            CiphertextBlob=moved["CiphertextBlob"],
            SourceKeyId=rsa_key,
            SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
            DestinationKeyId=key,
        )
        assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"])["Plaintext"] == b"moved"


class TestMacs:
    @pytest.mark.parametrize("size", [224, 256, 384, 512])
    def test_round_trip(self, kms, make, refused, size):
        key = make(f"HMAC_{size}", "GENERATE_VERIFY_MAC")
        asked = {"KeyId": key, "Message": MESSAGE, "MacAlgorithm": f"HMAC_SHA_{size}"}
        made = kms.generate_mac(**asked)
        assert len(made["Mac"]) == size // 8 and made["KeyId"] == key
        assert kms.verify_mac(Mac=made["Mac"], **asked)["MacValid"] is True
        with refused("KMSInvalidMacException", None):
            kms.verify_mac(Mac=made["Mac"][:-1], **asked)


class TestSharedSecrets:
    @pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
    def test_agreement_with_somebody_else(self, kms, make, public, spec):
        key = make(spec, "KEY_AGREEMENT")
        ours = ec.generate_private_key(CURVES[spec]())
        spki = ours.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        answer = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=spki)
        assert answer["SharedSecret"] == ours.exchange(ec.ECDH(), public(key))
        assert (answer["KeyId"], answer["KeyOrigin"]) == (key, "AWS_KMS")

    def test_another_curve(self, kms, make, refused):
        key = make("ECC_NIST_P256", "KEY_AGREEMENT")
        spki = kms.get_public_key(KeyId=make("ECC_NIST_P384", "KEY_AGREEMENT"))["PublicKey"]
        with refused("ValidationException", None):
            kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=spki)

    @pytest.mark.parametrize("size", [512, 768, 1024])
    def test_encapsulation_here_and_elsewhere(self, kms, make, public, refused, size):
        key = make(f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE")
        asked = {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}
        answer = kms.encapsulate(**asked)
        blob = answer["SharedSecretCiphertextBlob"]
        assert kms.decapsulate(SharedSecretCiphertextBlob=blob, **asked)["SharedSecret"] == answer["SharedSecret"]
        if size != 512:  # which Python's cryptography leaves out
            secret, blob = public(key).encapsulate()
            assert kms.decapsulate(SharedSecretCiphertextBlob=blob, **asked)["SharedSecret"] == secret
        other = bytes(len(blob))
        assert len(kms.decapsulate(SharedSecretCiphertextBlob=other, **asked)["SharedSecret"]) == 32
        with refused("InvalidCiphertextException", None):
            kms.decapsulate(SharedSecretCiphertextBlob=blob[:-1], **asked)


class TestDataKeyPairs:
    @pytest.mark.parametrize("size", [768, 1024])
    def test_ml_kem(self, kms, key, size):
        pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=f"ML_KEM_{size}")
        private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
        assert isinstance(private, getattr(mlkem, f"MLKEM{size}PrivateKey"))
        public = serialization.load_der_public_key(pair["PublicKey"])
        secret, blob = public.encapsulate()
        assert private.decapsulate(blob) == secret
        opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])
        assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]


def test_keys_work_after_a_restart(connect, tmp_path):
    from server import Server

    with Server(data=tmp_path / "data") as server:
        kms = connect(to=server)
        rsa_key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        mac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
        public = kms.get_public_key(KeyId=rsa_key)["PublicKey"]
        mac = {"KeyId": mac_key, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_256"}
        made = kms.generate_mac(**mac)["Mac"]
        server.stop()
        server.start()
        kms = connect(to=server)
        assert kms.get_public_key(KeyId=rsa_key)["PublicKey"] == public
        signature = kms.sign(KeyId=rsa_key, Message=MESSAGE, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")
        loaded = serialization.load_der_public_key(public)
        assert isinstance(loaded, rsa.RSAPublicKey)
        loaded.verify(signature["Signature"], MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        assert hmac.compare_digest(kms.generate_mac(**mac)["Mac"], made)
