"""Backup and restore: the drill of `docs/backup.md`, and what a host could do to a store on the way."""

import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import threading
import time

import cbor2
import pytest

from server import Server, binary, free_port
from test_quorum import Machine, client, genesis, opened, operators

PAGE = pathlib.Path(__file__).parents[2] / "docs/backup.md"
QUORUM = b"\xff" * 32

MAGIC = b"claviger-backup-v1\n"


def run(*arguments):
    """Whether a command ended well, and what it printed."""
    command = [binary(), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return ended.returncode == 0, ended.stdout + ended.stderr


def backup(data, out):
    done, printed = run("backup", "--data", data, "--out", out)
    assert done, printed
    return printed


def restore(backup, data):
    done, printed = run("restore", backup, "--data", data)
    assert done, printed
    return printed


class Contents:
    """What a backup has in it, by its documentation alone."""

    def __init__(self, file):
        text = file.read_bytes()
        assert text.startswith(MAGIC)
        self.records = {}
        position = len(MAGIC)
        while position < len(text):
            (length,) = struct.unpack_from(">I", text, position)
            kind, fields = cbor2.loads(text[position + 4 : position + 4 + length])
            if kind == 0:
                (self.head,) = fields
            elif kind == 1:
                self.records[fields[0]] = fields[1]
            else:
                assert fields == [len(self.records), hashlib.sha256(text[:position]).digest()]
                assert position + 4 + length == len(text)
            position += 4 + length
        assert list(self.records) == sorted(self.records)

    def write(self, file):
        entries = [[0, [self.head]], *([1, [id, self.records[id]]] for id in sorted(self.records))]
        text = MAGIC + b"".join(map(self.entry, entries))
        text += self.entry([2, [len(self.records), hashlib.sha256(text).digest()]])
        file.write_bytes(text)
        return file

    @staticmethod
    def entry(value):
        encoded = cbor2.dumps(value)
        return struct.pack(">I", len(encoded)) + encoded


def unseal(machine, secrets, names=("ada", "mary")):
    for name in names:
        done, printed = machine.claviger("unseal", given=secrets[name])
        assert done, printed
    machine.wait_until_it_serves()


def test_the_whole_drill_while_clients_write(tmp_path):
    identities, plan = operators()
    bundle, file = tmp_path / "bundle.pem", tmp_path / "backup"
    first = tmp_path / "first"
    first.mkdir()
    with Machine(first) as machine:
        assert genesis(machine, tmp_path / "ours", plan)[0]
        secrets = opened(tmp_path / "ours", identities)
        machine.wait_until_it_serves()
        assert machine.claviger("trust", "--out", bundle)[0]
        kms = client(machine, secrets["administrator"], str(bundle))
        key = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/kept", TargetKeyId=key)
        blob = kms.encrypt(KeyId="alias/kept", Plaintext=b"kept", EncryptionContext={"a": "b"})["CiphertextBlob"]
        pair = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256")

        # One store, several backups, and never a moment without changes.
        made, stop = [], threading.Event()

        def write():
            while not stop.is_set():
                made.append(kms.create_key()["KeyMetadata"]["KeyId"])

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        counts = []
        for number in range(5):
            enough = len(made) + 5
            while len(made) < enough:
                time.sleep(0.01)
            before = len(made)
            printed = backup(first / "host", file if number == 4 else tmp_path / f"backup{number}")
            counts.append((before, len(made), printed))
        stop.set()
        for writer in writers:
            writer.join()
        assert (file.stat().st_mode & 0o777) == 0o600
        commits = [int(re.search(r"^commit +(\d+)$", printed, re.M)[1]) for _, _, printed in counts]
        assert commits == sorted(set(commits)), commits

    # The host and all that it had.
    shutil.rmtree(first)
    stored = file.read_bytes()
    for secret in secrets.values():
        assert secret.strip().encode() not in stored

    second = tmp_path / "second"
    second.mkdir()
    printed = restore(file, second / "host")
    assert printed.splitlines()[1:] == counts[-1][2].splitlines()[1:]
    with Machine(second) as machine:
        assert machine.health()[1]["status"] == "sealed"
        unseal(machine, secrets)
        # A client of before, with the bundle of before.
        kms = client(machine, secrets["administrator"], str(bundle))
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"kept"
        assert len(kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"]) > 60
        listed = [key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]]
        before, after, _ = counts[-1]
        # All that was acknowledged before the backup began, and nothing from after its end.
        assert set(made[:before]) <= set(listed)
        assert before + 1 <= len(listed) <= after + 1 + len(writers)
        kms.encrypt(KeyId=kms.create_key()["KeyMetadata"]["KeyId"], Plaintext=b"and goes on")


# Stand-ins for programs that the page takes as installed, all of them in `claviger` and in pyrage.
PROGRAMS = {
    "claviger": '#!/bin/sh\nexec {claviger} "$@"\n',
    "claviger-host-proxy": '#!/bin/sh\nexec {claviger} host-proxy "$@"\n',
    "claviger-enclave": '#!/bin/sh\nexec {claviger} enclave "$@"\n',
    "aws": '#!/bin/sh\nexec {python} -m awscli "$@"\n',
    "age-keygen": """#!{python}
import pathlib, pyrage, sys
option, file = sys.argv[1], pathlib.Path(sys.argv[2])
if option == "-o":
    file.write_text(str(pyrage.x25519.Identity.generate()))
else:
    print(pyrage.x25519.Identity.from_str(file.read_text()).to_public())
""",
    "age": """#!{python}
import pathlib, pyrage, sys
_, decrypt, identity, key, file = sys.argv
assert (decrypt, identity) == ("--decrypt", "--identity")
identity = pyrage.x25519.Identity.from_str(pathlib.Path(key).read_text())
sys.stdout.buffer.write(pyrage.decrypt(pathlib.Path(file).read_bytes(), [identity]))
""",
}


def test_the_page_does_what_it_says(tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(text.format(claviger=binary(), python=sys.executable))
        (programs / name).chmod(0o755)
    _, _, drill = PAGE.read_text().partition("## The drill")
    build, *blocks = re.findall(r"^```sh\n(.*?)^```$", drill, re.M | re.S)
    assert "cargo build" in build
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    # A shell for each block: nothing is in a variable.
    for number, block in enumerate(blocks):
        if number + 1 == len(blocks):
            assert printed.stdout == "what must not be lost\n"
        # Not through pipes, which what goes on in the background would keep open.
        with open(tmp_path / "out", "w+") as out, open(tmp_path / "log", "w+") as log:
            printed = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.replace("127.0.0.1:8443", address)],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                timeout=120,
            )
            out.seek(0), log.seek(0)
            printed.stdout, printed.stderr = out.read(), log.read()
        assert printed.returncode == 0, (block, printed.stdout, printed.stderr)
    while (tmp_path / "host.sock").exists():
        time.sleep(0.05)


