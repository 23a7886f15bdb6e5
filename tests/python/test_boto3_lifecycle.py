"""What happens to a key in its life, through boto3: tags, rotation, replicas, imported material."""

import datetime
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from server import ACCOUNT, REGION

ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}"
PRIVATE_KEYS = {
    "RSA_2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA_4096": lambda: rsa.generate_private_key(65537, 4096),
    "ECC_NIST_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECC_NIST_P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ECC_NIST_P521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ECC_SECG_P256K1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey.generate,
}


class TestTags:
    def listed(self, kms, key_id):
        pages = kms.get_paginator("list_resource_tags").paginate(
            KeyId=key_id, PaginationConfig={"PageSize": 3}
        )
        return [(tag["TagKey"], tag["TagValue"]) for page in pages for tag in page["Tags"]]

    def test_round_trip(self, kms, fresh_key):
        key_id = fresh_key["KeyId"]
        assert self.listed(kms, key_id) == []
        tags = [{"TagKey": f"k{n}", "TagValue": str(n)} for n in reversed(range(8))]
        kms.tag_resource(KeyId=key_id, Tags=tags)
        kms.tag_resource(KeyId=fresh_key["Arn"], Tags=[{"TagKey": "k3", "TagValue": "é 🔑"}])
        kms.untag_resource(KeyId=key_id, TagKeys=["k0", "k7", "never"])
        assert self.listed(kms, key_id) == [
            ("k1", "1"), ("k2", "2"), ("k3", "é 🔑"), ("k4", "4"), ("k5", "5"), ("k6", "6"),
        ]

    @pytest.mark.parametrize("name", ["aws:x", "AWS:x", "Aws:x"])
    def test_reserved(self, kms, key, refused, name):
        with refused("TagException", "Tags beginning with aws: are reserved"):
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": name, "TagValue": ""}])
        with refused("TagException", "Tags beginning with aws: are reserved"):
            kms.untag_resource(KeyId=key, TagKeys=[name])

    def test_duplicates_and_too_many(self, kms, key, refused):
        with refused("TagException", "Duplicate tag keys"):
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": v} for v in "12"])
        with refused("TagException", "Too many tags"):
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": str(n), "TagValue": ""} for n in range(51)])
        assert self.listed(kms, key) == []

    def test_description(self, kms, fresh_key):
        kms.update_key_description(KeyId=fresh_key["KeyId"], Description="new")
        assert kms.describe_key(KeyId=fresh_key["KeyId"])["KeyMetadata"]["Description"] == "new"
        kms.update_key_description(KeyId=fresh_key["KeyId"], Description="")
        assert kms.describe_key(KeyId=fresh_key["KeyId"])["KeyMetadata"]["Description"] == ""


class TestCustomKeyStores:
    def test_none_exist(self, kms, refused):
        answer = kms.describe_custom_key_stores()
        assert (answer["CustomKeyStores"], answer["Truncated"]) == ([], False)
        for call in (
            kms.describe_custom_key_stores,
            kms.connect_custom_key_store,
            kms.disconnect_custom_key_store,
            kms.delete_custom_key_store,
            kms.update_custom_key_store,
        ):
            with refused("CustomKeyStoreNotFoundException", "Custom key store cks-1 is not found."):
                call(CustomKeyStoreId="cks-1")

    def test_none_can_be_made(self, kms, refused):
        with refused("CloudHsmClusterNotFoundException"):
            kms.create_custom_key_store(
                CustomKeyStoreName="s",
                CloudHsmClusterId="cluster-abcdefghijk",
                KeyStorePassword="password",
                TrustAnchorCertificate="certificate",
            )
        with refused("XksProxyUriUnreachableException"):
            kms.create_custom_key_store(
                CustomKeyStoreName="s",
                CustomKeyStoreType="EXTERNAL_KEY_STORE",
                XksProxyConnectivity="PUBLIC_ENDPOINT",
                XksProxyUriEndpoint="https://proxy.example.com",
                XksProxyUriPath="/kms/xks/v1",
                XksProxyAuthenticationCredential={"AccessKeyId": "A" * 20, "RawSecretAccessKey": "b" * 43},
            )


class TestRotation:
    def test_on_demand(self, kms, fresh_key):
        key_id, arn = fresh_key["KeyId"], fresh_key["Arn"]
        first = fresh_key["CurrentKeyMaterialId"]
        old = kms.encrypt(KeyId=key_id, Plaintext=b"old")["CiphertextBlob"]
        assert kms.rotate_key_on_demand(KeyId=key_id)["KeyId"] == arn
        second = kms.describe_key(KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
        assert second != first
        opened = kms.decrypt(CiphertextBlob=old)
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", first)
        assert kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["KeyMaterialId"] == second
        pages = kms.get_paginator("list_key_rotations").paginate(
            KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 1}
        )
        entries = [entry for page in pages for entry in page["Rotations"]]
        assert [(e["KeyMaterialId"], e["KeyMaterialState"], e.get("RotationType")) for e in entries] == [
            (first, "NON_CURRENT", None),
            (second, "CURRENT", "ON_DEMAND"),
        ]
        assert "RotationDate" in entries[1] and "RotationDate" not in entries[0]

    def test_automatic(self, kms, fresh_key):
        key_id = fresh_key["KeyId"]
        assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
        kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
        status = kms.get_key_rotation_status(KeyId=key_id)
        assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
        assert 89 <= (status["NextRotationDate"] - fresh_key["CreationDate"]).days <= 90
        kms.disable_key_rotation(KeyId=key_id)
        status = kms.get_key_rotation_status(KeyId=key_id)
        assert "RotationPeriodInDays" not in status and "NextRotationDate" not in status

    def test_disabled(self, kms, fresh_key, refused):
        kms.disable_key(KeyId=fresh_key["KeyId"])
        for call in (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand):
            with refused("DisabledException", f"{fresh_key['Arn']} is disabled."):
                call(KeyId=fresh_key["KeyId"])


