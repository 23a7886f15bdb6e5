"""The attested flow, with documents and envelopes made by independent libraries."""

import datetime
import hashlib
import subprocess

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import nitro
from server import Server

ALGORITHM = "RSAES_OAEP_SHA_256"


def recipient_of(document):
    return {"AttestationDocument": document, "KeyEncryptionAlgorithm": ALGORITHM}


@pytest.fixture(scope="module")
def private_key():
    return nitro.recipient()


@pytest.fixture(scope="module")
def public_key(private_key):
    return nitro.spki(private_key)


def test_a_data_key_reaches_only_the_recipient(kms, key, nsm, private_key, public_key):
    answer = kms.generate_data_key(
        KeyId=key,
        KeySpec="AES_256",
        EncryptionContext={"for": "test"},
        Recipient=recipient_of(nsm.document(public_key)),
    )
    assert not answer.get("Plaintext") and answer["KeyId"] == key
    data_key = nitro.open_envelope(answer["CiphertextForRecipient"], private_key)
    assert len(data_key) == 32
    decrypted = kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"for": "test"})
    assert decrypted["Plaintext"] == data_key


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_every_operation_seals_to_each_size_of_key(kms, key, nsm, bits):
    private_key = nitro.recipient(bits)
    recipient = recipient_of(nsm.document(nitro.spki(private_key)))

    blob = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
    decrypted = kms.decrypt(CiphertextBlob=blob, Recipient=recipient)
    assert "Plaintext" not in decrypted and decrypted["KeyId"] == key
    assert nitro.open_envelope(decrypted["CiphertextForRecipient"], private_key) == b"a secret"

    random = kms.generate_random(NumberOfBytes=77, Recipient=recipient)
    assert "Plaintext" not in random
    assert len(nitro.open_envelope(random["CiphertextForRecipient"], private_key)) == 77

    data_key = kms.generate_data_key(KeyId=key, NumberOfBytes=1024, Recipient=recipient)
    assert "Plaintext" not in data_key
    assert len(nitro.open_envelope(data_key["CiphertextForRecipient"], private_key)) == 1024

    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256", Recipient=recipient)
    assert "PrivateKeyPlaintext" not in pair
    private = serialization.load_der_private_key(
        nitro.open_envelope(pair["CiphertextForRecipient"], private_key), password=None
    )
    assert private.public_key() == serialization.load_der_public_key(pair["PublicKey"])


def test_the_envelope_has_the_bytes_that_kms_sends(kms, nsm, private_key, public_key):
    answer = kms.generate_random(NumberOfBytes=32, Recipient=recipient_of(nsm.document(public_key)))
    blob = answer["CiphertextForRecipient"]
    identifier = hashlib.sha256(public_key).digest()
    assert blob.startswith(
        bytes.fromhex("3080 06092a864886f70d010703 a080 3080 020102 3182016b 30820167 020102 8020")
    )
    assert blob[33:65] == identifier
    assert blob[127:131] == bytes.fromhex("04820100")
    assert blob[387:400] == bytes.fromhex("3080 06092a864886f70d010701")
    assert blob[400:415] == bytes.fromhex("301d 0609 60864801650304012a 0410")
    assert blob[431:435] == bytes.fromhex("a080 0430")
    assert blob.endswith(bytes(10))


def test_four_thousand_bytes_come_in_segments(kms, key, nsm, private_key, public_key):
    secret = bytes(range(256)) * 16
    blob = kms.encrypt(KeyId=key, Plaintext=secret)["CiphertextBlob"]
    answer = kms.decrypt(CiphertextBlob=blob, Recipient=recipient_of(nsm.document(public_key)))
    envelope = answer["CiphertextForRecipient"]
    assert nitro.open_envelope(envelope, private_key) == secret
    assert envelope.count(bytes.fromhex("048203e8")) >= 4, "segments of 1000 bytes"


