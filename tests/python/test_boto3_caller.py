"""Who calls: signatures, clocks, regions, access keys."""

import datetime
import re

import botocore.auth
import pytest

from server import ACCOUNT, Server


def test_an_unknown_access_key(connect, refused):
    with refused("UnrecognizedClientException", "The security token included in the request is invalid."):
        connect(aws_access_key_id="AKIANOBODYKNOWSTHIS1").list_keys()


def test_a_wrong_secret(connect, refused):
    message = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    with refused("InvalidSignatureException", message):
        connect(aws_secret_access_key="not" + "the" * 12).list_keys()


def test_a_session_token_that_nobody_issued(connect, refused):
    with refused("UnrecognizedClientException", "The security token included in the request is invalid."):
        connect(aws_session_token="a token that nobody issued").list_keys()


@pytest.fixture
def at(monkeypatch):
    """Moves the client's clock, and only the client's."""

    def move(offset):
        real = botocore.auth.get_current_datetime

        def moved(*arguments, **options):
            return real(*arguments, **options) + offset

        monkeypatch.setattr(botocore.auth, "get_current_datetime", moved)

    return move


@pytest.mark.parametrize("seconds", [-280, 280])
def test_a_clock_within_five_minutes(kms, at, seconds):
    at(datetime.timedelta(seconds=seconds))
    kms.list_keys(Limit=1)


def test_a_slow_clock(kms, at, refused):
    at(-datetime.timedelta(minutes=5, seconds=10))
    expired = re.compile(
        r"^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$"
    )
    with refused("InvalidSignatureException", expired):
        kms.list_keys(Limit=1)


def test_a_fast_clock(kms, at, refused):
    at(datetime.timedelta(minutes=5, seconds=10))
    early = re.compile(
        r"^Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(\d{8}T\d{6}Z \+ 5 min\.\)$"
    )
    with refused("InvalidSignatureException", early):
        kms.list_keys(Limit=1)


def test_the_region_is_that_of_the_signature(connect, refused):
    for region in ("eu-central-1", "us-east-1", "ap-southeast-4", "il-central-1"):
        arn = connect(region=region).create_key()["KeyMetadata"]["Arn"]
        assert arn.startswith(f"arn:aws:kms:{region}:{ACCOUNT}:key/")
    with refused("InvalidSignatureException", "Credential should be scoped to a valid Region, not 'nowhere'."):
        connect(region="nowhere").list_keys()


def test_a_changed_body_is_noticed(connect, refused):
    kms = connect()

    def change(request, **_):
        request.body = request.body.replace(b"1", b"2")

    kms.meta.events.register_last("before-send.kms.ListKeys", change)
    with refused("InvalidSignatureException"):
        kms.list_keys(Limit=1)


def test_a_changed_header_is_noticed(connect, refused):
    kms = connect()

    def change(request, **_):
        request.headers["X-Amz-Target"] = b"TrentService.CreateKey"

    kms.meta.events.register_last("before-send.kms.ListKeys", change)
    with refused("InvalidSignatureException"):
        kms.list_keys(Limit=1)


def test_another_account(connect):
    with Server("--account", "210987654321") as server:
        metadata = connect(to=server).create_key()["KeyMetadata"]
        assert metadata["AWSAccountId"] == "210987654321" and ":210987654321:key/" in metadata["Arn"]


def test_every_answer_carries_its_own_id_and_the_date(kms):
    answers = [kms.list_keys(Limit=1)["ResponseMetadata"] for _ in range(5)]
    assert len({answer["RequestId"] for answer in answers}) == 5
    for answer in answers:
        told = datetime.datetime.strptime(answer["HTTPHeaders"]["date"], "%a, %d %b %Y %H:%M:%S GMT")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert abs(told - now) < datetime.timedelta(seconds=5)
        assert answer["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"


def test_one_connection_serves_many_calls(connect):
    kms = connect()
    for _ in range(10):
        kms.list_keys(Limit=1)
    pools = kms._endpoint.http_session._manager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]