class TestMultiRegion:
    OTHER = "us-west-2"

    def test_replica(self, kms, connect, refused):
        there = connect(region=self.OTHER)
        key_id = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        assert key_id.startswith("mrk-")
        before = kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]
        answer = kms.replicate_key(
            KeyId=key_id, ReplicaRegion=self.OTHER, Tags=[{"TagKey": "a", "TagValue": "b"}]
        )
        metadata = answer["ReplicaKeyMetadata"]
        assert (metadata["KeyId"], metadata["KeyState"], metadata["Enabled"]) == (key_id, "Creating", False)
        assert metadata["Arn"] == f"arn:aws:kms:{self.OTHER}:{ACCOUNT}:key/{key_id}"
        assert answer["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}]
        assert "kms:*" in answer["ReplicaPolicy"]
        for client, kind in ((kms, "PRIMARY"), (there, "REPLICA")):
            metadata = client.describe_key(KeyId=key_id)["KeyMetadata"]
            assert metadata["KeyState"] == "Enabled"
            configuration = metadata["MultiRegionConfiguration"]
            assert configuration["MultiRegionKeyType"] == kind
            assert configuration["PrimaryKey"]["Region"] == REGION
            assert [key["Region"] for key in configuration["ReplicaKeys"]] == [self.OTHER]
        assert there.decrypt(CiphertextBlob=before)["Plaintext"] == b"before"
        kms.rotate_key_on_demand(KeyId=key_id)
        after = kms.encrypt(KeyId=key_id, Plaintext=b"after")["CiphertextBlob"]
        assert there.decrypt(CiphertextBlob=after)["Plaintext"] == b"after"
        with refused("AlreadyExistsException"):
            kms.replicate_key(KeyId=key_id, ReplicaRegion=self.OTHER)

        kms.update_primary_region(KeyId=key_id, PrimaryRegion=self.OTHER)
        configuration = kms.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
        assert configuration["MultiRegionKeyType"] == "REPLICA"
        answer = there.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
        assert answer["KeyState"] == "PendingReplicaDeletion" and "DeletionDate" not in answer
        assert there.describe_key(KeyId=key_id)["KeyMetadata"]["PendingDeletionWindowInDays"] == 7
        there.cancel_key_deletion(KeyId=key_id)
        assert there.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def wrap(algorithm, public_key, material):
    """Wraps material as AWS's documentation says, with an independent library."""
    sha = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(sha), sha, None)
    public_key = serialization.load_der_public_key(public_key)
    if algorithm.startswith("RSAES"):
        return public_key.encrypt(material, oaep)
    aes_key = os.urandom(32)
    return public_key.encrypt(aes_key, oaep) + keywrap.aes_key_wrap_with_padding(aes_key, material)


