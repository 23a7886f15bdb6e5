"""Encrypting, decrypting and making data keys through boto3."""

import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from server import ACCOUNT

MATERIAL = re.compile("[0-9a-f]{64}")


def flip(blob, at):
    at %= len(blob)
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


class TestEncryptAndDecrypt:
    @pytest.mark.parametrize("size", [1, 16, 4096])
    def test_round_trip(self, kms, key, size):
        plaintext = bytes(n % 251 for n in range(size))
        encrypted = kms.encrypt(KeyId=key, Plaintext=plaintext)
        assert (encrypted["KeyId"], encrypted["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
        assert len(encrypted["CiphertextBlob"]) <= size + 152
        decrypted = kms.decrypt(CiphertextBlob=encrypted["CiphertextBlob"])
        assert decrypted["Plaintext"] == plaintext
        assert (decrypted["KeyId"], decrypted["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
        assert MATERIAL.fullmatch(decrypted["KeyMaterialId"])

    def test_never_the_same_twice(self, kms, key):
        assert len({kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for _ in range(20)}) == 20

    @pytest.mark.parametrize(
        "given, asked",
        [
            ({"a": "b"}, {}),
            ({}, {"a": "b"}),
            ({"a": "b"}, {"a": "B"}),
            ({"a": "b"}, {"A": "b"}),
            ({"a": "b", "c": "d"}, {"a": "b"}),
            ({"ab": "c"}, {"a": "bc"}),
            ({"a": "b", "c": "d"}, {"a": "bcd"}),
            ({"a": ""}, {"": "a"}),
            ({"ä": "ö"}, {"a\u0308": "o\u0308"}),
        ],
    )
    def test_the_context_must_be_the_same(self, kms, key, refused, given, asked):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=given)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=given)["Plaintext"] == b"x"
        with refused("InvalidCiphertextException", None):
            kms.decrypt(CiphertextBlob=blob, EncryptionContext=asked)

    def test_the_order_of_the_context_does_not_matter(self, kms, key):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1", "b": "2"})[
            "CiphertextBlob"
        ]
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"b": "2", "a": "1"})["Plaintext"] == b"x"

    def test_what_is_not_our_ciphertext(self, kms, key, refused):
        blob = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
        forgeries = [flip(blob, at) for at in range(len(blob))]
        forgeries += [
            blob[:-1],
            blob + b"\0",
            blob[:10],
            b"x",
            bytes(184),
            blob * 2,
            b"\1\2\3\0x" + bytes(179),
        ]
        for forgery in forgeries:
            with refused("InvalidCiphertextException", None):
                kms.decrypt(CiphertextBlob=forgery)

    def test_of_another_region(self, connect, kms, key, refused):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with refused(("InvalidCiphertextException", "AccessDeniedException")):
            connect(region="us-east-1").decrypt(CiphertextBlob=blob)

    def test_with_another_key(self, kms, key, fresh_key, refused):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        with refused("IncorrectKeyException", message):
            kms.decrypt(CiphertextBlob=blob, KeyId=fresh_key["KeyId"])
        with refused("IncorrectKeyException", message):
            kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=fresh_key["KeyId"], DestinationKeyId=key)

    def test_constraints(self, kms, key, refused, connect):
        with refused(
            "ValidationException",
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length less than or equal to 4096",
        ):
            kms.encrypt(KeyId=key, Plaintext=bytes(4097))
        with refused(
            "ValidationException",
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ):
            kms.encrypt(KeyId=key, Plaintext=b"")
        with refused("ValidationException", re.compile("at 'ciphertextBlob' .* less than or equal to 6144")):
            kms.decrypt(CiphertextBlob=bytes(6145))
        with refused(
            "ValidationException",
            re.compile("at 'encryptionAlgorithm' .* Member must satisfy enum value set: "),
        ):
            kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="ROT13")
        with refused("InvalidKeyUsageException"):
            kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")

    def test_several_violations_in_one_answer(self, kms, refused):
        with refused("ValidationException", re.compile("^2 validation errors detected: .*; .*")):
            kms.encrypt(KeyId="x" * 2049, Plaintext=bytes(4097))

    def test_the_answer_never_shows_a_sensitive_value(self, kms, key, refused):
        with refused("ValidationException") as caught:
            kms.encrypt(KeyId=key, Plaintext=b"sensitive" * 500)
        assert "sensitive" not in str(caught.value) and "c2Vuc2l0aX" not in str(caught.value)


