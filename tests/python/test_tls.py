"""HTTPS with a certificate made inside, for each kind of client; HTTP/2."""

import os
import pathlib
import ssl
import subprocess
import sys

import botocore.exceptions
import httpx
import pytest

from server import Server
from test_bad_input import sign


@pytest.fixture(scope="module")
def secure():
    with Server("--tls") as server:
        yield server


@pytest.fixture(scope="module")
def authority(secure):
    return str(secure.data / "ca.pem")


def test_the_url_and_the_authority(secure, authority):
    assert secure.url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=authority)
    (ca,) = context.get_ca_certs()
    assert ca["subject"] == ca["issuer"]
    # A certificate, and nothing else: the key stays inside.
    assert pathlib.Path(authority).read_text().count("-----BEGIN") == 1


def test_boto3(connect, secure, authority):
    kms = connect(to=secure, verify=authority)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_boto3_without_the_authority(connect, secure):
    with pytest.raises(botocore.exceptions.SSLError):
        connect(to=secure).list_keys()


def test_the_command_line(secure, authority, tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": secure.access_key,
        "AWS_SECRET_ACCESS_KEY": secure.secret_key,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": secure.url,
        "AWS_CA_BUNDLE": authority,
    }
    aws = pathlib.Path(sys.executable).parent / "aws"
    printed = subprocess.run(
        [aws, "kms", "generate-random", "--number-of-bytes", "8", "--query", "Plaintext", "--output", "text"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert printed.returncode == 0 and len(printed.stdout.strip()) == 12, printed.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_versions(secure, authority, version):
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = context.maximum_version = version
    with httpx.Client(verify=context) as client:
        assert client.post(secure.url, content=b"{}").status_code == 400


def call(client, server, times=1):
    body = b'{"NumberOfBytes": 8}'
    for _ in range(times):
        headers = sign(server, body, {"x-amz-target": "TrentService.GenerateRandom"})
        answer = client.post(server.url, content=body, headers=headers)
        assert answer.status_code == 200 and answer.json()["Plaintext"], answer.text
    return answer


def test_http2_over_tls(secure, authority):
    with httpx.Client(http1=False, http2=True, verify=ssl.create_default_context(cafile=authority)) as client:
        assert call(client, secure, times=10).http_version == "HTTP/2"


def test_http1_over_tls(secure, authority):
    with httpx.Client(verify=ssl.create_default_context(cafile=authority)) as client:
        assert call(client, secure, times=3).http_version == "HTTP/1.1"


def test_http2_in_the_clear(server):
    with httpx.Client(http1=False, http2=True) as client:
        assert call(client, server, times=10).http_version == "HTTP/2"


def test_plain_http_on_the_tls_port_is_not_served(secure):
    with httpx.Client() as client:
        try:
            answer = client.post(secure.url.replace("https://", "http://"), content=b"{}")
        except httpx.TransportError:
            return
        assert 400 <= answer.status_code < 500
