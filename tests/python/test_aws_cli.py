"""The AWS CLI, as people type it."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest

import nitro
from server import ACCOUNT

AWS = pathlib.Path(sys.executable).parent / "aws"


class Cli:
    def __init__(self, server, folder, service="kms"):
        self.folder = folder
        self.service = service
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": server.url,
            "AWS_MAX_ATTEMPTS": "1",
        }

    def run(self, *arguments):
        command = [str(AWS), self.service, *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def text(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __call__(self, *arguments):
        """The JSON that a successful command prints; None when it prints nothing."""
        printed = self.text(*arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    def fails(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()


@pytest.fixture(scope="module")
def aws(server, tmp_path_factory):
    return Cli(server, tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def alias(kms, key):
    kms.create_alias(AliasName="alias/cli", TargetKeyId=key)
    return "alias/cli"


def size_of(encoded):
    return len(base64.b64decode(encoded, validate=True))


class TestGenerateDataKey:
    @pytest.mark.parametrize("spec, size", [("AES_256", 32), ("AES_128", 16)])
    def test_key_spec(self, aws, key, spec, size):
        answer = aws("generate-data-key", "--key-id", key, "--key-spec", spec)
        assert size_of(answer["Plaintext"]) == size
        assert size_of(answer["CiphertextBlob"]) <= size + 152
        assert answer["KeyId"] == key

    def test_number_of_bytes(self, aws, key):
        assert (
            size_of(aws("generate-data-key", "--key-id", key, "--number-of-bytes", "64")["Plaintext"]) == 64
        )

    def test_each_way_to_name_the_key(self, aws, key, alias):
        key_id = key.rsplit("/", 1)[1]
        alias_arn = key.rsplit(":", 1)[0] + ":" + alias
        for name in (key, key_id, alias, alias_arn):
            answer = aws("generate-data-key", "--key-id", name, "--key-spec", "AES_256")
            assert answer["KeyId"] == key, name

    def test_encryption_context_in_both_notations(self, aws, key):
        shorthand = aws(
            "generate-data-key",
            "--key-id",
            key,
            "--key-spec",
            "AES_256",
            "--encryption-context",
            "Department=HR,Purpose=a test",
        )
        as_json = json.dumps({"Purpose": "a test", "Department": "HR"})
        self.decrypts(aws, shorthand, "--encryption-context", as_json)
        other = aws(
            "generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--encryption-context", as_json
        )
        self.decrypts(aws, other, "--encryption-context", "Purpose=a test,Department=HR")
        (aws.folder / "blob").write_bytes(base64.b64decode(other["CiphertextBlob"]))
        wrong = aws.fails(
            "decrypt",
            "--ciphertext-blob",
            "fileb://blob",
            "--encryption-context",
            "Purpose=b test,Department=HR",
        )
        assert wrong.endswith("(InvalidCiphertextException) when calling the Decrypt operation:"), wrong

    def decrypts(self, aws, answer, *context):
        (aws.folder / "blob").write_bytes(base64.b64decode(answer["CiphertextBlob"]))
        assert (
            aws("decrypt", "--ciphertext-blob", "fileb://blob", *context)["Plaintext"] == answer["Plaintext"]
        )

    def test_grant_tokens(self, aws, key):
        root = f"arn:aws:iam::{ACCOUNT}:root"
        grant = ["create-grant", "--key-id", key, "--grantee-principal", root, "--operations", "Decrypt"]
        tokens = [aws(*grant)["GrantToken"] for _ in range(11)]
        data_key = ["generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--grant-tokens"]
        aws(*data_key, *tokens[:10])
        told = aws.fails(*data_key, "AQpAM2RhZ")
        assert "(InvalidGrantTokenException)" in told
        told = aws.fails(*data_key, *tokens)
        assert "(ValidationException)" in told and "'grantTokens'" in told
        assert "length less than or equal to 10" in told

    def test_recipient(self, aws, key, nsm):
        private_key = nitro.recipient()
        (aws.folder / "document").write_bytes(nsm.document(nitro.spki(private_key)))
        recipient = "KeyEncryptionAlgorithm=RSAES_OAEP_SHA_256,AttestationDocument@=fileb://document"
        answer = aws("generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--recipient", recipient)
        assert "Plaintext" not in answer
        data_key = nitro.open_envelope(base64.b64decode(answer["CiphertextForRecipient"]), private_key)
        (aws.folder / "blob").write_bytes(base64.b64decode(answer["CiphertextBlob"]))
        assert base64.b64decode(aws("decrypt", "--ciphertext-blob", "fileb://blob")["Plaintext"]) == data_key

        # In JSON this CLI sends the text itself, which is no document.
        recipient = json.dumps(
            {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "bm9uc2Vuc2U="}
        )
        told = aws.fails(
            "generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--recipient", recipient
        )
        assert "(ValidationException)" in told

    def test_dry_run(self, aws, key):
        told = aws.fails("generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--dry-run")
        assert told.endswith(
            "An error occurred (DryRunOperationException) when calling the GenerateDataKey operation: "
            "The request would have succeeded, but the DryRun option is set."
        )
        assert aws("generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--no-dry-run")["Plaintext"]

    def test_cli_input_json(self, aws, key):
        given = {"KeyId": key, "NumberOfBytes": 24, "EncryptionContext": {"a": "b"}, "GrantTokens": []}
        (aws.folder / "input.json").write_text(json.dumps(given))
        answer = aws("generate-data-key", "--cli-input-json", "file://input.json")
        assert size_of(answer["Plaintext"]) == 24
        # The command line goes before the file.
        answer = aws("generate-data-key", "--cli-input-json", "file://input.json", "--number-of-bytes", "25")
        assert size_of(answer["Plaintext"]) == 25

    def test_skeleton(self, aws):
        skeleton = json.loads(aws.text("generate-data-key", "--generate-cli-skeleton", "input"))
        assert {
            "KeyId",
            "KeySpec",
            "NumberOfBytes",
            "EncryptionContext",
            "GrantTokens",
            "Recipient",
            "DryRun",
        } <= set(skeleton)

    def test_query_and_output(self, aws, key):
        command = ("generate-data-key", "--key-id", key, "--key-spec", "AES_256")
        plaintext = aws.text(*command, "--query", "Plaintext", "--output", "text")
        assert size_of(plaintext.strip()) == 32
        assert json.loads(aws.text(*command, "--query", "[KeyId]", "--output", "json")) == [key]
        blob, key_id, *rest = aws.text(*command, "--output", "text").split()
        assert size_of(blob) <= 184 and key_id == key and len(rest) == 2, (
            "the material's id and the plaintext follow"
        )
        table = aws.text(*command, "--output", "table")
        assert "GenerateDataKey" in table and key in table

    def test_both_or_neither_size(self, aws, key):
        told = "(ValidationException) when calling the GenerateDataKey operation: Please specify either number of bytes or key spec."
        assert told in aws.fails("generate-data-key", "--key-id", key)
        assert told in aws.fails(
            "generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--number-of-bytes", "32"
        )


def test_the_life_of_a_key(aws):
    metadata = aws("create-key", "--description", "made by the CLI", "--tags", "TagKey=a,TagValue=b")[
        "KeyMetadata"
    ]
    key_id = metadata["KeyId"]
    assert metadata["KeyState"] == "Enabled" and metadata["Description"] == "made by the CLI"
    assert aws("create-alias", "--alias-name", "alias/cli-life", "--target-key-id", key_id) is None
    assert aws("describe-key", "--key-id", "alias/cli-life")["KeyMetadata"]["KeyId"] == key_id
    other = aws("create-key")["KeyMetadata"]["KeyId"]
    aws("update-alias", "--alias-name", "alias/cli-life", "--target-key-id", other)
    listed = aws("list-aliases", "--key-id", other)["Aliases"]
    assert [entry["AliasName"] for entry in listed] == ["alias/cli-life"]
    aws("delete-alias", "--alias-name", "alias/cli-life")
    assert aws("list-aliases", "--key-id", other)["Aliases"] == []

    assert aws("disable-key", "--key-id", key_id) is None
    told = aws.fails("encrypt", "--key-id", key_id, "--plaintext", "x")
    assert f"(DisabledException) when calling the Encrypt operation: {metadata['Arn']} is disabled." in told
    aws("enable-key", "--key-id", key_id)
    scheduled = aws("schedule-key-deletion", "--key-id", key_id, "--pending-window-in-days", "7")
    assert scheduled["KeyState"] == "PendingDeletion" and scheduled["PendingWindowInDays"] == 7
    assert aws("cancel-key-deletion", "--key-id", key_id)["KeyId"] == metadata["Arn"]
    assert aws("describe-key", "--key-id", key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def test_every_page_of_keys(aws, kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    listed = aws("list-keys", "--page-size", "3")["Keys"]
    assert made <= {entry["KeyId"] for entry in listed}
    first = aws("list-keys", "--max-items", "2")
    assert len(first["Keys"]) == 2 and first["NextToken"]


def test_encrypt_decrypt_and_re_encrypt(aws, key, kms):
    (aws.folder / "secret").write_bytes(b"\0a secret\xff")
    encrypted = aws(
        "encrypt", "--key-id", key, "--plaintext", "fileb://secret", "--encryption-context", "a=b"
    )
    (aws.folder / "blob").write_bytes(base64.b64decode(encrypted["CiphertextBlob"]))
    other = kms.create_key()["KeyMetadata"]["Arn"]
    moved = aws(
        "re-encrypt",
        "--ciphertext-blob",
        "fileb://blob",
        "--source-encryption-context",
        "a=b",
        "--destination-key-id",
        other,
        "--destination-encryption-context",
        "c=d",
    )
    assert moved["SourceKeyId"] == key and moved["KeyId"] == other
    (aws.folder / "blob").write_bytes(base64.b64decode(moved["CiphertextBlob"]))
    opened = aws(
        "decrypt", "--ciphertext-blob", "fileb://blob", "--encryption-context", "c=d", "--key-id", other
    )
    assert base64.b64decode(opened["Plaintext"]) == b"\0a secret\xff"
    assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"


def test_the_other_ways_to_make_keys(aws, key):
    without = aws("generate-data-key-without-plaintext", "--key-id", key, "--key-spec", "AES_128")
    assert "Plaintext" not in without and without["CiphertextBlob"]
    pair = aws("generate-data-key-pair", "--key-id", key, "--key-pair-spec", "ECC_NIST_P384")
    assert pair["KeyPairSpec"] == "ECC_NIST_P384" and pair["PrivateKeyPlaintext"] and pair["PublicKey"]
    sealed = aws(
        "generate-data-key-pair-without-plaintext", "--key-id", key, "--key-pair-spec", "ECC_NIST_P256"
    )
    assert "PrivateKeyPlaintext" not in sealed and sealed["PrivateKeyCiphertextBlob"]
    assert size_of(aws("generate-random", "--number-of-bytes", "1024")["Plaintext"]) == 1024


def test_refusals_are_shown_once_and_quickly(aws):
    told = aws.fails("describe-key", "--key-id", "nothing")
    assert told.endswith(
        "An error occurred (NotFoundException) when calling the DescribeKey operation: Invalid keyId 'nothing'"
    )
    told = aws.fails("generate-random", "--number-of-bytes", "1025")
    assert (
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
        "Member must have value less than or equal to 1024" in told
    )


def test_principals(server, tmp_path):
    iam, sts = Cli(server, tmp_path, "iam"), Cli(server, tmp_path, "sts")
    policy = tmp_path / "policy.json"
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    trust = tmp_path / "trust.json"
    statement = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    trust.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    of_policy = ("--policy-name", "p", "--policy-document", f"file://{policy}")
    carol = ("--user-name", "carol")
    role = ("--role-name", "porter")

    assert iam("create-user", *carol)["User"]["Arn"].endswith(":user/carol")
    assert iam("get-user", *carol)["User"]["UserName"] == "carol"
    assert "carol" in [user["UserName"] for user in iam("list-users")["Users"]]
    key = iam("create-access-key", *carol)["AccessKey"]
    key_id = ("--access-key-id", key["AccessKeyId"])
    iam("update-access-key", *carol, *key_id, "--status", "Inactive")
    assert iam("list-access-keys", *carol)["AccessKeyMetadata"][0]["Status"] == "Inactive"
    assert sts("get-access-key-info", *key_id) == {"Account": "123456789012"}
    iam("delete-access-key", *carol, *key_id)
    iam("put-user-policy", *carol, *of_policy)
    shown = iam("get-user-policy", *carol, "--policy-name", "p")
    assert shown["PolicyDocument"] == json.loads(policy.read_text())
    assert iam("list-user-policies", *carol)["PolicyNames"] == ["p"]
    iam("delete-user-policy", *carol, "--policy-name", "p")
    iam("delete-user", *carol)

    made = iam("create-role", *role, "--assume-role-policy-document", f"file://{trust}")["Role"]
    assert iam("get-role", *role)["Role"]["RoleId"] == made["RoleId"]
    assert "porter" in [role["RoleName"] for role in iam("list-roles")["Roles"]]
    iam("update-assume-role-policy", *role, "--policy-document", f"file://{trust}")
    iam("put-role-policy", *role, *of_policy)
    shown = iam("get-role-policy", *role, "--policy-name", "p")
    assert shown["PolicyDocument"] == json.loads(policy.read_text())
    assert iam("list-role-policies", *role)["PolicyNames"] == ["p"]
    assert sts("get-caller-identity")["Account"] == "123456789012"
    assumed = sts("assume-role", "--role-arn", made["Arn"], "--role-session-name", "s1")
    assert assumed["AssumedRoleUser"]["AssumedRoleId"] == f"{made['RoleId']}:s1"
    iam("delete-role-policy", *role, "--policy-name", "p")
    iam("delete-role", *role)
    told = iam.fails("get-role", *role)
    assert told.endswith(
        "An error occurred (NoSuchEntity) when calling the GetRole operation: "
        "The role with name porter cannot be found."
    )
