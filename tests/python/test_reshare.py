"""Operators change who holds the shares: a lost one is replaced, the others are renewed, the old ones are void."""

import json
import signal

import httpx
import pyrage
import pytest

from test_quorum import Machine, client, genesis, opened, operators


@pytest.fixture
def served(tmp_path):
    """An enclave that serves, the shares of its operators, and a client with something to lose."""
    with Machine(tmp_path) as machine:
        identities, plan = operators()
        done, printed = genesis(machine, tmp_path / "ours", plan)
        assert done, printed
        machine.wait_until_it_serves()
        secrets = opened(tmp_path / "ours", identities)
        bundle = tmp_path / "bundle.pem"
        assert machine.claviger("trust", "--out", bundle)[0]
        yield machine, plan, secrets, client(machine, secrets["administrator"], str(bundle))


def claviger(machine, step, *options, given=""):
    """A step of `claviger reshare`, whose options come after its name."""
    expected, machine.expected = machine.expected, lambda: [step, *Machine.expected(machine)]
    try:
        return machine.claviger("reshare", *options, given=given)
    finally:
        machine.expected = expected


def next_plan(folder, names, threshold):
    identities = {name: pyrage.x25519.Identity.generate() for name in names}
    operators = [{"name": name, "key": str(identity.to_public())} for name, identity in identities.items()]
    path = folder / f"plan-{'-'.join(names)}.json"
    path.write_text(json.dumps({"threshold": threshold, "operators": operators}))
    return identities, path


def new_shares(machine, folder, identities):
    done, printed = claviger(machine, "shares", "--out", folder)
    assert done, printed
    return {
        name: pyrage.decrypt((folder / f"{name}.share.age").read_bytes(), [identity]).decode()
        for name, identity in identities.items()
    }


def test_a_lost_share_is_replaced(served, tmp_path):
    """Mary has lost hers; ada and grace agree on new shares for three others, of whom it takes all."""
    machine, _, secrets, kms = served
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    identities, plan = next_plan(tmp_path, ["ada", "grace", "joan"], 3)

    done, printed = claviger(machine, "shares", "--out", tmp_path / "early")
    assert not done and "no resharing has been approved" in printed
    for name, count, state in [("ada", 1, "nothing has changed"), ("grace", 2, "the new shares are there")]:
        done, printed = claviger(machine, "approve", "--plan", plan, given=secrets[name])
        assert done and f"{name}: approval {count} of 2" in printed and state in printed, printed
    new = new_shares(machine, tmp_path / "new", identities)

    # Until they are confirmed, nothing has changed, not even if the enclave stops now.
    done, printed = claviger(machine, "confirm", given=new["joan"])
    assert done and "joan: new share 1 of 3 confirmed; the old shares are still good" in printed, printed
    machine.restart(signal.SIGKILL)
    for name in ("ada", "mary"):
        assert machine.claviger("unseal", given=secrets[name])[0]
    machine.wait_until_it_serves()
    done, printed = claviger(machine, "confirm", given=new["ada"])
    assert not done and "not one of the shares" in printed, printed

    # Once more, to the end, while calls go on.
    for name in ("grace", "ada"):
        assert claviger(machine, "approve", "--plan", plan, given=secrets[name])[0]
    new = new_shares(machine, tmp_path / "again", identities)
    for name, count in [("ada", 1), ("joan", 2), ("joan", 2), ("grace", 3)]:
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        done, printed = claviger(machine, "confirm", given=new[name])
        assert done and f"new share {count} of 3" in printed, printed
    assert "the old shares are void" in printed
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    kms.create_alias(AliasName="alias/after", TargetKeyId=key)

    # The next holders can change it again without a restart; the former can't.
    _, third = next_plan(tmp_path, ["ruth", "vera"], 2)
    done, printed = claviger(machine, "approve", "--plan", third, given=secrets["ada"])
    assert not done and "another root key" in printed
    assert claviger(machine, "approve", "--plan", third, given=new["joan"])[0]

    machine.restart()
    assert machine.health()[1]["quorum"]["threshold"] == 3
    done, printed = machine.claviger("unseal", given=secrets["ada"])
    assert not done and "of the root key" in printed
    for name in ("joan", "grace", "ada"):
        assert machine.claviger("unseal", given=new[name])[0]
    machine.wait_until_it_serves()
    # With the bundle and the credentials of before.
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    assert kms.describe_key(KeyId="alias/after")["KeyMetadata"]["Arn"] == key


def test_fewer_than_the_quorum_change_nothing(served, tmp_path):
    machine, old_plan, secrets, kms = served
    _, plan = next_plan(tmp_path, ["eve", "mallory"], 2)
    approve = lambda path, share: claviger(machine, "approve", "--plan", path, given=share)  # noqa: E731
    for _ in range(3):
        done, printed = approve(plan, secrets["ada"])
        assert done and "approval 1 of 2" in printed
    # Another holder's approval of another plan is none of this one.
    _, other = next_plan(tmp_path, ["eve", "trudy"], 2)
    done, printed = approve(other, secrets["grace"])
    assert done and "approval 1 of 2" in printed
    assert not claviger(machine, "shares", "--out", tmp_path / "none")[0]

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with Machine(stranger) as another:
        identities, theirs = operators()
        assert genesis(another, stranger / "theirs", theirs)[0]
        foreign = opened(stranger / "theirs", identities)["grace"]
    done, printed = approve(plan, foreign)
    assert not done and "another root key" in printed
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({**old_plan, "threshold": 1}))
    done, printed = approve(bad, secrets["grace"])
    assert not done and "threshold" in printed
    # What was not encrypted for this enclave, and what is nonsense.
    for path in ("/reshare", "/reshare/confirm"):
        for body in (b"", b"x" * 3000, secrets["grace"].encode()):
            answer = httpx.post(machine.url + path, content=body, verify=False)
            assert answer.status_code == 400 and "not encrypted to the key" in answer.json()["error"]
        assert httpx.get(machine.url + path, verify=False).status_code == 400
    assert not claviger(machine, "shares", "--out", tmp_path / "none")[0]
    kms.list_keys()
    machine.restart()
    for name in ("mary", "grace"):
        assert machine.claviger("unseal", given=secrets[name])[0]
    machine.wait_until_it_serves()
    kms.list_keys()
    assert all(secret.strip() not in (machine.folder / "log").read_text() for secret in secrets.values())