def test_openssl_opens_the_envelope(kms, nsm, private_key, public_key, tmp_path):
    answer = kms.generate_random(NumberOfBytes=100, Recipient=recipient_of(nsm.document(public_key)))
    (tmp_path / "envelope").write_bytes(answer["CiphertextForRecipient"])
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(pem)
    opened = subprocess.run(
        ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", "envelope", "-inkey", "key", "-binary"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert opened.stdout == nitro.open_envelope(answer["CiphertextForRecipient"], private_key)


@pytest.mark.parametrize(
    "variation",
    [
        {"definite": True},
        {"tagged": True},
        {"age": 280},
        {"age": -30},
        {"payload_changes": {"user_data": b"", "nonce": b"n" * 1024}},
        {"payload_changes": {"user_data": ..., "nonce": ...}},
        {"extra_pairs": [("a field of tomorrow", [1, {"2": None}])]},
        {"pcrs": {**nitro.default_pcrs(), 16: b"\x16" * 48}},
    ],
    ids=str,
)
def test_genuine_variations_are_accepted(kms, nsm, private_key, public_key, variation):
    document = nsm.document(public_key, **variation)
    answer = kms.generate_random(NumberOfBytes=16, Recipient=recipient_of(document))
    assert len(nitro.open_envelope(answer["CiphertextForRecipient"], private_key)) == 16


def _flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _der_key(key, encoding=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.DER, encoding)


def _hostile():
    """Name and maker (of nsm and public key) of each document that must be refused."""
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    zero = bytes(48)

    def changed(**changes):
        return lambda nsm, public_key: nsm.document(public_key, **changes)

    def with_key(make):
        return lambda nsm, _: nsm.document(make())

    def reshaped(**changes):
        return changed(payload_changes=changes)

    pcrs = nitro.default_pcrs()
    yield "payload bit flipped", changed(tamper=lambda payload, signature: (_flip(payload, 40), signature))
    yield "signature bit flipped", changed(tamper=lambda payload, signature: (payload, _flip(signature, 40)))
    yield "signature all zero", changed(tamper=lambda payload, signature: (payload, bytes(96)))
    yield "signature in DER", changed(tamper=lambda payload, signature: (payload, b"\x30" + signature))
    yield "no signature", changed(tamper=lambda payload, signature: (payload, b""))
    yield "another root", lambda _, public_key: nitro.Nsm().document(public_key)
    yield "five minutes and a bit old", changed(age=305)
    yield "an hour old", changed(age=3600)
    yield "from the future", changed(age=-70)
    yield "timestamp in seconds", reshaped(timestamp=int(now.timestamp()))
    yield "timestamp zero", reshaped(timestamp=0)
    yield "timestamp negative", reshaped(timestamp=-1)
    yield "timestamp a float", reshaped(timestamp=now.timestamp() * 1000)
    yield "debug mode", changed(pcrs={**pcrs, 0: zero, 1: zero, 2: zero, 8: zero})
    yield "PCR0 zero", changed(pcrs={**pcrs, 0: zero})
    yield "no PCRs", changed(pcrs={})
    yield "PCR index 32", changed(pcrs={**pcrs, 32: zero})
    yield "PCR index negative", changed(pcrs={**pcrs, -1: zero})
    yield "PCR of 20 bytes", changed(pcrs={**pcrs, 5: bytes(20)})
    yield "PCR4 of another instance", changed(pcrs={**pcrs, 4: hashlib.sha384(zero + b"i-0").digest()})
    yield "NitroTPM", changed(payload_changes={"pcrs": ..., "nitrotpm_pcrs": pcrs})
    yield "NitroTPM beside PCRs", changed(payload_changes={"nitrotpm_pcrs": pcrs})
    yield "no public key", changed(payload_changes={"public_key": None})
    yield "public key left out", changed(payload_changes={"public_key": ...})
    yield "public key empty", changed(payload_changes={"public_key": b""})
    yield "public key of garbage", with_key(lambda: b"not a key" * 20)
    yield "public key on P-384", with_key(lambda: _der_key(ec.generate_private_key(ec.SECP384R1())))
    yield "public key Ed25519", with_key(lambda: _der_key(ed25519.Ed25519PrivateKey.generate()))
    yield (
        "public key in PKCS#1",
        with_key(lambda: _der_key(nitro.recipient(), serialization.PublicFormat.PKCS1)),
    )
    yield "RSA of 1024 bits", with_key(lambda: _der_key(nitro.recipient(1024)))
    yield "trailing byte after the key", lambda nsm, public_key: nsm.document(public_key + b"\0")
    yield "key in PEM", lambda nsm, public_key: nsm.document(b"-----BEGIN PUBLIC KEY-----\n" + public_key)
    yield "no module id", reshaped(module_id="")
    yield "another module id", reshaped(module_id=nitro.MODULE[:-1] + "0")
    yield "digest SHA256", reshaped(digest="SHA256")
    yield "no digest", reshaped(digest=...)
    yield "user data of 1025 bytes", reshaped(user_data=bytes(1025))
    yield "text for user data", reshaped(user_data="text")
    yield "empty bundle", reshaped(cabundle=[])
    yield "root alone", lambda nsm, key: nsm.document(key, payload_changes={"cabundle": [nsm.chain[0].der]})
    yield (
        "bundle without root",
        lambda nsm, key: nsm.document(
            key, payload_changes={"cabundle": [link.der for link in nsm.chain[1:]]}
        ),
    )
    yield (
        "bundle reversed",
        lambda nsm, key: nsm.document(
            key, payload_changes={"cabundle": [link.der for link in reversed(nsm.chain)]}
        ),
    )
    yield (
        "zonal left out",
        lambda nsm, key: nsm.document(
            key, payload_changes={"cabundle": [link.der for link in nsm.chain if link is not nsm.chain[2]]}
        ),
    )
    yield (
        "twelve certificates",
        lambda nsm, key: nsm.document(
            key,
            payload_changes={"cabundle": [nsm.chain[0].der] + [nsm.chain[1].der] * 10 + [nsm.chain[3].der]},
        ),
    )
    yield "leaf for a CA", lambda nsm, key: nsm.document(key, leaf=nsm.chain[3])
    yield "leaf expired", lambda nsm, key: nsm.document(key, leaf=nsm.issue_leaf(now - 4 * hour))
    yield "leaf not yet valid", lambda nsm, key: nsm.document(key, leaf=nsm.issue_leaf(now + hour))
    yield (
        "leaf of another module",
        lambda nsm, key: nsm.document(key, leaf=nsm.issue_leaf(now - hour, name="i-1.x.aws")),
    )
    yield (
        "leaf signed by a leaf",
        lambda nsm, key: nsm.document(key, leaf=nsm.issue_leaf(now - hour, issuer=nsm.leaf)),
    )
    yield (
        "leaf by its parent's name only",
        lambda nsm, key: nsm.document(key, leaf=nitro.Nsm().issue_leaf(now - hour)),
    )
    yield "unprotected header", changed(unprotected={1: -35})
    yield "duplicate key", lambda nsm, key: nsm.document(key, extra_pairs=[("public_key", key)])
    yield "duplicate PCRs", lambda nsm, key: nsm.document(key, extra_pairs=[("pcrs", pcrs)])
    yield "deep extra field", changed(extra_pairs=[("deep", _nested(64))])
    yield "trailing byte", lambda nsm, key: nsm.document(key) + b"\0"
    yield "truncated", lambda nsm, key: nsm.document(key)[:-1]
    yield "half", lambda nsm, key: nsm.document(key)[:2000]
    yield "tag 17", lambda nsm, key: b"\xd1" + nsm.document(key)
    yield "wrapped in bytes", lambda nsm, key: cbor2.dumps(nsm.document(key))
    yield "a map", lambda nsm, key: cbor2.dumps({"module_id": nitro.MODULE, "public_key": key})
    yield "one byte", lambda nsm, key: b"\0"
    yield "zeros", lambda nsm, key: bytes(5000)
    yield "text", lambda nsm, key: b"attestation document" * 100
    yield "300 KiB of arrays", lambda nsm, key: b"\x81" * 262_144
    yield "length of 2^62", lambda nsm, key: bytes.fromhex("5b4000000000000000")


def _nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = dict(_hostile())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_release_nothing(kms, key, nsm, public_key, refused, name):
    recipient = recipient_of(HOSTILE[name](nsm, public_key))
    with refused("ValidationException") as caught:
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient)
    message = caught.value.response["Error"]["Message"]
    assert message, "a refusal says why"
    assert not {"Plaintext", "CiphertextForRecipient", "CiphertextBlob"} & set(caught.value.response)


