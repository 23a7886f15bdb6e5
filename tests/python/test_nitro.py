"""Unmodified clients of an enclave in a machine of its own, which `tests/tests/nitro.rs` boots."""

import base64
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import types

import pytest
from cryptography.hazmat.primitives import serialization

import nitro
from server import ACCESS_KEY, REGION, SECRET_KEY, binary

AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture(scope="session")
def server():
    return types.SimpleNamespace(
        url=os.environ["CLAVIGER_URL"], access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )


@pytest.fixture
def recipient(tmp_path):
    """A document as an enclave's security module makes it, and the key that it names."""
    key = tmp_path / "recipient.pem"
    command = [binary(), "attest", "new", "--ca", os.environ["CLAVIGER_NSM_CA"]]
    command += ["--recipient-key", str(key), "--out", str(tmp_path / "document")]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    private_key = serialization.load_pem_private_key(key.read_bytes(), None)
    return types.SimpleNamespace(
        folder=tmp_path, document=(tmp_path / "document").read_bytes(), private_key=private_key
    )


def test_the_attested_data_key_with_the_aws_cli(server, kms, key, recipient):
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": server.url,
    }
    how = "KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@=fileb://document"
    command = [str(AWS), "kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256"]
    command += ["--recipient", how, "--output", "text"]
    command += ["--query", "[CiphertextForRecipient, CiphertextBlob, Plaintext]"]
    done = subprocess.run(
        command, env=environment, cwd=recipient.folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    envelope, blob, plaintext = done.stdout.split()
    data_key = nitro.open_envelope(base64.b64decode(envelope), recipient.private_key)
    assert len(data_key) == 32
    assert plaintext == "None"
    assert kms.decrypt(CiphertextBlob=base64.b64decode(blob))["Plaintext"] == data_key


def test_a_tampered_document_gets_nothing(kms, key, recipient, refused):
    document = bytearray(recipient.document)
    document[-1] ^= 1
    how = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": bytes(document)}
    with refused("ValidationException"):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=how)


def test_a_large_request_arrives_whole(kms, key, recipient, refused):
    # 262,144 bytes is the API's own limit; the server answers only when it has read them all.
    document = recipient.document + bytes(200_000 - len(recipient.document))
    how = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document}
    with refused("ValidationException"):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=how)


def test_forty_at_a_time(connect, key):
    def round_trip(number):
        client = connect()
        context = {"number": str(number)}
        made = client.generate_data_key(KeyId=key, NumberOfBytes=1024, EncryptionContext=context)
        opened = client.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
        return opened["Plaintext"] == made["Plaintext"]

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert all(pool.map(round_trip, range(40)))
