"""One enclave takes over from another: same host, same records, same certificates, and no operator awake."""

import base64
import itertools
import json
import signal
import subprocess
import threading
import time

import boto3
import botocore.config
import cbor2
import httpx
import pytest

from server import REGION, binary
from test_quorum import Machine, client, genesis, opened, operators


# Enclaves of one instance, which PCR4 measures.
INSTANCE = "i-0123456789abcdef0"


class OnInstance(Machine):
    """A machine whose enclaves are on the instance of this test."""

    def start(self):
        path = self.folder / "enclave.json"
        settings = json.loads(path.read_text())
        settings["nsm"]["simulated"]["module_id"] = f"{INSTANCE}-enc0123456789abcdef"
        path.write_text(json.dumps(settings))
        super().start()


class Pair(OnInstance):
    """A host proxy with places for two enclaves; one serves, the other is to take over."""

    def __enter__(self):
        self.running = {}
        return super().__enter__()

    def __exit__(self, *_):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        super().__exit__()

    def _run(self, program, *arguments):
        if program == "host-proxy":
            arguments = [*arguments, "--enclave", self.address("second")]
        return super()._run(program, *arguments)

    def address(self, place):
        return f"unix:{self.sockets / place}"

    def start_at(self, place, **nsm):
        """Starts an enclave at a place of its own."""
        settings = json.loads((self.folder / "enclave.json").read_text())
        settings["listen"] = self.address(place)
        settings["nsm"]["simulated"].update(nsm)
        path = self.folder / f"{place}.json"
        path.write_text(json.dumps(settings))
        self.running[place] = self._run("enclave", "--config", str(path))
        self.wait(lambda: self.at(place, "/health") is not None)

    def at(self, place, path, **post):
        """The answer of the enclave at this place, not by way of the proxy."""
        transport = httpx.HTTPTransport(uds=str(self.sockets / place), verify=False)
        with httpx.Client(transport=transport, timeout=30) as one:
            try:
                return one.post("https://localhost" + path, **post) if post else one.get("https://localhost" + path)
            except httpx.HTTPError:
                return None

    def handover(self, source, target, *release):
        ended = subprocess.run(
            [binary(), "handover", "--from", self.address(source), "--to", self.address(target), *map(str, release)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        return ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def served(tmp_path):
    """A pair of which the first serves, the secrets of its operators, and a client."""
    with Pair(tmp_path) as pair:
        identities, plan = operators()
        done, printed = genesis(pair, tmp_path / "ours", plan)
        assert done, printed
        pair.wait_until_it_serves()
        secrets = opened(tmp_path / "ours", identities)
        bundle = tmp_path / "bundle.pem"
        done, printed = pair.claviger("trust", "--out", bundle)
        assert done, printed
        yield pair, secrets, client(pair, secrets["administrator"], str(bundle)), bundle


def test_a_successor_takes_over_while_clients_go_on(served):
    pair, secrets, kms, bundle = served
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]

    # A client as people have it: it tries again by itself, and trusts one bundle for good.
    credentials = json.loads(secrets["administrator"])
    patient = boto3.client(
        "kms",
        endpoint_url=pair.url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        verify=str(bundle),
        config=botocore.config.Config(retries={"total_max_attempts": 10, "mode": "standard"}),
    )
    answered, stop = [], threading.Event()

    def go_on():
        while not stop.is_set():
            answered.append(patient.decrypt(CiphertextBlob=blob)["Plaintext"])
            answered.append(patient.create_key()["KeyMetadata"])

    worker = threading.Thread(target=go_on)
    worker.start()
    try:
        # There, and back again: the first place is taken by a new process.
        first = pair.enclave
        for source, target in [("enclave", "second"), ("second", "enclave")]:
            if target == "enclave":
                assert first.wait(30) == 0
            pair.start_at(target)
            assert pair.at(target, "/health").json()["status"] == "sealed"
            before = len(answered)
            done, printed = pair.handover(source, target)
            assert done and "serves" in printed, printed
            pair.wait(lambda: len(answered) >= before + 6)  # noqa: B023
        assert pair.running["second"].wait(30) == 0
    finally:
        stop.set()
        worker.join()
    # None got lost, none was made twice.
    made = {answer["KeyId"] for answer in answered if isinstance(answer, dict)}
    pages = kms.get_paginator("list_keys").paginate()
    assert {one["KeyId"] for page in pages for one in page["Keys"]} - {key.split("/")[-1]} == made
    assert {answer for answer in answered if isinstance(answer, bytes)} == {b"kept"}
    log = (pair.folder / "log").read_text()
    assert log.count("another enclave has taken over") == 2
    for secret in secrets.values():
        assert secret.strip() not in log


def test_an_enclave_of_another_image_does_not_take_over(served):
    pair, _, kms, _ = served
    for index in range(3):
        pair.start_at("second", pcrs={str(index): "22" * 48})
        done, printed = pair.handover("enclave", "second")
        assert not done and f"its PCR{index} is another one" in printed, printed
        # Nobody noticed.
        kms.list_keys()
        assert pair.at("second", "/health").json()["status"] == "sealed"
        pair.running["second"].terminate()
        pair.running["second"].wait(30)
    # Nor one on another instance.
    pair.start_at("second", module_id="i-0ffffffffffffffff-enc0123456789abcdef")
    done, printed = pair.handover("enclave", "second")
    assert not done and "its PCR4 is another one" in printed, printed
    pair.running["second"].terminate()
    pair.running["second"].wait(30)
    # Nor one whose memory its host can read.
    pair.start_at("second", pcrs={"0": "00" * 48, "1": "00" * 48, "2": "00" * 48})
    done, printed = pair.handover("enclave", "second")
    assert not done and "debug" in printed, printed
    kms.list_keys()


def test_what_does_not_prove_itself_gets_nothing(served, tmp_path):
    pair, _, kms, _ = served
    pair.start_at("second")
    nonce = lambda: pair.at("enclave", "/handover").json()["nonce"]  # noqa: E731
    document = lambda nonce: pair.at("second", f"/attestation?nonce={nonce}").content  # noqa: E731

    def ask(nonce, document):
        answer = pair.at("enclave", "/handover", json={"nonce": nonce, "document": base64.b64encode(document).decode()})
        return answer.status_code, answer.json().get("error", "")

    good = nonce()
    genuine = document(good)
    assert ask("00" * 32, document("00" * 32))[0] == 400
    assert ask(good, document(nonce())) == (403, ask(good, document(nonce()))[1])
    status, error = ask(good, genuine[:-1] + bytes([genuine[-1] ^ 1]))
    assert status == 400 and "the document" in error
    # The one that serves is no successor, nor is one that has an empty store or another root key.
    status, error = ask(good, pair.at("enclave", f"/attestation?nonce={good}").content)
    assert (status, "not sealed" in error) == (403, True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "nsm-ca.pem").write_bytes((pair.folder / "nsm-ca.pem").read_bytes())
    with OnInstance(other) as another:
        status, error = ask(good, another.get(f"/attestation?nonce={good}").content)
        assert (status, "not sealed" in error) == (403, True)
        assert genesis(another, other / "theirs", operators()[1])[0]
        another.wait_until_it_serves()
        another.restart()
        status, error = ask(good, another.get(f"/attestation?nonce={good}").content)
        assert (status, "another root key" in error) == (403, True)
    assert pair.at("enclave", "/handover", content=b"{").status_code == 400
    # Without having been authorised, there is no message.
    assert pair.at("enclave", f"/handover/message?nonce={good}").status_code >= 400
    # And all that did not disturb anybody.
    kms.list_keys()


def begin(pair):
    """Has the enclave stop for the second; gives the nonce and what was asked."""
    good = pair.at("enclave", "/handover").json()["nonce"]
    document = pair.at("second", f"/attestation?nonce={good}").content
    request = {"nonce": good, "document": base64.b64encode(document).decode()}
    assert pair.at("enclave", "/handover", json=request).status_code == 202
    pair.wait(lambda: (health := pair.at("enclave", "/health")) and health.json()["status"] == "handing_off")
    return good, request


def test_if_nobody_fetches_the_key_it_serves_again(served):
    pair, _, kms, _ = served
    pair.start_at("second")
    good, request = begin(pair)
    answer = pair.at("enclave", "/", content=b"{}")
    assert answer.status_code == 503 and answer.json()["__type"] == "KMSInternalException"
    assert pair.at("enclave", "/handover/message?nonce=" + "00" * 32).status_code == 409
    assert pair.at("enclave", f"/handover?nonce={good}").status_code == 409
    assert pair.at("enclave", "/handover", json=request).status_code == 409
    pair.wait(lambda: (health := pair.at("enclave", "/health")) and health.status_code == 200)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert pair.at("enclave", "/handover", json=request).status_code == 400, "the nonce is used up"
    assert pair.at("enclave", f"/handover/message?nonce={good}").status_code >= 400
    # A second attempt works.
    done, printed = pair.handover("enclave", "second")
    assert done, printed
    pair.wait_until_it_serves()
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]