def test_a_file_is_a_backup_or_refused(tmp_path):
    file, data = tmp_path / "backup", tmp_path / "data"
    done, printed = run("backup", "--data", data, "--out", file)
    assert not done and "there is no record store" in printed and not data.exists()
    with Server() as server:
        serving = backup(server.data, file)
        server.stop()
        # The same from a host that is stopped.
        assert backup(server.data, tmp_path / "again").splitlines()[1:] == serving.splitlines()[1:]
        assert (tmp_path / "again").read_bytes() == file.read_bytes()
        done, printed = run("restore", file, "--data", server.data)
        assert not done and "there is a record store already" in printed
    done, printed = run("backup", "--data", server.data, "--out", file)
    assert not done
    whole = file.read_bytes()
    flipped = bytearray(whole)
    # In the head: the length of an entry, anywhere else, might make a shorter file of it.
    flipped[len(MAGIC) + 32] ^= 1
    for text, why in [
        (whole[:-1], "cut"),
        (whole[: len(whole) // 2], "cut"),
        (flipped, "damaged"),
        (whole + b"\n", "follows its end"),
        (b"PK", "not a backup"),
        (b"", "not a backup"),
        (MAGIC, "nothing in it"),
    ]:
        (tmp_path / "broken").write_bytes(text)
        done, printed = run("restore", tmp_path / "broken", "--data", data)
        assert not done and why in printed, printed
        assert not data.exists()
    # The documented form is what is read and written.
    contents = Contents(file)
    assert contents.write(tmp_path / "ours").read_bytes() == whole
    restore(tmp_path / "ours", data)
    assert [path.name for path in data.iterdir()] == ["records.redb"]
    backup(data, tmp_path / "third")
    assert (tmp_path / "third").read_bytes() == whole
    # No file is written over, and none is left of what failed.
    before = sorted(tmp_path.iterdir())
    done, printed = run("backup", "--data", data, "--out", file)
    assert not done and "such a file already" in printed
    assert sorted(tmp_path.iterdir()) == before and file.read_bytes() == whole


def test_a_restored_server_has_what_it_had(tmp_path, connect):
    """With a root key in a file, which is not in the backup."""
    file = tmp_path / "backup"
    with Server() as server:
        kms = connect(to=server)
        blob = kms.encrypt(KeyId="alias/ExampleAlias", Plaintext=b"kept")["CiphertextBlob"]
        backup(server.data, file)
        kms.schedule_key_deletion(KeyId=kms.describe_key(KeyId="alias/ExampleAlias")["KeyMetadata"]["KeyId"])
        server.stop()
        (server.data / "records.redb").unlink()
        restore(file, server.data)
        server.start()
        # A rollback, as the page says: the deletion is undone.
        assert connect(to=server).decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        server.stop()

        with Server() as other:
            other.stop()
            (other.data / "records.redb").unlink()
            restore(file, other.data)
            with pytest.raises(AssertionError) as refused:
                other.start()
            ids = re.search(r"sealed under root key (\w+), but the root key given is (\w+)", str(refused.value))
            assert ids and ids[1] != ids[2] and f"root key {ids[1]}" in restore(file, tmp_path / "any")


class Victim(Machine):
    """An enclave that may end by itself."""

    def start(self):
        self.enclave = self._run("enclave", "--config", str(self.folder / "enclave.json"))

    def refusal(self):
        """What it says when it ends by itself, as it has to."""
        assert self.enclave.wait(60) not in (0, -6, 101), "it crashed, or did not mind"
        log = (self.folder / "log").read_text()
        assert "panicked" not in log
        return log


class Stores:
    """Two stores with a quorum each, one of them at two moments, and a fork of it; and what a host makes of them."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.old, self.new, self.secrets, self.keys, self.blob = self.made("ours")
        _, self.other, self.other_secrets, _, _ = self.made("other")
        with self.victim(self.old) as fork:
            fork.wait(lambda: fork.health() is not None)
            unseal(fork, self.secrets)
            self.client(fork).disable_key(KeyId=self.keys[2])
            backup(fork.folder / "host", fork.folder / "fork")
        self.fork = Contents(fork.folder / "fork")

    def made(self, name):
        folder = self.folder / name
        folder.mkdir()
        identities, plan = operators()
        with Machine(folder) as machine:
            assert genesis(machine, folder, plan)[0]
            secrets = opened(folder, identities)
            machine.wait_until_it_serves()
            assert machine.claviger("trust", "--out", folder / "bundle.pem")[0]
            kms = client(machine, secrets["administrator"], str(folder / "bundle.pem"))
            keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3)]
            blob = kms.encrypt(KeyId=keys[0], Plaintext=b"kept")["CiphertextBlob"]
            backup(folder / "host", folder / "old")
            kms.disable_key(KeyId=keys[1])
            backup(folder / "host", folder / "new")
        return Contents(folder / "old"), Contents(folder / "new"), secrets, keys, blob

    def client(self, machine):
        """A client of our store, whoever has it."""
        return client(machine, self.secrets["administrator"], str(self.folder / "ours/bundle.pem"))

    def victim(self, contents):
        """An enclave on a store with these contents."""
        self.count += 1
        folder = self.folder / f"victim{self.count}"
        folder.mkdir()
        restore(contents.write(folder / "backup"), folder / "host")
        return Victim(folder)

    def change(self, **changes):
        """The newest contents of our store, with changes to the quorum's record or head."""
        contents = Contents(self.folder / "ours/new")
        contents.head = changes.get("head", contents.head)
        contents.records[QUORUM] = changes.get("quorum", contents.records[QUORUM])
        return contents


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return Stores(tmp_path_factory.mktemp("stores"))


def edited(record, edit):
    """A quorum's record with a change, under the MAC of before."""
    body = cbor2.loads(record[1:-32])
    edit(body)
    return record[:1] + cbor2.dumps(body) + record[-32:]


@pytest.mark.parametrize(
    "name, why",
    [
        ("deleted", "has no record of the quorum"),
        ("cut", "the record of the quorum is damaged"),
        ("flipped", "the record of the quorum is damaged"),
        ("of another store", "one of them is another store's"),
        ("head of another store", "one of them is another store's"),
        ("head damaged", "the head is not one that this version can read"),
    ],
)
def test_without_the_record_of_its_quorum_an_enclave_ends(stores, name, why):
    record, other = stores.new.records[QUORUM], stores.other
    contents = {
        "deleted": lambda: stores.change(),
        "cut": lambda: stores.change(quorum=record[:40]),
        "flipped": lambda: stores.change(quorum=bytes([record[0] ^ 1]) + record[1:]),
        "of another store": lambda: stores.change(quorum=other.records[QUORUM]),
        "head of another store": lambda: stores.change(head=other.head),
        "head damaged": lambda: stores.change(head=b"\x02" + stores.new.head[1:]),
    }[name]()
    if name == "deleted":
        del contents.records[QUORUM]
    with stores.victim(contents) as victim:
        assert why in victim.refusal()
    backup(victim.folder / "host", victim.folder / "after")
    assert (victim.folder / "after").read_bytes() == (victim.folder / "backup").read_bytes()


@pytest.mark.parametrize("name", ["operator", "threshold", "share"])
def test_an_altered_record_of_a_quorum_opens_nothing(stores, name):
    def edit(body):
        if name == "operator":
            body[2][0][0] = "eve"
        elif name == "threshold":
            body[1] = 3
        else:
            body[2][0][-1] = bytes(32)

    contents = stores.change(quorum=edited(stores.new.records[QUORUM], edit))
    with stores.victim(contents) as victim:
        victim.wait(lambda: victim.health() is not None)
        told = [victim.claviger("unseal", given=stores.secrets[operator]) for operator in ("ada", "mary")]
        # Its MAC can be checked only when there is a key.
        (done, printed), why = told[0], "not one of the shares"
        if name == "operator":
            (done, printed), why = told[1], "not the one that was made with this root key"
        assert not done and why in printed, told
        assert victim.health()[1]["status"] == "sealed"
        assert victim.enclave.poll() is None


@pytest.mark.parametrize(
    "name, why",
    [
        ("a record put back", "not the ones the head commits to"),
        ("the head put back", "the head was put back"),
        ("records swapped", "is not the record of this id"),
        ("a record deleted", "of kind KMS key are missing"),
        ("a record added", "is not the record of this id"),
        ("a record and its copy", "is not the record of this id"),
        ("all of another store", "is not the record of this id"),
        ("a record of a fork", "not the ones the head commits to"),
        ("the head of a fork", "not the ones the head commits to"),
    ],
)
def test_what_a_host_did_to_the_records_is_found_when_it_is_unsealed(stores, name, why):
    contents = stores.change()
    new, old, other = contents.records, stores.old.records, stores.other.records
    (changed,) = [id for id in new if id in old and old[id] != new[id]]
    ids = [id for id in new if id not in (QUORUM, bytes(32))]
    if name == "a record put back":
        new[changed] = old[changed]
    elif name == "the head put back":
        contents.head = stores.old.head
    elif name == "records swapped":
        new[ids[0]], new[ids[1]] = new[ids[1]], new[ids[0]]
    elif name == "a record deleted":
        del new[changed]
    elif name == "a record added":
        new |= {id: other[id] for id in other if id not in (QUORUM, bytes(32))}
    elif name == "a record and its copy":
        new[bytes([0xFF] * 31 + [0xFE])] = new[changed]
    elif name == "all of another store":
        contents.records = {**other, QUORUM: new[QUORUM]}
    elif name == "a record of a fork":
        # Of the same root key, and as new as the head.
        fork = stores.fork.records
        (id,) = [id for id in fork if id != changed and fork[id] != new[id]]
        new[id] = fork[id]
    else:
        contents.head = stores.fork.head
    with stores.victim(contents) as victim:
        victim.wait(lambda: victim.health() is not None)
        for operator in ("ada", "mary"):
            done, printed = victim.claviger("unseal", given=stores.secrets[operator])
            assert done, printed
        assert why in victim.refusal()
    backup(victim.folder / "host", victim.folder / "after")
    assert (victim.folder / "after").read_bytes() == (victim.folder / "backup").read_bytes()


def test_an_older_moment_as_a_whole_is_a_store_like_any_other(stores):
    """What no enclave can find, and SECURITY.md says: the disabled key is enabled again."""
    with stores.victim(stores.old) as victim:
        victim.wait(lambda: victim.health() is not None)
        unseal(victim, stores.secrets)
        kms = stores.client(victim)
        assert kms.decrypt(CiphertextBlob=stores.blob)["Plaintext"] == b"kept"
        states = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Enabled"] for key in kms.list_keys()["Keys"]]
        assert states == [True] * 3


def test_shares_of_another_root_key_are_refused(stores):
    """With both head and record of another quorum it waits for that one, and says so."""
    contents = stores.change(head=stores.other.head, quorum=stores.other.records[QUORUM])
    with stores.victim(contents) as victim:
        victim.wait(lambda: victim.health() is not None)
        done, printed = victim.claviger("unseal", given=stores.secrets["ada"])
        assert not done and "the enclave needs" in printed
        for operator in ("ada", "mary"):
            assert victim.claviger("unseal", given=stores.other_secrets[operator])[0]
        assert "is not the record of this id" in victim.refusal()
