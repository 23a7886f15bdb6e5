"""One CloudTrail event for each call, allowed or refused; nothing secret anywhere on the host."""

import base64
import json
import pathlib
import re
import time

import pytest

import nitro
from server import ACCOUNT, REGION, Server
from test_bad_input import exchange, request


@pytest.fixture(scope="module")
def audited(nsm, tmp_path_factory):
    root = tmp_path_factory.mktemp("root") / "root.pem"
    root.write_bytes(nsm.root_pem)
    with Server("--trust-root", str(root)) as server:
        yield server


def events(server):
    found = []
    for file in sorted(pathlib.Path(server.data, "audit").rglob("*.jsonl")):
        found += [json.loads(line) for line in file.read_text().splitlines()]
    return found


@pytest.fixture
def event_of(audited):
    """Waits for the event of an answer or an error: the audit file follows, the call does not wait."""

    def find(answer):
        request_id = answer["ResponseMetadata"]["RequestId"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = [event for event in events(audited) if event["requestID"] == request_id]
            if found:
                (event,) = found
                return event
            time.sleep(0.02)
        raise AssertionError(f"no event for {request_id}")

    return find


@pytest.fixture(scope="module")
def kms(connect, audited):
    return connect(to=audited)


@pytest.fixture(scope="module")
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


def test_an_allowed_call(kms, key, event_of, audited):
    answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"Department": "HR"})
    event = event_of(answer)
    assert re.fullmatch(r"1\.\d+", event["eventVersion"])
    assert event["eventSource"] == "kms.amazonaws.com"
    assert (event["eventName"], event["awsRegion"]) == ("GenerateDataKey", REGION)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["eventTime"])
    assert event["recipientAccountId"] == ACCOUNT
    assert event["eventType"] == "AwsApiCall" and event["readOnly"] is True
    identity = event["userIdentity"]
    assert identity["accountId"] == ACCOUNT and identity["accessKeyId"] == audited.access_key
    assert identity["type"] in ("IAMUser", "Root") and identity["arn"].startswith(f"arn:aws:iam::{ACCOUNT}:")
    assert event["requestParameters"] == {
        "keyId": key,
        "keySpec": "AES_256",
        "encryptionContext": {"Department": "HR"},
    }
    assert event["responseElements"] is None
    (resource,) = event["resources"]
    assert resource == {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}
    assert event["eventID"] != event["requestID"]
    assert "errorCode" not in event


def test_a_changing_call_is_not_read_only(kms, event_of):
    event = event_of(kms.create_key(Description="audited"))
    assert event["eventName"] == "CreateKey" and event["readOnly"] is False


def test_refused_calls(kms, key, event_of, refused, connect, audited):
    with refused("NotFoundException") as caught:
        kms.describe_key(KeyId="alias/none")
    event = event_of(caught.value.response)
    assert event["errorCode"] == "NotFoundException" and "alias/none is not found" in event["errorMessage"]

    with refused("InvalidCiphertextException") as caught:
        kms.decrypt(CiphertextBlob=b"nonsense")
    assert event_of(caught.value.response)["errorCode"] == "InvalidCiphertextException"

    with refused("UnrecognizedClientException") as caught:
        connect(to=audited, aws_access_key_id="AKIANOBODYKNOWSTHIS1").list_keys()
    assert event_of(caught.value.response)["errorCode"] == "UnrecognizedClientException"

    with refused("InvalidSignatureException") as caught:
        connect(to=audited, aws_secret_access_key="wrong").list_keys()
    assert event_of(caught.value.response)["errorCode"] == "InvalidSignatureException"


def test_an_attested_call(kms, key, nsm, event_of):
    recipient = {
        "AttestationDocument": nsm.document(nitro.spki(nitro.recipient())),
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    }
    event = event_of(kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient))
    recorded = event["additionalEventData"]["recipient"]
    pcrs = nitro.default_pcrs()
    assert recorded["attestationDocumentModuleId"] == nitro.MODULE
    assert recorded["attestationDocumentEnclaveImageDigest"] == base64.b64encode(pcrs[0]).decode()
    for index in (1, 2, 3, 4, 8):
        assert recorded[f"attestationDocumentEnclavePCR{index}"] == base64.b64encode(pcrs[index]).decode()


def test_input_that_is_no_call_is_recorded_too(audited):
    _, headers, _ = exchange(audited, request(audited, b"{", "Decrypt"))
    deadline = time.monotonic() + 10
    while not any(event["requestID"] == headers["x-amzn-requestid"] for event in events(audited)):
        assert time.monotonic() < deadline, "no event"
        time.sleep(0.02)


def test_one_event_for_each_call(connect, audited):
    kms = connect(to=audited, region="test-audit-1")
    answers = [kms.generate_random(NumberOfBytes=8) for _ in range(100)]
    wanted = {answer["ResponseMetadata"]["RequestId"] for answer in answers}
    deadline = time.monotonic() + 10
    while True:
        found = [event["requestID"] for event in events(audited) if event.get("awsRegion") == "test-audit-1"]
        if set(found) == wanted:
            break
        assert time.monotonic() < deadline, f"{len(found)} of {len(wanted)}"
        time.sleep(0.05)
    assert len(found) == len(wanted)


def test_nothing_secret_in_any_file(kms, key, audited):
    plaintext = b"the plaintext of the audit test, long enough to be found"
    secrets = [plaintext, audited.secret_key.encode()]
    blob = kms.encrypt(KeyId=key, Plaintext=plaintext)["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=blob)
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")["PrivateKeyPlaintext"]
    random = kms.generate_random(NumberOfBytes=64)["Plaintext"]
    secrets += [data_key, pair, random]
    time.sleep(0.5)

    needles = {
        needle
        for secret in secrets
        for needle in (secret, base64.b64encode(secret)[:-4], secret.hex().encode())
    }
    looked_at = 0
    for file in [path for path in audited.data.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        # The developer's own credentials are kept for the next start, for nobody else to read.
        own = needles - (
            {audited.secret_key.encode()} if file.parent == audited.data and file.suffix == ".json" else set()
        )
        for needle in own:
            assert needle not in content, f"{file} holds a secret"
        looked_at += 1
    assert looked_at > 0
    log = audited.log().encode() + "\n".join(audited.lines).encode()
    for needle in needles - {audited.secret_key.encode()}:
        assert needle not in log