def test_once_the_key_is_out_it_does_not_serve_again(served):
    pair, _, kms, _ = served
    pair.start_at("second")
    good, _ = begin(pair)
    message = pair.at("enclave", f"/handover/message?nonce={good}").content
    assert pair.at("enclave", f"/handover/message?nonce={good}").content == message
    # The message is for one enclave, and nobody can change it.
    for place in range(0, len(message), 97):
        changed = bytearray(message)
        changed[place] ^= 1
        answer = pair.at("second", "/unseal", content=bytes(changed))
        assert answer.status_code == 400, place
    # However long the host keeps it: there are never two.
    time.sleep(22)
    assert pair.at("enclave", "/health").json()["status"] == "handing_off"
    assert pair.at("second", "/unseal", content=message).status_code == 200
    assert pair.enclave.wait(30) == 0
    pair.wait_until_it_serves()
    kms.list_keys()


class Signers:
    """Operators with SSH keys, who sign what is to be released."""

    def __init__(self, folder, names):
        self.folder, self.numbers = folder, itertools.count()
        for name in names:
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
            subprocess.run(command, check=True)

    def key(self, name):
        return (self.folder / f"{name}.pub").read_text().strip()

    def release(self, number, pcrs, *names, **changes):
        """The options that name a manifest and its signatures."""
        manifest = self.folder / f"release-{next(self.numbers)}.json"
        measured = {f"PCR{index}": value for index, value in enumerate(pcrs)}
        manifest.write_text(json.dumps({"Measurements": measured, "Release": number}))
        options = ["--release", manifest]
        for name in names:
            command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "claviger-release", "-f", str(self.folder / name)]
            with manifest.open() as signed:
                made = subprocess.run(command, stdin=signed, capture_output=True, check=True)
            signature = manifest.with_suffix(f".{name}.sig")
            signature.write_bytes(made.stdout)
            options += ["--signature", signature]
        if changes:
            manifest.write_text(json.dumps({"Measurements": measured, "Release": number, **changes}))
        return options


