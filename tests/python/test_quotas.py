"""AWS's request quotas, with boto3: who calls too often is throttled, and nobody else."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import boto3
import botocore.config
import botocore.exceptions
import httpx
import pytest

from server import ACCOUNT, REGION, binary, free_port

# What a principal may make at once of each; AWS's quota for a second.
KEYS_AT_ONCE = 5
ALIASES_AT_ONCE = 5

USERS = {"busy": "AKIACLAVIGERBUSY0001", "calm": "AKIACLAVIGERCALM0001"}


class Limited:
    """A host proxy and an enclave with these limits, and two users."""

    def __init__(self, folder, **limits):
        self.folder = pathlib.Path(folder)
        self.limits = limits

    def __enter__(self):
        # A socket's path is limited to 107 bytes.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="claviger-"))
        enclave, host = (f"unix:{self.sockets / name}" for name in ("enclave", "host"))
        users = [{"name": name, "access_key_id": key, "secret_access_key": name} for name, key in USERS.items()]
        settings = {
            "listen": enclave,
            "host": host,
            "account": ACCOUNT,
            "nsm": {"simulated": {"ca": str(self.folder / "nsm-ca.pem")}},
            "root_key": {"dev_file": str(self.folder / "root-key.json")},
            "seed": {"users": users},
            "limits": self.limits,
        }
        (self.folder / "enclave.json").write_text(json.dumps(settings))
        listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}"
        options = ["--listen", listen, "--enclave", enclave, "--host", host, "--data", str(self.folder / "host")]
        self.running = [
            self._run("host-proxy", *options, "--drain-seconds", "1"),
            self._run("enclave", "--config", str(self.folder / "enclave.json")),
        ]
        deadline = time.monotonic() + 60
        while not self._serves():
            assert time.monotonic() < deadline, "it never came up: see the log in its folder"
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        shutil.rmtree(self.sockets)

    def _run(self, *arguments):
        with open(self.folder / "log", "a") as log:
            return subprocess.Popen([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _serves(self):
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + "/health").status_code == 200
        return False

    def client(self, user, attempts=1):
        """A client of one of the users; a retry would hide a refusal, so it makes none unless told to."""
        config = botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        return boto3.client(
            "kms",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=USERS[user],
            aws_secret_access_key=user,
            config=config,
        )


def burst(call, times):
    """How many of so many calls at once were answered; the others were throttled."""
    answered = 0
    for _ in range(times):
        try:
            call()
            answered += 1
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ThrottlingException"
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            assert "exceeded the rate" in error.response["Error"]["Message"]
    return answered


@pytest.fixture
def limited(tmp_path):
    with Limited(tmp_path, request_quotas="aws") as limited:
        yield limited


def test_one_who_calls_too_often_is_throttled_and_another_is_served(limited):
    busy, calm = limited.client("busy"), limited.client("calm")
    began = time.monotonic()
    answered = burst(busy.create_key, 40)
    took = time.monotonic() - began
    # What there is at once, and what became free meanwhile.
    assert KEYS_AT_ONCE <= answered <= KEYS_AT_ONCE + took * KEYS_AT_ONCE + 1
    assert answered < 40
    # One is as good as throttled again, and the other has all of his own.
    assert burst(busy.create_key, 10) < 10
    assert burst(calm.create_key, KEYS_AT_ONCE) == KEYS_AT_ONCE
    # Other operations have quotas of their own.
    key = busy.list_keys()["Keys"][0]["KeyId"]
    assert burst(lambda: busy.describe_key(KeyId=key), 40) == 40
    assert burst(lambda: busy.generate_data_key(KeyId=key, KeySpec="AES_256"), 40) == 40
    # After a second it has all of it again.
    time.sleep(1.1)
    assert burst(busy.create_key, KEYS_AT_ONCE) == KEYS_AT_ONCE


def test_what_tries_again_is_served_in_time(limited):
    key = limited.client("calm").create_key()["KeyMetadata"]["KeyId"]
    # boto3's standard mode waits a while after ThrottlingException, longer each time.
    patient, made = limited.client("busy", attempts=10), []
    patient.meta.events.register("needs-retry.kms.CreateAlias", lambda attempts, **_: made.append(attempts))
    names = [f"alias/{number}" for number in range(3 * ALIASES_AT_ONCE)]
    workers = [
        threading.Thread(target=patient.create_alias, kwargs={"AliasName": name, "TargetKeyId": key}) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    listed = patient.list_aliases(KeyId=key)["Aliases"]
    assert {alias["AliasName"] for alias in listed} == set(names)
    assert max(made) > 1, "none had to try again"


def test_without_the_option_nobody_is_throttled(tmp_path):
    with Limited(tmp_path) as unlimited:
        busy = unlimited.client("busy")
        assert burst(busy.create_key, 40) == 40