def import_material(kms, key_id, material, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048", **members):
    parameters = kms.get_parameters_for_import(
        KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec=spec
    )
    if "ValidTo" not in members:
        members["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE"
    return kms.import_key_material(
        KeyId=key_id,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=wrap(algorithm, parameters["PublicKey"], material),
        **members,
    ).get("KeyMaterialId")


class TestImport:
    @pytest.fixture
    def external(self, kms):
        return kms.create_key(Origin="EXTERNAL")["KeyMetadata"]

    @pytest.mark.parametrize(
        "algorithm",
        ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"],
    )
    def test_round_trip(self, kms, external, refused, algorithm):
        key_id, arn = external["KeyId"], external["Arn"]
        assert (external["KeyState"], external["Enabled"]) == ("PendingImport", False)
        with refused("KMSInvalidStateException", f"{arn} is pending import."):
            kms.encrypt(KeyId=key_id, Plaintext=b"x")
        material = os.urandom(32)
        first = import_material(kms, key_id, material, algorithm)
        metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
        assert metadata["KeyState"] == "Enabled"
        assert metadata["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
        assert metadata["CurrentKeyMaterialId"] == first
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]

        assert kms.delete_imported_key_material(KeyId=key_id)["KeyId"] == arn
        with refused("KMSInvalidStateException", f"{arn} is pending import."):
            kms.decrypt(CiphertextBlob=blob)
        with refused("IncorrectKeyMaterialException"):
            import_material(kms, key_id, os.urandom(32), algorithm)
        assert import_material(kms, key_id, material, algorithm) == first
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_rotation(self, kms, external, refused):
        key_id, arn = external["KeyId"], external["Arn"]
        first = import_material(kms, key_id, os.urandom(32))
        with refused(
            "KMSInvalidStateException", f"No available key material pending rotation for the key: {arn}."
        ):
            kms.rotate_key_on_demand(KeyId=key_id)
        second = import_material(kms, key_id, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
        states = lambda: {
            entry["KeyMaterialId"]: entry["KeyMaterialState"]
            for entry in kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
        }
        assert states() == {first: "CURRENT", second: "PENDING_ROTATION"}
        kms.rotate_key_on_demand(KeyId=key_id)
        assert states() == {first: "NON_CURRENT", second: "CURRENT"}

    def test_expiry_is_told(self, kms, external):
        in_a_month = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
        import_material(kms, external["KeyId"], os.urandom(32), ValidTo=in_a_month)
        metadata = kms.describe_key(KeyId=external["KeyId"])["KeyMetadata"]
        assert metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
        assert abs(metadata["ValidTo"] - in_a_month) < datetime.timedelta(seconds=1)

    def test_tokens(self, kms, external, refused):
        parameters = kms.get_parameters_for_import(
            KeyId=external["KeyId"], WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_4096"
        )
        assert parameters["KeyId"] == external["Arn"]
        wrapped = wrap("RSAES_OAEP_SHA_256", parameters["PublicKey"], os.urandom(32))
        other = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        members = {"EncryptedKeyMaterial": wrapped, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
        with refused("InvalidImportTokenException"):
            kms.import_key_material(KeyId=other, ImportToken=parameters["ImportToken"], **members)
        with refused("InvalidImportTokenException"):
            kms.import_key_material(KeyId=external["KeyId"], ImportToken=b"x", **members)
        with refused(
            "ValidationException",
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ):
            kms.import_key_material(
                KeyId=external["KeyId"], ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped
            )

    @pytest.mark.parametrize("spec", sorted(PRIVATE_KEYS))
    def test_a_private_key_from_elsewhere(self, kms, refused, spec):
        """What KMS then signs, verifies under the public key that its owner has."""
        private = PRIVATE_KEYS[spec]()
        der = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_id = kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        algorithm = "RSA_AES_KEY_WRAP_SHA_256"
        assert import_material(kms, key_id, der, algorithm) is None
        public = serialization.load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])
        assert public == private.public_key()
        sign = lambda signing: kms.sign(KeyId=key_id, Message=b"m", SigningAlgorithm=signing)["Signature"]
        if spec.startswith("RSA"):
            public.verify(sign("RSASSA_PKCS1_V1_5_SHA_256"), b"m", padding.PKCS1v15(), hashes.SHA256())
        elif spec == "ECC_NIST_EDWARDS25519":
            public.verify(sign("ED25519_SHA_512"), b"m")
        else:
            signing, sha = {
                "ECC_NIST_P384": ("ECDSA_SHA_384", hashes.SHA384()),
                "ECC_NIST_P521": ("ECDSA_SHA_512", hashes.SHA512()),
            }.get(spec, ("ECDSA_SHA_256", hashes.SHA256()))
            public.verify(sign(signing), b"m", ec.ECDSA(sha))

        kms.delete_imported_key_material(KeyId=key_id)
        another = PRIVATE_KEYS[spec]().private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for other in (another, b"no private key", os.urandom(128)):
            with refused("IncorrectKeyMaterialException"):
                import_material(kms, key_id, other, algorithm)
        import_material(kms, key_id, der, algorithm)
        assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled"

    def test_a_mac_key_from_elsewhere(self, kms):
        for bits in (224, 256, 384, 512):
            key_id = kms.create_key(Origin="EXTERNAL", KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")[
                "KeyMetadata"
            ]["KeyId"]
            material = os.urandom(64)
            import_material(kms, key_id, material)
            mac = kms.generate_mac(KeyId=key_id, Message=b"m", MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
            assert mac == hmac.digest(material, b"m", f"sha{bits}")

    def test_keys_made_here_take_none(self, kms, fresh_key, refused):
        text = f"{fresh_key['Arn']} origin is AWS_KMS which is not valid for this operation."
        with refused("UnsupportedOperationException", text):
            kms.get_parameters_for_import(
                KeyId=fresh_key["KeyId"],
                WrappingAlgorithm="RSAES_OAEP_SHA_256",
                WrappingKeySpec="RSA_2048",
            )


def test_last_usage(kms, fresh_key):
    key_id = fresh_key["KeyId"]
    before = kms.get_key_last_usage(KeyId=key_id)
    assert before["KeyLastUsage"] == {}
    assert before["TrackingStartDate"] == before["KeyCreationDate"] == fresh_key["CreationDate"]
    use = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    last = kms.get_key_last_usage(KeyId=key_id)["KeyLastUsage"]
    assert last["Operation"] == "GenerateDataKey" and last["Timestamp"] >= fresh_key["CreationDate"]
    assert last["KmsRequestId"] == use["ResponseMetadata"]["RequestId"] and last["CloudTrailEventId"]
