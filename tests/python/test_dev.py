"""The contract of `claviger dev` that other people's test set-ups rely on."""

import base64
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time
import urllib.request

import pytest

from server import ACCESS_KEY, ACCOUNT, REGION, Server, binary, free_port

KEY_ID = "bc436485-5092-42b8-92a3-0aa8b93536dc"

SEED = {
    "users": [{"name": "seeded", "access_key_id": "AKIASEEDEDUSER000001", "secret_access_key": "seeded" * 6}],
    "keys": [
        {
            "key_id": KEY_ID,
            "region": REGION,
            "key_material": base64.b64encode(bytes(range(32))).decode(),
            "description": "from the seed",
            "aliases": ["alias/seeded"],
        }
    ],
}


def test_what_it_prints(connect):
    with Server() as server:
        (ready,) = [line for line in server.lines if line.startswith("ready ")]
        assert ready == f"ready http://{server.listen}"
        printed = "\n".join(server.lines) + server.log()
        assert ACCESS_KEY in printed and server.url in printed
        assert "AWS_ENDPOINT_URL" in printed and "aws kms " in printed
        metadata = connect(to=server).describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]
        assert metadata["KeyState"] == "Enabled" and metadata["AWSAccountId"] == ACCOUNT


@pytest.mark.parametrize("region", [REGION, "us-east-1"])
def test_the_example_alias_is_in_every_usual_region(connect, server, region):
    assert connect(region=region).describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]["Enabled"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(number):
    with Server() as server:
        assert server.stop(number) == 0
        assert not server.left_behind, "a process outlived it"
        with pytest.raises(OSError):
            socket.create_connection(server.address, timeout=1)


def test_state_survives_restarts(connect, tmp_path):
    with Server(data=tmp_path / "data") as server:
        kms = connect(to=server)
        key = kms.create_key(Description="kept")["KeyMetadata"]
        kms.create_alias(AliasName="alias/kept", TargetKeyId=key["KeyId"])
        blob = kms.encrypt(KeyId="alias/kept", Plaintext=b"kept")["CiphertextBlob"]
        example = kms.describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]["KeyId"]
        kms.disable_key(KeyId=example)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        with Server(data=tmp_path / "data") as server:
            kms = connect(to=server)
            assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
            assert kms.describe_key(KeyId="alias/kept")["KeyMetadata"]["Description"] == "kept"
            assert kms.describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]["KeyState"] == "Disabled"
            server.stop(number)


def test_credentials_are_made_and_kept(connect, tmp_path):
    made = []
    for _ in range(2):
        with Server(data=tmp_path / "data", credentials=None) as server:
            printed = "\n".join(server.lines) + server.log()
            access_key = re.search(r"AWS_ACCESS_KEY_ID=\"?'?([A-Z0-9]{16,128})", printed).group(1)
            secret_key = re.search(r"AWS_SECRET_ACCESS_KEY=\"?'?([A-Za-z0-9/+=]{20,})", printed).group(1)
            made.append((access_key, secret_key))
            connect(to=server, aws_access_key_id=access_key, aws_secret_access_key=secret_key).list_keys()
    assert made[0] == made[1]


def test_only_the_owner_reads_secrets(tmp_path):
    data = tmp_path / "data"
    with Server(data=data, credentials=None):
        open_to_others = [
            file
            for file in data.rglob("*")
            if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        ]
        for file in open_to_others:
            content = file.read_bytes()
            assert b"PRIVATE KEY" not in content and b"secret" not in content.lower(), file


def test_it_listens_only_where_it_is_told(server):
    listening = subprocess.run(
        ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True
    )
    port = f"{server.address[1]:04X}"
    addresses = [
        line.split()[1]
        for line in listening.stdout.splitlines()
        if " 0A " in line and line.split()[1].endswith(":" + port)
    ]
    assert addresses == ["0100007F:" + port]


