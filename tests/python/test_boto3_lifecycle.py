"""What happens to a key in its life, through boto3: tags, rotation, replicas, imported material."""

import pytest

from server import ACCOUNT, REGION

ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}"


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
