"""A certificate authority in its last year, and the one that takes its place: both kinds of clients go on."""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import time

import botocore.exceptions
import cbor2
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from server import Server, binary

OLD = pathlib.Path(os.environ.get("CLAVIGER_OLD_CA", ""))
DAY = 24 * 60 * 60

NODE = """
const https = require("https"), fs = require("fs");
const [url, ca] = process.argv.slice(1);
https.get(url, { ca: fs.readFileSync(ca) }, (answer) => { console.log(answer.statusCode); answer.resume(); })
    .on("error", (error) => { console.error(error.code); process.exit(1); });
"""

GO = """
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
)

func main() {
	pem, _ := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Get(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(answer.StatusCode)
}
"""


@pytest.fixture(scope="module")
def renewed():
    """A server whose store has an authority that ends in a year."""
    with Server("--tls", data=os.environ["CLAVIGER_DATA"]) as server:
        deadline = time.monotonic() + 30
        while certificates(server.data / "ca.pem") != shown(server)[-1:]:
            assert time.monotonic() < deadline, "the new authority was not published"
            time.sleep(0.05)
        yield server


def certificates(path):
    return x509.load_pem_x509_certificates(path.read_bytes())


def shown(server):
    """The certificates of the server's handshake, as OpenSSL's own program prints them."""
    address = "%s:%d" % server.address
    command = ["openssl", "s_client", "-connect", address, "-showcerts"]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).stdout
    found = re.findall(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", printed, re.DOTALL)
    return [x509.load_pem_x509_certificate(pem) for pem in found]


@pytest.fixture(scope="module")
def bundles(renewed):
    return {"old": OLD, "new": renewed.data / "ca.pem"}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The authority of somebody else."""
    with Server("--tls") as server:
        copy = tmp_path_factory.mktemp("other") / "ca.pem"
        shutil.copy(server.data / "ca.pem", copy)
    return copy


def test_the_new_authority_is_another(renewed, bundles):
    (old,), (new,) = map(certificates, bundles.values())
    assert old.subject != new.subject and old.public_key() != new.public_key()
    assert new.subject == new.issuer
    assert (new.not_valid_after_utc - old.not_valid_after_utc).days > 8 * 365
    leaf, cross, last = shown(renewed)
    assert last == new and leaf.issuer == new.subject
    assert (cross.subject, cross.issuer) == (new.subject, old.subject)
    assert cross.public_key() == new.public_key()
    assert cross.not_valid_after_utc == old.not_valid_after_utc
    assert "there is a new certificate authority" in renewed.log()


def test_python(renewed, bundles, other):
    def handshake(bundle, strict=False):
        context = ssl.create_default_context(cafile=str(bundle))
        if strict:
            # As Python does from 3.13 on.
            context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        with socket.create_connection(renewed.address) as tcp:
            context.wrap_socket(tcp, server_hostname="localhost").close()

    for bundle in bundles.values():
        handshake(bundle)
        handshake(bundle, strict=True)
        context = ssl.create_default_context(cafile=str(bundle))
        assert httpx.get(f"{renewed.url}/health", verify=context).status_code == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other)


def test_boto3(connect, renewed, bundles, other):
    for bundle in bundles.values():
        assert connect(to=renewed, verify=str(bundle)).list_keys()["Keys"]
    with pytest.raises(botocore.exceptions.SSLError):
        connect(to=renewed, verify=str(other)).list_keys()


def answered(*command):
    """Whether a client got its answer, and what it printed."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return ended.returncode == 0 and "200" in ended.stdout, ended.stdout + ended.stderr


def test_node(renewed, bundles, other):
    for name, bundle in {**bundles, "other": other}.items():
        good, printed = answered("node", "-e", NODE, f"{renewed.url}/health", str(bundle))
        assert good == (name != "other"), (name, printed)


def test_go(renewed, bundles, other, tmp_path):
    if not shutil.which("go"):
        assert "CI" not in os.environ, "install golang-go"
        pytest.skip("install golang-go")
    (tmp_path / "get.go").write_text(GO)
    environment = {"GO111MODULE": "off", "GOPROXY": "off", "GOFLAGS": "", "HOME": str(tmp_path)}
    subprocess.run(
        ["go", "build", "-o", "get", "get.go"], cwd=tmp_path, check=True, timeout=600, env={**os.environ, **environment}
    )
    for name, bundle in {**bundles, "other": other}.items():
        good, printed = answered(tmp_path / "get", f"{renewed.url}/health", bundle)
        assert good == (name != "other"), (name, printed)


def test_until_the_old_authority_ends(renewed, bundles, tmp_path):
    """By OpenSSL's own program, which can be told a time."""
    _, cross, _ = shown(renewed)
    (tmp_path / "cross.pem").write_bytes(cross.public_bytes(Encoding.PEM))
    end = int(cross.not_valid_after_utc.timestamp())

    def verified(bundle, at):
        command = ["openssl", "verify", "-x509_strict", "-attime", str(at), "-CAfile", bundles[bundle]]
        return subprocess.run([*command, tmp_path / "cross.pem"], capture_output=True, timeout=60).returncode == 0

    assert verified("old", end - DAY) and not verified("old", end + DAY)


def pcrs(server):
    document = httpx.get(f"{server.url}/attestation?nonce=00", verify=False).content
    return cbor2.loads(cbor2.loads(document)[2])["pcrs"]


def test_the_measurement_is_that_of_the_new_authority(renewed, bundles):
    (new,) = certificates(bundles["new"])
    hashes = [sha384((renewed.data / "enclave.json").read_bytes()), sha384(new.public_bytes(Encoding.DER))]
    assert pcrs(renewed)[16] == sha384(bytes(48) + sha384(b"".join(hashes)))


def sha384(content):
    return hashlib.sha384(content).digest()


def test_trust_gives_out_the_new_authority(renewed, bundles, tmp_path):
    pcr0 = pcrs(renewed)[0].hex()
    out = tmp_path / "bundle.pem"
    command = [binary(), "trust", renewed.url, "--root", renewed.data / "nsm-ca.pem", "--pcr0", pcr0, "--out", out]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert certificates(out) == certificates(bundles["new"])


def test_the_new_authority_stays(renewed, bundles):
    (before,) = certificates(bundles["new"])
    renewed.stop()
    renewed.start()
    for bundle in bundles.values():
        context = ssl.create_default_context(cafile=str(bundle))
        assert httpx.get(f"{renewed.url}/health", verify=context).status_code == 200
    assert shown(renewed)[-1] == before