@pytest.mark.parametrize(
    "name", ["payload bit flipped", "another root", "an hour old", "debug mode", "no public key"]
)
def test_no_operation_falls_back_to_plaintext(kms, key, nsm, public_key, refused, name):
    recipient = recipient_of(HOSTILE[name](nsm, public_key))
    blob = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
    calls = [
        lambda: kms.decrypt(CiphertextBlob=blob, Recipient=recipient),
        lambda: kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256", Recipient=recipient),
        lambda: kms.generate_random(NumberOfBytes=32, Recipient=recipient),
        lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True, Recipient=recipient),
    ]
    for call in calls:
        with refused("ValidationException"):
            call()


@pytest.mark.parametrize(
    "recipient",
    [
        {},
        {"KeyEncryptionAlgorithm": ALGORITHM},
        {"AttestationDocument": "genuine"},
        {"AttestationDocument": "genuine", "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1"},
    ],
    ids=str,
)
def test_an_incomplete_recipient_is_refused(kms, key, nsm, public_key, refused, recipient):
    if "AttestationDocument" in recipient:
        recipient = {**recipient, "AttestationDocument": nsm.document(public_key)}
    with refused("ValidationException"):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient)


def test_dry_run_checks_the_document_and_releases_nothing(kms, key, nsm, public_key, refused):
    with refused(
        "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."
    ):
        kms.generate_data_key(
            KeyId=key, KeySpec="AES_256", DryRun=True, Recipient=recipient_of(nsm.document(public_key))
        )


def test_options_widen_what_is_accepted(connect, nsm, private_key, public_key, refused, tmp_path):
    (tmp_path / "root.pem").write_bytes(nsm.root_pem)
    zero = bytes(48)
    debug = nsm.document(public_key, pcrs={**nitro.default_pcrs(), 0: zero, 1: zero, 2: zero, 8: zero})
    aged = nsm.document(public_key, age=550)
    with Server("--trust-root", str(tmp_path / "root.pem"), "--accept-debug", "--max-age", "580") as server:
        kms = connect(to=server)
        for document in (debug, aged):
            answer = kms.generate_random(NumberOfBytes=8, Recipient=recipient_of(document))
            assert len(nitro.open_envelope(answer["CiphertextForRecipient"], private_key)) == 8
        with refused("ValidationException"):
            kms.generate_random(NumberOfBytes=8, Recipient=recipient_of(nsm.document(public_key, age=590)))


def test_without_the_option_the_root_is_not_trusted(connect, nsm, public_key, refused):
    with Server() as server:
        with refused("ValidationException"):
            connect(to=server).generate_random(
                NumberOfBytes=8, Recipient=recipient_of(nsm.document(public_key))
            )
