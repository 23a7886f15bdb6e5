"""Operators of an enclave in a machine of its own, which `tests/tests/nitro.rs` boots, and boots again.

They know it by the measurements of its image alone. What they keep between the two steps is in a folder.
"""

import os
import pathlib
import subprocess

import pyrage
import pytest

from server import binary
from test_quorum import NAMES, Endpoint, client, genesis, opened, operators

FOLDER = pathlib.Path(os.environ.get("CLAVIGER_FOLDER", "."))


class Nitro(Endpoint):
    def expected(self):
        return [self.url, "--root", str(FOLDER / "nsm-ca.pem"), "--release", str(FOLDER / "release.json")]


@pytest.fixture
def machine():
    return Nitro(os.environ["CLAVIGER_URL"])


def test_genesis(machine):
    identities, plan = operators()
    done, printed = genesis(machine, FOLDER / "ours", plan)
    assert done, printed
    for name, identity in identities.items():
        (FOLDER / name).write_text(str(identity))
    machine.wait_until_it_serves()
    done, printed = machine.claviger("trust", "--out", FOLDER / "bundle.pem")
    assert done, printed
    kms = administrator(machine, identities)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    (FOLDER / "blob").write_bytes(kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"])


def test_unsealing(machine):
    names = [*NAMES, "administrator"]
    identities = {name: pyrage.x25519.Identity.from_str((FOLDER / name).read_text()) for name in names}
    status, health = machine.health()
    assert (status, health["status"]) == (503, "sealed")
    for name, count in [("grace", 1), ("mary", 2)]:
        share = opened(FOLDER / "ours", identities)[name]
        done, printed = machine.claviger("unseal", given=share)
        assert done and f"share {count} of 2" in printed, printed
    machine.wait_until_it_serves()
    # With the bundle and the credentials of before.
    kms = administrator(machine, identities)
    assert kms.decrypt(CiphertextBlob=(FOLDER / "blob").read_bytes())["Plaintext"] == b"kept"


def handover():
    """Lets the machine beside take over, if it may."""
    addresses = [f"unix:{FOLDER / name}" for name in ("enclave.sock", "second.sock")]
    command = [binary(), "handover", "--from", addresses[0], "--to", addresses[1]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return ended.returncode == 0, ended.stdout + ended.stderr


def test_another_image_gets_nothing(machine):
    done, printed = handover()
    assert not done and "its PCR0 is another one" in printed, printed
    assert machine.health()[0] == 200


def test_the_same_image_takes_over(machine):
    done, printed = handover()
    assert done and "serves" in printed, printed
    machine.wait_until_it_serves()
    names = [*NAMES, "administrator"]
    identities = {name: pyrage.x25519.Identity.from_str((FOLDER / name).read_text()) for name in names}
    # With the bundle and the credentials of before.
    kms = administrator(machine, identities)
    assert kms.decrypt(CiphertextBlob=(FOLDER / "blob").read_bytes())["Plaintext"] == b"kept"
    kms.create_key()


def administrator(machine, identities):
    credentials = opened(FOLDER / "ours", identities)["administrator"]
    return client(machine, credentials, str(FOLDER / "bundle.pem"))