class TestReEncrypt:
    def test_moves_between_keys_and_contexts(self, kms, key, fresh_key):
        blob = kms.encrypt(KeyId=key, Plaintext=b"moved", EncryptionContext={"at": "first"})["CiphertextBlob"]
        moved = kms.re_encrypt(
            CiphertextBlob=blob,
            SourceEncryptionContext={"at": "first"},
            SourceKeyId=key,
            DestinationKeyId=fresh_key["KeyId"],
            DestinationEncryptionContext={"at": "second"},
        )
        assert (moved["SourceKeyId"], moved["KeyId"]) == (key, fresh_key["Arn"])
        assert (
            moved["SourceEncryptionAlgorithm"]
            == moved["DestinationEncryptionAlgorithm"]
            == "SYMMETRIC_DEFAULT"
        )
        assert MATERIAL.fullmatch(moved["SourceKeyMaterialId"]) and MATERIAL.fullmatch(
            moved["DestinationKeyMaterialId"]
        )
        opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"at": "second"})
        assert opened["Plaintext"] == b"moved"

    def test_refuses_a_wrong_source_context(self, kms, key, refused):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
        with refused("InvalidCiphertextException", None):
            kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)


class TestDataKeys:
    @pytest.mark.parametrize(
        "size, expected",
        [
            ({"KeySpec": "AES_128"}, 16),
            ({"KeySpec": "AES_256"}, 32),
            ({"NumberOfBytes": 1}, 1),
            ({"NumberOfBytes": 7}, 7),
            ({"NumberOfBytes": 1024}, 1024),
        ],
    )
    def test_sizes(self, kms, key, size, expected):
        answer = kms.generate_data_key(KeyId=key, EncryptionContext={"a": "b"}, **size)
        assert len(answer["Plaintext"]) == expected and answer["KeyId"] == key
        assert MATERIAL.fullmatch(answer["KeyMaterialId"])
        assert "EncryptionAlgorithm" not in answer
        assert len(answer["CiphertextBlob"]) <= expected + 152
        opened = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"a": "b"})
        assert opened["Plaintext"] == answer["Plaintext"]
        sealed = kms.generate_data_key_without_plaintext(KeyId=key, **size)
        assert "Plaintext" not in sealed
        assert len(kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == expected

    @pytest.mark.parametrize("size", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
    def test_exactly_one_size(self, kms, key, refused, size):
        for call in (kms.generate_data_key, kms.generate_data_key_without_plaintext):
            with refused("ValidationException", "Please specify either number of bytes or key spec."):
                call(KeyId=key, **size)

    def test_constraints(self, kms, key, refused, connect):
        detected = (
            "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: Member must {}"
        )
        with refused(
            "ValidationException",
            detected.format(1025, "numberOfBytes", "have value less than or equal to 1024"),
        ):
            kms.generate_data_key(KeyId=key, NumberOfBytes=1025)
        with refused(
            "ValidationException",
            detected.format(0, "numberOfBytes", "have value greater than or equal to 1"),
        ):
            connect(checked=False).generate_data_key(KeyId=key, NumberOfBytes=0)
        with refused(
            "ValidationException",
            re.compile("^" + detected.format("AES_512", "keySpec", "satisfy enum value set: ")),
        ):
            kms.generate_data_key(KeyId=key, KeySpec="AES_512")


PAIRS = {
    "RSA_2048": (rsa.RSAPrivateKey, 2048),
    "RSA_3072": (rsa.RSAPrivateKey, 3072),
    "RSA_4096": (rsa.RSAPrivateKey, 4096),
    "ECC_NIST_P256": (ec.EllipticCurvePrivateKey, "secp256r1"),
    "ECC_NIST_P384": (ec.EllipticCurvePrivateKey, "secp384r1"),
    "ECC_NIST_P521": (ec.EllipticCurvePrivateKey, "secp521r1"),
    "ECC_SECG_P256K1": (ec.EllipticCurvePrivateKey, "secp256k1"),
    "ECC_NIST_EDWARDS25519": (ed25519.Ed25519PrivateKey, None),
}


def signs_for(private, public):
    if isinstance(private, rsa.RSAPrivateKey):
        public.verify(
            private.sign(b"m", padding.PKCS1v15(), hashes.SHA256()), b"m", padding.PKCS1v15(), hashes.SHA256()
        )
        assert private.public_key().public_numbers().e == 65537
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        public.verify(private.sign(b"m", ec.ECDSA(hashes.SHA256())), b"m", ec.ECDSA(hashes.SHA256()))
    else:
        public.verify(private.sign(b"m"), b"m")


class TestDataKeyPairs:
    @pytest.mark.parametrize("spec", PAIRS)
    def test_each_spec(self, kms, key, spec):
        kind, shape = PAIRS[spec]
        answer = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=spec, EncryptionContext={"a": "b"})
        assert (answer["KeyId"], answer["KeyPairSpec"]) == (key, spec)
        assert MATERIAL.fullmatch(answer["KeyMaterialId"])
        private = serialization.load_der_private_key(answer["PrivateKeyPlaintext"], password=None)
        assert isinstance(private, kind)
        if kind is rsa.RSAPrivateKey:
            assert private.key_size == shape
        elif shape:
            assert private.curve.name == shape
        signs_for(private, serialization.load_der_public_key(answer["PublicKey"]))
        opened = kms.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
        assert opened["Plaintext"] == answer["PrivateKeyPlaintext"]

    @pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519"])
    def test_without_plaintext(self, kms, key, spec):
        answer = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec=spec)
        assert "PrivateKeyPlaintext" not in answer
        opened = kms.decrypt(CiphertextBlob=answer["PrivateKeyCiphertextBlob"])["Plaintext"]
        signs_for(
            serialization.load_der_private_key(opened, password=None),
            serialization.load_der_public_key(answer["PublicKey"]),
        )

    def test_refusals(self, kms, key, refused):
        with refused("UnsupportedOperationException"):
            kms.generate_data_key_pair(KeyId=key, KeyPairSpec="SM2")
        with refused(
            "ValidationException",
            re.compile("at 'keyPairSpec' failed to satisfy constraint: Member must satisfy enum value set: "),
        ):
            kms.generate_data_key_pair(KeyId=key, KeyPairSpec="RSA_1024")


