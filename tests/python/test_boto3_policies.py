"""Key policies and grants, by boto3: what they require is required of real calls."""

import hashlib
import json

import pytest

import nitro
from server import ACCOUNT

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ACCOUNT_STATEMENT = {
    "Sid": "account",
    "Effect": "Allow",
    "Principal": {"AWS": ROOT},
    "Action": "kms:*",
    "Resource": "*",
}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": [ACCOUNT_STATEMENT, *statements]})


def deny(action, condition):
    return {
        "Sid": "unless",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": "*",
        "Condition": condition,
    }


@pytest.fixture
def make_key(kms):
    return lambda *statements: kms.create_key(Policy=policy(*statements))["KeyMetadata"]["Arn"]


class TestKeyPolicies:
    def test_the_default_policy(self, kms, fresh_key):
        answer = kms.get_key_policy(KeyId=fresh_key["KeyId"], PolicyName="default")
        document = json.loads(answer["Policy"])
        (statement,) = document["Statement"]
        assert statement["Principal"] == {"AWS": ROOT} and statement["Action"] == "kms:*"
        assert answer["PolicyName"] == "default"
        assert kms.list_key_policies(KeyId=fresh_key["KeyId"])["PolicyNames"] == ["default"]

    def test_a_policy_comes_back_as_it_was_put(self, kms, fresh_key):
        text = " " + policy(deny("kms:Sign", {"Null": {"kms:MessageType": "false"}})) + "\n"
        kms.put_key_policy(KeyId=fresh_key["KeyId"], Policy=text)
        assert kms.get_key_policy(KeyId=fresh_key["Arn"])["Policy"] == text

    def test_plaintext_only_for_one_image(self, kms, make_key, nsm, refused):
        """The policy of an operator who trusts one enclave image and nobody else."""
        image = nitro.default_pcrs()[0].hex()
        key = make_key(
            deny(
                ["kms:Decrypt", "kms:GenerateDataKey"],
                {"StringNotEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": image}},
            )
        )
        blob = kms.encrypt(KeyId=key, Plaintext=b"a secret")["CiphertextBlob"]
        private_key = nitro.recipient()

        def recipient(**changes):
            document = nsm.document(nitro.spki(private_key), **changes)
            return {"AttestationDocument": document, "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}

        denial = "with an explicit deny in a resource-based policy"
        with refused("AccessDeniedException") as caught:
            kms.decrypt(CiphertextBlob=blob, KeyId=key)
        assert str(caught.value).endswith(denial)
        other = {**nitro.default_pcrs(), 0: hashlib.sha384(b"another image").digest()}
        with refused("AccessDeniedException") as caught:
            kms.decrypt(CiphertextBlob=blob, KeyId=key, Recipient=recipient(pcrs=other))
        assert str(caught.value).endswith(denial)

        answer = kms.decrypt(CiphertextBlob=blob, KeyId=key, Recipient=recipient())
        assert nitro.open_envelope(answer["CiphertextForRecipient"], private_key) == b"a secret"
        answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient())
        assert len(nitro.open_envelope(answer["CiphertextForRecipient"], private_key)) == 32

    def test_a_required_encryption_context(self, kms, make_key, refused):
        """So that one ciphertext can't stand for another of the same key."""
        key = make_key(deny("kms:GenerateDataKey*", {"Null": {"kms:EncryptionContext:file": "true"}}))
        with refused("AccessDeniedException"):
            kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        with refused("AccessDeniedException"):
            kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"other": "x"})
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"file": "x"})

    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            "nonsense",
            policy({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "kms:*"}),
            policy({"Effect": "Allow", "Principal": {"AWS": f"{ROOT[:-4]}user/nobody"}, "Action": "kms:*"}),
            policy(deny("kms:Decrypt", {"StringLooksLike": {"kms:KeySpec": "x"}})),
        ],
    )
    def test_malformed_policies(self, kms, fresh_key, refused, text):
        with refused("MalformedPolicyDocumentException"):
            kms.put_key_policy(KeyId=fresh_key["KeyId"], Policy=text)
        with refused("MalformedPolicyDocumentException"):
            kms.create_key(Policy=text)

    def test_a_policy_that_locks_its_author_out(self, kms, fresh_key, refused):
        locked = policy(deny("kms:PutKeyPolicy", {"Bool": {"kms:MultiRegion": "false"}}))
        message = "The new key policy will not allow you to update the key policy in the future."
        never = json.dumps({"Statement": [{**ACCOUNT_STATEMENT, "Action": "kms:Describe*"}]})
        with refused("MalformedPolicyDocumentException", message):
            kms.put_key_policy(KeyId=fresh_key["KeyId"], Policy=never)
        kms.put_key_policy(KeyId=fresh_key["KeyId"], Policy=never, BypassPolicyLockoutSafetyCheck=True)
        with refused("AccessDeniedException"):
            kms.put_key_policy(KeyId=fresh_key["KeyId"], Policy=locked)


class TestGrants:
    def test_their_life(self, kms, fresh_key, refused):
        key = fresh_key["KeyId"]
        made = kms.create_grant(
            KeyId=key,
            GranteePrincipal=ROOT,
            RetiringPrincipal=ROOT,
            Operations=["Decrypt", "DescribeKey"],
            Constraints={"EncryptionContextSubset": {"a": "1"}},
            Name="life",
        )
        (grant,) = kms.list_grants(KeyId=key)["Grants"]
        assert grant["GrantId"] == made["GrantId"] and len(made["GrantId"]) == 64
        assert grant["KeyId"] == fresh_key["Arn"] and grant["Name"] == "life"
        assert grant["GranteePrincipal"] == ROOT and grant["IssuingAccount"] == ROOT
        assert grant["Operations"] == ["Decrypt", "DescribeKey"]
        assert grant["Constraints"] == {"EncryptionContextSubset": {"a": "1"}}
        retirable = kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 1})
        assert [page["Grants"] for page in retirable] == [[grant]]
        kms.describe_key(KeyId=key, GrantTokens=[made["GrantToken"]])
        with refused("DryRunOperationException"):
            kms.retire_grant(GrantToken=made["GrantToken"], DryRun=True)
        kms.retire_grant(GrantToken=made["GrantToken"])
        assert kms.list_grants(KeyId=key)["Grants"] == []
        with refused("NotFoundException"):
            kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])

    def test_a_grantee_must_exist(self, kms, fresh_key, refused):
        with refused("InvalidArnException"):
            kms.create_grant(
                KeyId=fresh_key["KeyId"],
                GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/nobody",
                Operations=["Decrypt"],
            )