def test_a_taken_port_is_said_plainly(server, tmp_path):
    done = subprocess.run(
        [binary(), "dev", "--listen", server.listen, "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode not in (0, 101) and server.listen in done.stderr
    assert "panicked" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--listen", "nonsense"],
        ["--account", "12"],
        ["--access-key", "AKIDONLY"],
        ["--trust-root", "/nowhere"],
        ["--max-age", "soon"],
        ["--seed", "/nowhere"],
        ["--unknown"],
    ],
    ids=lambda options: options[0],
)
def test_wrong_options_end_at_once(options, tmp_path):
    done = subprocess.run(
        [binary(), "dev", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{free_port()}", *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode not in (0, 101) and done.stderr.strip()
    assert "panicked" not in done.stderr


def test_an_idle_client_does_not_hold_up_the_end():
    with Server() as server:
        with socket.create_connection(server.address) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(1)
            started = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - started < 4


def test_a_restart_waits_for_what_a_killed_server_left(connect, tmp_path):
    for _ in range(3):
        server = Server(data=tmp_path / "data").start()
        with socket.create_connection(server.address) as client:
            # A request that never becomes whole keeps the processes busy with their end.
            client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            os.kill(server.pid, signal.SIGKILL)
            with Server(data=tmp_path / "data") as next_server:
                connect(to=next_server).list_keys()


def test_credentials_may_change_between_runs(connect, tmp_path):
    changes = [
        {"credentials": ("AKIACHANGING00000001", "first" * 8)},
        {"credentials": ("AKIACHANGING00000001", "second" * 8)},
        {"credentials": None},
        {"credentials": None, "account": "000000000000"},
        {"credentials": None},
    ]
    for change in changes:
        account = change.get("account", ACCOUNT)
        with Server("--account", account, data=tmp_path / "data", credentials=change["credentials"]) as server:
            if change["credentials"] is None:
                kept = json.loads((tmp_path / "data" / "credentials.json").read_text())
                server.access_key, server.secret_key = kept["access_key_id"], kept["secret_access_key"]
            metadata = connect(to=server).describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]
            assert metadata["AWSAccountId"] == account


def test_a_root_may_come_in_any_pem(nsm, tmp_path):
    lines = nsm.root_pem.decode().strip().splitlines()
    root = tmp_path / "root.pem"
    root.write_text("\n".join([lines[0], "".join(lines[1:-1]), lines[-1]]) + "\n\n")
    with Server("--trust-root", str(root)) as server:
        assert server.url


@pytest.mark.parametrize("arguments", [["demo"], ["--help"]])
def test_a_reader_may_leave(arguments):
    process = subprocess.Popen([binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "panicked" not in errors


def test_it_is_loud_about_simulation(server):
    with urllib.request.urlopen(server.url + "/health") as answer:
        health = json.load(answer)
    assert health["status"] == "ok" and health["attestation"] == "simulated"


@pytest.fixture
def seed(tmp_path):
    (tmp_path / "seed.json").write_text(json.dumps(SEED))
    return tmp_path / "seed.json"


class TestSeed:
    def test_keys_aliases_and_users(self, connect, seed, tmp_path):
        blob = None
        for _ in range(2):
            # A fresh data folder: the material comes from the file alone.
            with Server("--seed", str(seed)) as server:
                kms = connect(to=server)
                metadata = kms.describe_key(KeyId="alias/seeded")["KeyMetadata"]
                assert metadata["KeyId"] == KEY_ID
                blob = blob or kms.encrypt(KeyId=KEY_ID, Plaintext=b"seeded")["CiphertextBlob"]
                assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"seeded"
                user = connect(
                    to=server, aws_access_key_id="AKIASEEDEDUSER000001", aws_secret_access_key="seeded" * 6
                )
                assert user.describe_key(KeyId=KEY_ID)["KeyMetadata"]["KeyId"] == KEY_ID

    def test_seeding_twice_changes_nothing(self, connect, seed, tmp_path):
        with Server("--seed", str(seed), data=tmp_path / "data") as server:
            connect(to=server).create_alias(AliasName="alias/own", TargetKeyId=KEY_ID)
        with Server("--seed", str(seed), data=tmp_path / "data") as server:
            assert connect(to=server).describe_key(KeyId="alias/own")["KeyMetadata"]["KeyId"] == KEY_ID

    @pytest.mark.parametrize(
        "text", ["{", "[]", '{"unknown": 1}', '{"users": [{"name": "x", "surprise": 1}]}']
    )
    def test_a_wrong_seed_ends_at_once(self, text, tmp_path):
        (tmp_path / "seed.json").write_text(text)
        done = subprocess.run(
            [
                binary(),
                "dev",
                "--data",
                str(tmp_path / "data"),
                "--listen",
                f"127.0.0.1:{free_port()}",
                "--seed",
                str(tmp_path / "seed.json"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode not in (0, 101) and "seed.json" in done.stderr
        assert "panicked" not in done.stderr


def test_the_default_data_folder(tmp_path):
    """`.claviger` in the working directory, as the contract says."""
    process = subprocess.Popen(
        [binary(), "dev", "--listen", f"127.0.0.1:{free_port()}"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                break
        assert pathlib.Path(tmp_path, ".claviger").is_dir()
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