class TestRandom:
    @pytest.mark.parametrize("size", [1, 32, 1024])
    def test_sizes(self, kms, size):
        assert len(kms.generate_random(NumberOfBytes=size)["Plaintext"]) == size

    def test_differs(self, kms):
        assert len({kms.generate_random(NumberOfBytes=16)["Plaintext"] for _ in range(50)}) == 50

    def test_constraints(self, kms, refused):
        with refused("ValidationException", "NumberOfBytes is required."):
            kms.generate_random()
        with refused("ValidationException", re.compile("Value '1025' at 'numberOfBytes' ")):
            kms.generate_random(NumberOfBytes=1025)


class TestDryRun:
    MESSAGE = "The request would have succeeded, but the DryRun option is set."

    def test_would_have_succeeded(self, kms, key, refused):
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        calls = [
            lambda: kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True),
            lambda: kms.decrypt(CiphertextBlob=blob, DryRun=True),
            lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key, DryRun=True),
            lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True),
            lambda: kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256", DryRun=True),
            lambda: kms.generate_data_key_pair(KeyId=key, KeyPairSpec="RSA_4096", DryRun=True),
            lambda: kms.generate_data_key_pair_without_plaintext(
                KeyId=key, KeyPairSpec="RSA_4096", DryRun=True
            ),
        ]
        for call in calls:
            with refused("DryRunOperationException", self.MESSAGE):
                call()

    def test_real_errors_come_first(self, kms, refused):
        with refused("NotFoundException"):
            kms.encrypt(KeyId="alias/none", Plaintext=b"x", DryRun=True)
        with refused("InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=b"nonsense", DryRun=True)

    def test_without_a_ciphertext(self, kms, key, refused):
        with refused("DryRunOperationException", self.MESSAGE):
            kms.decrypt(KeyId=key, DryRun=True, DryRunModifiers=["IGNORE_CIPHERTEXT"])


def test_grant_tokens_are_those_of_grants(kms, key, refused):
    grant = kms.create_grant(
        KeyId=key, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root", Operations=["Decrypt"]
    )
    token = grant["GrantToken"]
    kms.generate_data_key(KeyId=key, KeySpec="AES_256", GrantTokens=[token] * 10)
    with refused("InvalidGrantTokenException"):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", GrantTokens=[token, "AQpAM2RhZ"])
    with refused("ValidationException", re.compile("at 'grantTokens' .* length less than or equal to 10")):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", GrantTokens=[token] * 11)