def test_a_release_that_a_quorum_has_signed_takes_over(tmp_path):
    new, newer = ["33" * 48, "44" * 48, "55" * 48], ["66" * 48, "44" * 48, "77" * 48]
    keys = tmp_path / "keys"
    keys.mkdir()
    signers = Signers(keys, ["ada", "grace", "mary", "eve"])
    with Pair(tmp_path) as pair:
        identities, plan = operators()
        for operator in plan["operators"]:
            operator["signing_key"] = signers.key(operator["name"])
        done, printed = genesis(pair, tmp_path / "ours", plan)
        assert done, printed
        pair.wait_until_it_serves()
        own = pair.at("enclave", "/attestation?nonce=00").content
        own = [pcr.hex() for pcr in list(cbor2.loads(cbor2.loads(own)[2])["pcrs"].values())[:3]]

        start = lambda place, pcrs: pair.start_at(place, pcrs=dict(zip("012", pcrs)))  # noqa: E731
        start("second", new)
        for release, why in [
            ([], "its PCR0 is another one"),
            (signers.release(7, new, "ada"), "1 of 2 operators"),
            (signers.release(7, new, "ada", "eve"), "no operator of this quorum"),
            (signers.release(7, new, "ada", "grace", Release=8), "not of this very file"),
            (signers.release(7, newer, "ada", "grace"), "its PCR0 is another one"),
            (signers.release(7, [*new[:2], "99" * 48], "mary", "grace"), "its PCR2 is another one"),
        ]:
            done, printed = pair.handover("enclave", "second", *release)
            assert not done and why in printed, printed
        done, printed = pair.handover("enclave", "second", *signers.release(7, new, "mary", "ada"))
        assert done, printed
        assert pair.enclave.wait(30) == 0

        # Never back to an older one, however well it is signed; and what served is known after a restart.
        pair.running["second"].kill()
        pair.running["second"].wait(30)
        start("second", new)
        # What follows goes by way of the proxy, which has to notice first.
        pair.wait(lambda: pair.health() is not None)
        secrets = opened(tmp_path / "ours", identities)
        for name in ("ada", "grace"):
            done, printed = pair.claviger("unseal", given=secrets[name])
            assert done, printed
        pair.wait(lambda: (health := pair.at("second", "/health")) and health.status_code == 200)
        start("enclave", own)
        done, printed = pair.handover("second", "enclave", *signers.release(6, own, "ada", "grace", "mary"))
        assert not done and "6 is older than 7" in printed, printed
        pair.running["enclave"].kill()
        pair.running["enclave"].wait(30)
        start("enclave", newer)
        done, printed = pair.handover("second", "enclave", *signers.release(8, newer, "grace", "mary"))
        assert done, printed


def test_an_old_copy_of_the_records_is_not_taken_over(served, tmp_path):
    """The host lets the successor see records of an earlier moment."""
    pair, secrets, kms, _ = served
    key = kms.create_key()["KeyMetadata"]["Arn"]
    pair.enclave.send_signal(signal.SIGSTOP)
    old = tmp_path / "old"
    old.mkdir()
    copy = (pair.folder / "host/records.redb").read_bytes()
    pair.enclave.send_signal(signal.SIGCONT)
    kms.disable_key(KeyId=key)

    (old / "host").mkdir()
    (old / "host/records.redb").write_bytes(copy)
    (old / "nsm-ca.pem").write_bytes((pair.folder / "nsm-ca.pem").read_bytes())
    with OnInstance(old) as another:
        assert another.health()[1]["status"] == "sealed"
        target = f"unix:{another.sockets / 'enclave'}"
        command = [binary(), "handover", "--from", pair.address("enclave"), "--to", target]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 1 and "not as the other enclave left it" in ended.stderr, ended.stderr
        assert another.health()[1]["status"] == "sealed"
    # Nobody serves then, until the operators come.
    assert pair.at("enclave", "/health").json()["status"] == "handing_off"
    pair.restart()
    for name in ("ada", "mary"):
        assert pair.claviger("unseal", given=secrets[name])[0]
    pair.wait_until_it_serves()
    assert not kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
