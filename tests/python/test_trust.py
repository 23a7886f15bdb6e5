"""Who the enclave is: its own documents, read with other libraries, and `claviger trust`."""

import contextlib
import datetime
import hashlib
import json
import pathlib
import socket
import ssl
import subprocess
import threading

import asn1crypto.core
import cbor2
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import Server, binary

WRAPPER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.35")
MEDIA_TYPE = "application/aws-nitro-document"


@pytest.fixture(scope="module")
def secure():
    with Server("--tls") as server:
        yield server


@pytest.fixture(scope="module")
def authority(secure):
    return secure.data / "ca.pem"


@pytest.fixture(scope="module")
def client(authority):
    with httpx.Client(verify=ssl.create_default_context(cafile=str(authority))) as client:
        yield client


@pytest.fixture(scope="module")
def pcrs(client, secure):
    return {f"PCR{index}": value.hex() for index, value in payload(ask(client, secure))["pcrs"].items()}


def ask(client, server, nonce="00"):
    answer = client.get(f"{server.url}/attestation", params={"nonce": nonce})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.content


def payload(document):
    return cbor2.loads(cbor2.loads(document)[2])


def spki(certificate):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(serialization.Encoding.DER, form)


def server_certificate(server):
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(server.address).encode())


def test_a_document_answers_the_nonce_and_names_the_certificates(client, secure, authority):
    for nonce in ["01", "Ab" * 32, "ff" * 64]:
        document = payload(ask(client, secure, nonce))
        assert document["nonce"] == bytes.fromhex(nonce)
        assert document["public_key"] is None
        ca = x509.load_pem_x509_certificate(authority.read_bytes())
        assert json.loads(document["user_data"]) == {
            "claviger": 1,
            "stage": "serving",
            "freshness": "none",
            "simulated_roots": 1,
            "tls": {
                "ca_sha256": ca.fingerprint(hashes.SHA256()).hex(),
                "key_sha256": hashlib.sha256(spki(server_certificate(secure))).hexdigest(),
            },
        }


def test_the_certificate_carries_a_document_that_names_its_key(secure):
    certificate = server_certificate(secure)
    extension = certificate.extensions.get_extension_for_oid(WRAPPER)
    assert not extension.critical
    record = asn1crypto.core.OctetString.load(extension.value.value, strict=True).native
    media_type, document, indicator = cbor2.loads(record)
    assert (media_type, indicator) == (MEDIA_TYPE, 4)
    document = payload(document)
    assert document["nonce"] is None
    tls = json.loads(document["user_data"])["tls"]
    assert tls["key_sha256"] == hashlib.sha256(spki(certificate)).hexdigest()


@pytest.mark.parametrize("query", ["", "?nonce=", "?nonce=0", "?nonce=zz", "?other=00", "?nonce=" + "00" * 65])
def test_without_a_proper_nonce_there_is_no_document(client, secure, query):
    answer = client.get(f"{secure.url}/attestation{query}")
    assert answer.status_code == 400 and "nonce" in answer.text


def test_there_is_no_document_in_clear_on_a_port_for_tls(secure):
    answer = httpx.get(f"http://{secure.listen}/attestation?nonce=00")
    assert answer.status_code == 400 and "https" in answer.text


def test_a_server_in_clear_names_no_certificates(server):
    document = payload(httpx.get(f"{server.url}/attestation?nonce=00").content)
    assert "tls" not in json.loads(document["user_data"])


def trust(server, out, *options, root=True, listen=None):
    """Runs `claviger trust`; whether it ended well, and what it printed."""
    root = ["--root", server.data / "nsm-ca.pem"] if root else []
    command = [binary(), "trust", f"https://{listen or server.listen}", "--out", out, *root, *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert out.exists() == (ended.returncode == 0)
    return ended.returncode == 0, ended.stdout + ended.stderr


def test_the_bundle_of_the_expected_enclave(connect, secure, authority, pcrs, tmp_path):
    out = tmp_path / "bundle.pem"
    trusted, printed = trust(secure, out, "--pcr0", pcrs["PCR0"], "--pcr1", pcrs["PCR1"], "--pcr2", pcrs["PCR2"])
    assert trusted, printed
    assert f"AWS_CA_BUNDLE={out}" in printed and "SIMULATED" in printed
    ca, bundle = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (authority, out))
    assert ca == bundle
    assert connect(to=secure, verify=str(out)).list_keys()["Keys"]


def test_a_release_is_the_json_of_an_image_build(secure, pcrs, tmp_path):
    release = tmp_path / "release.json"
    measured = {"HashAlgorithm": "Sha384 { ... }", **{name: pcrs[name] for name in ("PCR0", "PCR1", "PCR2")}}
    release.write_text(json.dumps({"Measurements": measured}))
    trusted, printed = trust(secure, tmp_path / "bundle.pem", "--release", release)
    assert trusted, printed
    (tmp_path / "bundle.pem").unlink()
    measured["PCR2"] = "00" * 48
    release.write_text(json.dumps({"Measurements": measured}))
    trusted, printed = trust(secure, tmp_path / "bundle.pem", "--release", release)
    assert not trusted and "another enclave: PCR2" in printed


def test_whoever_expects_nothing_or_something_else_gets_no_bundle(secure, pcrs, tmp_path):
    out = tmp_path / "bundle.pem"
    expected = ["--pcr0", pcrs["PCR0"]]
    for options, keywords, why in [
        ([], {}, "say which enclave to expect"),
        (["--pcr1", pcrs["PCR1"]], {}, "say which enclave to expect"),
        (["--pcr0", "00" * 48], {}, "another enclave: PCR0"),
        ([*expected, "--pcr8", "11" * 48], {}, "another enclave: PCR8"),
        (expected, {"root": False}, "trusted root"),
        (["--pcr0", "00"], {}, "96 hexadecimal digits"),
    ]:
        trusted, printed = trust(secure, out, *options, **keywords)
        assert not trusted and why in printed, printed


def test_somebody_in_between_is_found_out(secure, pcrs, tmp_path):
    """The document is genuine and new, but the certificates of the connection are somebody else's."""
    with between(secure, tmp_path) as listen:
        trusted, printed = trust(secure, tmp_path / "bundle.pem", "--pcr0", pcrs["PCR0"], listen=listen)
    assert not trusted and "somebody stands between" in printed, printed


@contextlib.contextmanager
def between(server, folder):
    """A TLS server with certificates of its own that hands every request on to the enclave."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Claviger enclave")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = pathlib.Path(folder) / "between.pem"
    # Twice: as long a chain as the enclave's.
    chain.write_bytes(secret + pem + pem)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(chain)
    ours = ssl.create_default_context(cafile=str(server.data / "ca.pem"))

    def relay(listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), theirs.wrap_socket(connection, server_side=True) as client:
                    request = client.recv(65536)
                    with socket.create_connection(server.address) as tcp:
                        with ours.wrap_socket(tcp, server_hostname="127.0.0.1") as enclave:
                            enclave.sendall(request)
                            client.sendall(enclave.recv(65536))
                            client.sendall(enclave.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=relay, args=(listener,), daemon=True).start()
        yield "localhost:%d" % listener.getsockname()[1]
