"""Keys and aliases through boto3: shapes, states, pages, exact refusals."""

import datetime
import re
import uuid

import pytest

from server import ACCOUNT, REGION

ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}"
NOWHERE = "11111111-2222-3333-4444-555555555555"


def test_created_metadata_is_what_aws_answers(kms):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    metadata = kms.create_key(Description="a key", Tags=[{"TagKey": "a", "TagValue": ""}])["KeyMetadata"]
    created = metadata.pop("CreationDate")
    assert before <= created <= datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    material = metadata.pop("CurrentKeyMaterialId")
    assert re.fullmatch("[0-9a-f]{64}", material)
    key_id = metadata["KeyId"]
    assert str(uuid.UUID(key_id)) == key_id
    assert metadata == {
        "AWSAccountId": ACCOUNT,
        "KeyId": key_id,
        "Arn": f"{ARN}:key/{key_id}",
        "Enabled": True,
        "Description": "a key",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    described = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert described.pop("CreationDate") == created and described.pop("CurrentKeyMaterialId") == material
    assert described == metadata


def test_description_is_empty_when_not_given(fresh_key):
    assert fresh_key["Description"] == ""


def test_each_way_to_name_a_key(kms, fresh_key):
    kms.create_alias(AliasName="alias/each/way_to-name", TargetKeyId=fresh_key["KeyId"])
    for name in (
        fresh_key["KeyId"],
        fresh_key["Arn"],
        "alias/each/way_to-name",
        f"{ARN}:alias/each/way_to-name",
    ):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == fresh_key["Arn"]
        assert kms.generate_data_key(KeyId=name, KeySpec="AES_256")["KeyId"] == fresh_key["Arn"]


@pytest.mark.parametrize(
    "name, code, message",
    [
        ("fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"),
        ("mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"),
        (NOWHERE.replace("-", ""), "NotFoundException", f"Invalid keyId '{NOWHERE.replace('-', '')}'"),
        (NOWHERE, "NotFoundException", f"Key '{ARN}:key/{NOWHERE}' does not exist"),
        (f"{ARN}:key/{NOWHERE}", "NotFoundException", f"Key '{ARN}:key/{NOWHERE}' does not exist"),
        ("alias/unknown", "NotFoundException", f"Alias {ARN}:alias/unknown is not found."),
        (f"{ARN}:alias/unknown", "NotFoundException", f"Alias {ARN}:alias/unknown is not found."),
        (f"arn:aws:kms:us-west-2:{ACCOUNT}:key/{NOWHERE}", "NotFoundException", "Invalid arn us-west-2"),
    ],
)
def test_names_of_nothing(kms, refused, name, code, message):
    for call in (kms.describe_key, lambda KeyId: kms.encrypt(KeyId=KeyId, Plaintext=b"x")):
        with refused(code, message):
            call(KeyId=name)


def test_aliases_are_not_names_for_management(kms, key, refused):
    kms.create_alias(AliasName="alias/not-for-management", TargetKeyId=key)
    for call in (kms.disable_key, kms.enable_key, kms.schedule_key_deletion, kms.cancel_key_deletion):
        with refused("InvalidArnException", "Key Aliases are not supported for this operation."):
            call(KeyId="alias/not-for-management")


class TestStates:
    CRYPTOGRAPHIC = {
        "encrypt": {"Plaintext": b"x"},
        "generate_data_key": {"KeySpec": "AES_256"},
        "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
        "generate_data_key_pair": {"KeyPairSpec": "ECC_NIST_P256"},
        "generate_data_key_pair_without_plaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    }

    def cryptographic_calls_fail(self, kms, refused, metadata, blob, code, message):
        for operation, parameters in self.CRYPTOGRAPHIC.items():
            with refused(code, message):
                getattr(kms, operation)(KeyId=metadata["KeyId"], **parameters)
            with refused(code, message):
                getattr(kms, operation)(KeyId=metadata["KeyId"], DryRun=True, **parameters)
        with refused(code, message):
            kms.decrypt(CiphertextBlob=blob)
        with refused(code, message):
            kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=metadata["KeyId"])

    def test_disabled(self, kms, fresh_key, refused):
        arn = fresh_key["Arn"]
        blob = kms.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
        assert kms.disable_key(KeyId=arn)["ResponseMetadata"]["HTTPStatusCode"] == 200
        described = kms.describe_key(KeyId=arn)["KeyMetadata"]
        assert (described["KeyState"], described["Enabled"]) == ("Disabled", False)
        self.cryptographic_calls_fail(
            kms, refused, fresh_key, blob, "DisabledException", f"{arn} is disabled."
        )
        kms.disable_key(KeyId=arn)
        kms.create_alias(AliasName="alias/of-disabled", TargetKeyId=arn)
        with refused(
            "KMSInvalidStateException", f"{arn} is not pending deletion (or pending replica deletion)."
        ):
            kms.cancel_key_deletion(KeyId=arn)
        kms.enable_key(KeyId=arn)
        kms.enable_key(KeyId=arn)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_pending_deletion(self, kms, fresh_key, refused):
        arn = fresh_key["Arn"]
        blob = kms.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
        kms.create_alias(AliasName="alias/of-pending", TargetKeyId=arn)
        answer = kms.schedule_key_deletion(KeyId=fresh_key["KeyId"])
        in_thirty_days = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
        assert abs(answer["DeletionDate"] - in_thirty_days) < datetime.timedelta(minutes=1)
        assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (
            arn,
            "PendingDeletion",
            30,
        )
        described = kms.describe_key(KeyId=arn)["KeyMetadata"]
        assert (described["KeyState"], described["Enabled"]) == ("PendingDeletion", False)
        assert described["DeletionDate"] == answer["DeletionDate"]
        assert "PendingDeletionWindowInDays" not in described

        message = f"{arn} is pending deletion."
        self.cryptographic_calls_fail(kms, refused, fresh_key, blob, "KMSInvalidStateException", message)
        for call in (kms.enable_key, kms.disable_key, kms.schedule_key_deletion):
            with refused("KMSInvalidStateException", message):
                call(KeyId=arn)
        with refused("KMSInvalidStateException", message):
            kms.create_alias(AliasName="alias/too-late", TargetKeyId=arn)
        kms.delete_alias(AliasName="alias/of-pending")

        cancelled = kms.cancel_key_deletion(KeyId=arn)
        assert cancelled["KeyId"] == arn and set(cancelled) == {"KeyId", "ResponseMetadata"}
        described = kms.describe_key(KeyId=arn)["KeyMetadata"]
        assert described["KeyState"] == "Disabled" and "DeletionDate" not in described

    @pytest.mark.parametrize("days", [7, 30])
    def test_windows(self, kms, fresh_key, days):
        answer = kms.schedule_key_deletion(KeyId=fresh_key["KeyId"], PendingWindowInDays=days)
        assert answer["PendingWindowInDays"] == days

    @pytest.mark.parametrize("days", [1, 6, 31, 365, 366])
    def test_refused_windows(self, kms, fresh_key, refused, days):
        with refused("ValidationException"):
            kms.schedule_key_deletion(KeyId=fresh_key["KeyId"], PendingWindowInDays=days)


class TestAliases:
    def test_entries(self, kms, fresh_key):
        kms.create_alias(AliasName="alias/entries", TargetKeyId=fresh_key["KeyId"])
        (entry,) = kms.list_aliases(KeyId=fresh_key["Arn"])["Aliases"]
        assert entry.pop("CreationDate") == entry.pop("LastUpdatedDate")
        assert entry == {
            "AliasName": "alias/entries",
            "AliasArn": f"{ARN}:alias/entries",
            "TargetKeyId": fresh_key["KeyId"],
        }

    def test_update_moves_and_dates(self, kms, fresh_key, key):
        kms.create_alias(AliasName="alias/moving", TargetKeyId=key)
        kms.update_alias(AliasName="alias/moving", TargetKeyId=fresh_key["KeyId"])
        (entry,) = kms.list_aliases(KeyId=fresh_key["Arn"])["Aliases"]
        assert entry["LastUpdatedDate"] >= entry["CreationDate"]
        assert kms.describe_key(KeyId="alias/moving")["KeyMetadata"]["Arn"] == fresh_key["Arn"]
        kms.delete_alias(AliasName="alias/moving")
        assert kms.list_aliases(KeyId=fresh_key["Arn"])["Aliases"] == []

    def test_duplicates(self, kms, key, refused):
        kms.create_alias(AliasName="alias/twice", TargetKeyId=key)
        with refused("AlreadyExistsException", f"An alias with the name {ARN}:alias/twice already exists"):
            kms.create_alias(AliasName="alias/twice", TargetKeyId=key)

    def test_unknown(self, kms, key, refused):
        with refused("NotFoundException", f"Alias {ARN}:alias/nobody is not found."):
            kms.update_alias(AliasName="alias/nobody", TargetKeyId=key)
        with refused("NotFoundException", f"Alias {ARN}:alias/nobody is not found."):
            kms.delete_alias(AliasName="alias/nobody")
        with refused("NotFoundException", f"Key '{ARN}:key/{NOWHERE}' does not exist"):
            kms.create_alias(AliasName="alias/of-nothing", TargetKeyId=NOWHERE)

    def test_names(self, kms, key, refused):
        prefix = (
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
        with refused("ValidationException", prefix):
            kms.create_alias(AliasName="no-prefix", TargetKeyId=key)
        with refused("ValidationException", "alias/my:alias contains invalid characters for an alias"):
            kms.create_alias(AliasName="alias/my:alias", TargetKeyId=key)
        with refused("NotAuthorizedException"):
            kms.create_alias(AliasName="alias/aws/mine", TargetKeyId=key)
        with refused(
            "ValidationException",
            re.compile(
                "at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            ),
        ):
            kms.create_alias(AliasName="alias/with blank", TargetKeyId=key)
        with refused("ValidationException", re.compile("at 'aliasName' .* length less than or equal to 256")):
            kms.create_alias(AliasName="alias/" + "x" * 251, TargetKeyId=key)


@pytest.fixture(scope="module")
def elsewhere(connect):
    """A client of a region where nothing else makes keys, `claviger dev` included; and its keys."""
    kms = connect(region="test-quiet-1")
    keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)]
    for number in range(7):
        kms.create_alias(AliasName=f"alias/page-{number}", TargetKeyId=keys[0])
    return kms, set(keys)


class TestPages:
    @pytest.mark.parametrize("size", [1, 3, 7, 100])
    def test_list_keys(self, elsewhere, size):
        kms, keys = elsewhere
        pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": size}))
        listed = [entry for page in pages for entry in page["Keys"]]
        assert {entry["KeyId"] for entry in listed} == keys and len(listed) == len(keys)
        assert all(
            entry["KeyArn"] == f"arn:aws:kms:test-quiet-1:{ACCOUNT}:key/{entry['KeyId']}"
            for entry in listed
        )
        for page in pages:
            assert page["Truncated"] is (page is not pages[-1])
            assert ("NextMarker" in page) is page["Truncated"]
            assert len(page["Keys"]) <= size

    @pytest.mark.parametrize("size", [1, 3, 100])
    def test_list_aliases(self, elsewhere, size):
        kms, _ = elsewhere
        pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": size})
        listed = [entry["AliasName"] for page in pages for entry in page["Aliases"] if "TargetKeyId" in entry]
        assert sorted(listed) == [f"alias/page-{number}" for number in range(7)]

    def test_refusals(self, connect, refused):
        kms = connect(checked=False)
        with refused("InvalidMarkerException"):
            kms.list_keys(Marker="nonsense")
        for call in (kms.list_keys, kms.list_aliases):
            for limit in (0, 1001):
                with refused(
                    "ValidationException",
                    re.compile(
                        f"^1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value "
                    ),
                ):
                    call(Limit=limit)


def test_what_is_not_offered_is_refused_by_name(kms, refused):
    """What AWS has in its China regions only, and imported material of specs that can have none."""
    for parameters in (
        {"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "ML_DSA_65", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"},
        {"Origin": "AWS_CLOUDHSM"},
    ):
        with refused("UnsupportedOperationException"):
            kms.create_key(**parameters)


def test_create_key_constraints(kms, refused):
    with refused(
        "ValidationException",
        re.compile("at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: "),
    ):
        kms.create_key(KeySpec="AES_512")
    with refused(
        "ValidationException",
        re.compile(
            "at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192"
        ),
    ):
        kms.create_key(Description="x" * 8193)
    with refused("TagException", "Duplicate tag keys"):
        kms.create_key(Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}])
    with refused("TagException", "Tags beginning with aws: are reserved"):
        kms.create_key(Tags=[{"TagKey": "Aws:a", "TagValue": "1"}])
    with refused("TagException", "Too many tags"):
        kms.create_key(Tags=[{"TagKey": f"tag-{n}", "TagValue": ""} for n in range(51)])
    with refused(
        "ValidationException",
        re.compile(
            "at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"
        ),
    ):
        kms.create_key(Tags=[{"TagKey": "x" * 129, "TagValue": ""}])


def test_regions_are_apart(connect, fresh_key, refused):
    other = connect(region="us-west-2")
    with refused(
        "NotFoundException", f"Key 'arn:aws:kms:us-west-2:{ACCOUNT}:key/{fresh_key['KeyId']}' does not exist"
    ):
        other.describe_key(KeyId=fresh_key["KeyId"])
