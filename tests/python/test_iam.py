"""Users, roles, access keys, policies and sessions, with boto3's own `iam` and `sts` clients."""

import base64
import contextlib
import json
import pathlib
import re

import boto3
import botocore.config
import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from server import ACCOUNT, REGION, Server

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}


def trust(principal=f"arn:aws:iam::{ACCOUNT}:root"):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def client(server):
    """Makes clients of any service: `client("iam")`, or with the credentials that a call answered."""

    def make(service, credentials=None, region=REGION):
        given = credentials or {"AccessKeyId": server.access_key, "SecretAccessKey": server.secret_key}
        session = boto3.session.Session(
            region_name=region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("SessionToken"),
        )
        config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30)
        return session.client(service, endpoint_url=server.url, config=config)

    return make


@pytest.fixture(scope="module")
def iam(client):
    return client("iam")


@pytest.fixture(scope="module")
def sts(client):
    return client("sts")


@contextlib.contextmanager
def refused(status, code, message=None):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield caught
    answer = caught.value.response
    told = answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
    assert told == (status, code), answer
    assert answer["ResponseMetadata"]["RequestId"]
    assert message is None or answer["Error"]["Message"] == message


@pytest.fixture
def user(iam, request):
    """A fresh user without any rights, and its access key."""
    name = f"user-{request.node.name.replace('[', '-').replace(']', '')}"[:64]
    iam.create_user(UserName=name)
    return name, iam.create_access_key(UserName=name)["AccessKey"]


@pytest.fixture
def role(iam, request):
    name = f"role-{request.node.name.replace('[', '-').replace(']', '')}"[:64]
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust())["Role"]


def test_a_user_from_its_first_to_its_last_day(iam, client):
    made = iam.create_user(UserName="alice", Path="/team/")["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alice"
    assert made["UserId"].startswith("AIDA") and made["Path"] == "/team/"
    assert iam.get_user(UserName="alice")["User"] == made
    assert made in iam.list_users()["Users"]
    assert iam.list_users(PathPrefix="/nobody/")["Users"] == []
    with refused(409, "EntityAlreadyExists", "User with name alice already exists."):
        iam.create_user(UserName="alice")

    key = iam.create_access_key(UserName="alice")["AccessKey"]
    assert key["Status"] == "Active" and key["UserName"] == "alice"
    alice = client("sts", key)
    assert alice.get_caller_identity()["Arn"] == made["Arn"]
    iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with refused(403, "InvalidClientTokenId"):
        alice.get_caller_identity()
    iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
    [listed] = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert listed["AccessKeyId"] == key["AccessKeyId"] and "SecretAccessKey" not in listed

    iam.put_user_policy(UserName="alice", PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL))
    assert iam.get_user_policy(UserName="alice", PolicyName="kms")["PolicyDocument"] == ALLOW_ALL
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == ["kms"]
    with refused(409, "DeleteConflict"):
        iam.delete_user(UserName="alice")
    iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    with refused(409, "DeleteConflict"):
        iam.delete_user(UserName="alice")
    iam.delete_user_policy(UserName="alice", PolicyName="kms")
    iam.delete_user(UserName="alice")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="alice")


def test_a_user_without_rights(user, client, key):
    name, access_key = user
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    with refused(
        400,
        "AccessDeniedException",
        f"User: {arn} is not authorized to perform: kms:Encrypt on resource: {key} because no "
        "identity-based policy allows the kms:Encrypt action",
    ):
        client("kms", access_key).encrypt(KeyId=key, Plaintext=b"x")
    with refused(
        403,
        "AccessDenied",
        f"User: {arn} is not authorized to perform: iam:CreateUser on resource: "
        f"arn:aws:iam::{ACCOUNT}:user/eve because no identity-based policy allows the iam:CreateUser action",
    ):
        client("iam", access_key).create_user(UserName="eve")


def test_pages(iam):
    names = [f"page-{number:02}" for number in range(7)]
    for name in names:
        iam.create_user(UserName=name, Path="/pages/")
    pages = iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 3})
    pages = [[user["UserName"] for user in page["Users"]] for page in pages]
    assert pages == [names[:3], names[3:6], names[6:]]


def test_a_role(iam, sts):
    made = iam.create_role(
        RoleName="worker",
        AssumeRolePolicyDocument=trust(),
        Description="a <worker> & more",
        MaxSessionDuration=7200,
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/worker" and made["RoleId"].startswith("AROA")
    found = iam.get_role(RoleName="worker")["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(trust())
    assert found["Description"] == "a <worker> & more" and found["MaxSessionDuration"] == 7200
    assert "worker" in [role["RoleName"] for role in iam.list_roles()["Roles"]]
    other = trust(sts.get_caller_identity()["Arn"])
    iam.update_assume_role_policy(RoleName="worker", PolicyDocument=other)
    assert iam.get_role(RoleName="worker")["Role"]["AssumeRolePolicyDocument"] == json.loads(other)
    iam.put_role_policy(RoleName="worker", PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL))
    assert iam.get_role_policy(RoleName="worker", PolicyName="kms")["PolicyDocument"] == ALLOW_ALL
    assert iam.list_role_policies(RoleName="worker")["PolicyNames"] == ["kms"]
    with refused(409, "DeleteConflict"):
        iam.delete_role(RoleName="worker")
    iam.delete_role_policy(RoleName="worker", PolicyName="kms")
    iam.delete_role(RoleName="worker")
    with refused(404, "NoSuchEntity", "The role with name worker cannot be found."):
        iam.get_role(RoleName="worker")


def test_what_is_no_policy(iam, user):
    name, _ = user
    for text in ("nonsense", "[]", "{}"):
        with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
        with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
            iam.create_role(RoleName="r", AssumeRolePolicyDocument=text)


def test_nobody_is_trusted_who_does_not_exist(iam):
    nobody = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    with refused(400, "MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{nobody}"'):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(nobody))


def test_a_session(role, sts, client):
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s-1", DurationSeconds=900)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/s-1"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:s-1", "Arn": arn}
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    told = client("sts", credentials).get_caller_identity()
    assert (told["Arn"], told["UserId"], told["Account"]) == (arn, f"{role['RoleId']}:s-1", ACCOUNT)
    # It reaches the key server as itself, where the role has no rights.
    with refused(400, "AccessDeniedException") as caught:
        client("kms", credentials).list_keys()
    assert arn in caught.value.response["Error"]["Message"]


def test_a_policy_opens_a_key_and_closes_it(iam, user, client, key):
    name, access_key = user
    kms = client("kms", access_key)
    with refused(400, "AccessDeniedException"):
        kms.encrypt(KeyId=key, Plaintext=b"x")
    statement = {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": key}
    allow = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="use", PolicyDocument=allow)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    with refused(400, "AccessDeniedException"):
        kms.list_keys()
    statement = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}
    deny = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="stop", PolicyDocument=deny)
    with refused(400, "AccessDeniedException") as caught:
        kms.decrypt(CiphertextBlob=blob)
    assert "with an explicit deny in an identity-based policy" in caught.value.response["Error"]["Message"]
    iam.delete_user_policy(UserName=name, PolicyName="stop")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_role_opens_a_key_for_a_while(iam, role, sts, client, key):
    iam.put_role_policy(
        RoleName=role["RoleName"], PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL)
    )
    credentials = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s-1")["Credentials"]
    session = client("kms", credentials)
    blob = session.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert session.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    statement = {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}
    limit = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s-2", Policy=limit)
    assert 0 < answer["PackedPolicySize"] <= 100
    session = client("kms", answer["Credentials"])
    session.encrypt(KeyId=key, Plaintext=b"x")
    with refused(400, "AccessDeniedException") as caught:
        session.decrypt(CiphertextBlob=blob)
    told = caught.value.response["Error"]["Message"]
    assert "because no session policy allows the kms:Decrypt action" in told


def test_boto3_assumes_roles_by_itself(iam, role, server, key, tmp_path, monkeypatch):
    """A profile with `role_arn`, as people have them in ~/.aws/config."""
    iam.put_role_policy(
        RoleName=role["RoleName"], PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL)
    )
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\naws_access_key_id = {server.access_key}\n"
        f"aws_secret_access_key = {server.secret_key}\n"
        f"[profile worker]\nrole_arn = {role['Arn']}\nsource_profile = base\nrole_session_name = me\n"
        f"region = {REGION}\nendpoint_url = {server.url}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    session = boto3.session.Session(profile_name="worker")
    assert session.client("sts").get_caller_identity()["Arn"].endswith(f"{role['RoleName']}/me")
    session.client("kms").encrypt(KeyId=key, Plaintext=b"x")


def test_trust_with_an_external_id(iam, user, client):
    name, access_key = user
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "shared"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_role(RoleName="of-a-partner", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    sts = client("sts", access_key)
    sts.assume_role(RoleArn=arn, RoleSessionName="s-1", ExternalId="shared")
    for wrong in ({}, {"ExternalId": "other"}):
        with refused(403, "AccessDenied"):
            sts.assume_role(RoleArn=arn, RoleSessionName="s-1", **wrong)


def test_tampered_session_tokens(role, sts, client):
    credentials = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s-1")["Credentials"]
    token = bytearray(base64.b64decode(credentials["SessionToken"]))
    for place in (0, 3, 10, len(token) // 2, len(token) - 1):
        changed = bytearray(token)
        changed[place] ^= 0x20
        changed = {**credentials, "SessionToken": base64.b64encode(changed).decode()}
        with refused(400, "UnrecognizedClientException", "The security token included in the request is invalid."):
            client("kms", changed).list_keys()
        with refused(403, "InvalidClientTokenId", "The security token included in the request is invalid."):
            client("sts", changed).get_caller_identity()
    for changes in ({"SessionToken": None}, {"SessionToken": "nonsense"}):
        with refused(403, "InvalidClientTokenId"):
            client("sts", {**credentials, **changes}).get_caller_identity()
    with refused(403, "SignatureDoesNotMatch"):
        client("sts", {**credentials, "SecretAccessKey": "x" * 40}).get_caller_identity()


def test_a_session_outlives_neither_its_role_nor_another_of_its_name(iam, role, sts, client):
    credentials = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s-1")["Credentials"]
    client("sts", credentials).get_caller_identity()
    iam.delete_role(RoleName=role["RoleName"])
    iam.create_role(RoleName=role["RoleName"], AssumeRolePolicyDocument=trust())
    with refused(403, "InvalidClientTokenId"):
        client("sts", credentials).get_caller_identity()


def test_roles_are_not_for_everybody(role, user, client):
    name, access_key = user
    with refused(
        403,
        "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:user/{name} is not authorized to perform: sts:AssumeRole on "
        f"resource: {role['Arn']}",
    ):
        client("sts", access_key).assume_role(RoleArn=role["Arn"], RoleSessionName="s-1")


def test_a_users_own_session(iam, user, client, key):
    name, access_key = user
    iam.put_user_policy(UserName=name, PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL))
    given = client("sts", access_key).get_session_token(DurationSeconds=900)["Credentials"]
    assert given["AccessKeyId"].startswith("ASIA")
    told = client("sts", given).get_caller_identity()
    assert told["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"
    client("kms", given).encrypt(KeyId=key, Plaintext=b"x")
    with refused(403, "InvalidClientTokenId", "The security token included in the request is invalid."):
        client("iam", given).get_user()
    with refused(403, "AccessDenied", "Cannot call GetSessionToken with session credentials"):
        client("sts", given).get_session_token()
    with refused(400, "InvalidInput"):
        client("sts", access_key).get_session_token(
            SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/{name}", TokenCode="123456"
        )


def as_map(tags):
    return {tag["Key"]: tag["Value"] for tag in tags}


def as_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_what_terraform_does_with_a_user(iam):
    """The calls of `aws_iam_user` with `force_destroy`: create, read, update, delete."""
    name = "terraform-user"
    tags = {"Team": "storage", "stage": "a/b:c+d=e@f"}
    made = iam.create_user(UserName=name, Path="/", Tags=as_list(tags))["User"]
    assert as_map(made["Tags"]) == tags
    read = iam.get_user(UserName=name)["User"]
    assert as_map(read["Tags"]) == tags
    assert all("Tags" not in user for user in iam.list_users()["Users"])
    iam.untag_user(UserName=name, TagKeys=["stage"])
    iam.tag_user(UserName=name, Tags=as_list({"Team": "kms", "cost": ""}))
    assert as_map(iam.list_user_tags(UserName=name)["Tags"]) == {"Team": "kms", "cost": ""}

    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=key)
    assert used["UserName"] == name
    assert used["AccessKeyLastUsed"] == {"Region": "N/A", "ServiceName": "N/A"}
    for operation, member in (
        ("list_groups_for_user", "Groups"),
        ("list_attached_user_policies", "AttachedPolicies"),
        ("list_ssh_public_keys", "SSHPublicKeys"),
        ("list_mfa_devices", "MFADevices"),
        ("list_signing_certificates", "Certificates"),
        ("list_service_specific_credentials", "ServiceSpecificCredentials"),
    ):
        answer = getattr(iam, operation)(UserName=name)
        assert answer[member] == [] and answer.get("IsTruncated", False) is False, operation
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            getattr(iam, operation)(UserName="nobody")
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Any")["VirtualMFADevices"] == []
    for operation in (iam.get_login_profile, iam.delete_login_profile):
        with refused(404, "NoSuchEntity", f"Login Profile for User {name} cannot be found."):
            operation(UserName=name)
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == []
    for listed in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=listed["AccessKeyId"])
    iam.delete_user(UserName=name)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName=name)


def test_what_terraform_does_with_a_role(iam):
    """The calls of `aws_iam_role` with `force_detach_policies`: create, read, update, delete."""
    name = "terraform-role"
    tags = {"Team": "storage", "stage": "test"}
    made = iam.create_role(
        RoleName=name,
        Path="/",
        AssumeRolePolicyDocument=trust(),
        Description="first",
        MaxSessionDuration=7200,
        Tags=as_list(tags),
    )["Role"]
    assert as_map(made["Tags"]) == tags and "MaxSessionDuration" not in made
    read = iam.get_role(RoleName=name)["Role"]
    assert as_map(read["Tags"]) == tags and read["MaxSessionDuration"] == 7200
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    assert all("Tags" not in role for role in iam.list_roles()["Roles"])

    changed = iam.update_role_description(RoleName=name, Description="second")["Role"]
    assert changed["Description"] == "second" and changed["RoleId"] == made["RoleId"]
    iam.update_role(RoleName=name, MaxSessionDuration=3600)
    iam.untag_role(RoleName=name, TagKeys=["stage"])
    iam.tag_role(RoleName=name, Tags=as_list({"Team": "kms"}))
    read = iam.get_role(RoleName=name)["Role"]
    assert (read["Description"], read["MaxSessionDuration"]) == ("second", 3600)
    assert as_map(read["Tags"]) == {"Team": "kms"}
    pages = iam.get_paginator("list_role_tags").paginate(RoleName=name, PaginationConfig={"PageSize": 1})
    assert [as_map(page["Tags"]) for page in pages] == [{"Team": "kms"}]

    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    iam.delete_role(RoleName=name)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=name)


def test_tags_that_are_none(iam, user):
    name, _ = user
    with refused(400, "InvalidInput") as caught:
        iam.tag_user(UserName=name, Tags=as_list({"Team": "a", "team": "b"}))
    assert "case insensitive" in caught.value.response["Error"]["Message"]
    with pytest.raises(iam.exceptions.InvalidInputException):
        iam.tag_user(UserName=name, Tags=as_list({"aws:team": "a"}))
    iam.tag_user(UserName=name, Tags=as_list({f"key{number}": "v" for number in range(50)}))
    with pytest.raises(iam.exceptions.LimitExceededException):
        iam.tag_user(UserName=name, Tags=as_list({"another": "v"}))


def test_a_tag_opens_a_key(iam, user, client, key):
    name, access_key = user
    statement = {
        "Effect": "Allow",
        "Action": "kms:Encrypt",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "storage"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="kms", PolicyDocument=policy)
    kms = client("kms", access_key)
    with refused(400, "AccessDeniedException"):
        kms.encrypt(KeyId=key, Plaintext=b"x")
    iam.tag_user(UserName=name, Tags=as_list({"Team": "storage"}))
    kms.encrypt(KeyId=key, Plaintext=b"x")
    iam.untag_user(UserName=name, TagKeys=["Team"])
    with refused(400, "AccessDeniedException"):
        kms.encrypt(KeyId=key, Plaintext=b"x")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3"])
def test_sts_in_any_region(client, server, region):
    told = client("sts", region=region).get_caller_identity()
    assert told["Account"] == ACCOUNT and told["UserId"].startswith("AIDA")


def test_whose_an_access_key_is(sts, user):
    _, access_key = user
    assert sts.get_access_key_info(AccessKeyId=access_key["AccessKeyId"])["Account"] == ACCOUNT


@pytest.mark.parametrize("service, code", [("kms", "SignatureDoesNotMatch"), ("iam", None)])
def test_a_signature_is_good_for_one_service(server, service, code):
    request = AWSRequest(
        method="POST",
        url=server.url,
        data="Action=GetUser&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    SigV4Auth(Credentials(server.access_key, server.secret_key), service, REGION).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    assert answer.headers["content-type"] == "text/xml"
    found = re.search("<Code>(.*)</Code>", answer.text)
    assert (answer.status_code, found and found[1]) == (403 if code else 200, code)


def test_everything_is_there_after_a_restart(tmp_path):
    with Server(data=tmp_path) as server:
        clients = lambda service, given: boto3.client(  # noqa: E731
            service,
            endpoint_url=server.url,
            region_name=REGION,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("SessionToken"),
        )
        own = {"AccessKeyId": server.access_key, "SecretAccessKey": server.secret_key}
        iam = clients("iam", own)
        iam.create_user(UserName="alice", Path="/team/", Tags=as_list({"team": "kms"}))
        iam.put_user_policy(UserName="alice", PolicyName="kms", PolicyDocument=json.dumps(ALLOW_ALL))
        key = iam.create_access_key(UserName="alice")["AccessKey"]
        role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust())["Role"]
        session = clients("sts", own).assume_role(RoleArn=role["Arn"], RoleSessionName="s-1")["Credentials"]
        server.stop()
        server.start()
        iam = clients("iam", own)
        assert iam.get_user_policy(UserName="alice", PolicyName="kms")["PolicyDocument"] == ALLOW_ALL
        assert as_map(iam.list_user_tags(UserName="alice")["Tags"]) == {"team": "kms"}
        assert clients("sts", key).get_caller_identity()["Arn"].endswith(":user/team/alice")
        assert iam.get_role(RoleName="worker")["Role"]["RoleId"] == role["RoleId"]
        assert clients("sts", session).get_caller_identity()["Arn"].endswith("assumed-role/worker/s-1")


def test_users_and_roles_of_a_seed(tmp_path):
    """The example of docs/seed.md: carol may decrypt, and encrypts as the role that trusts her."""
    page = (pathlib.Path(__file__).parents[2] / "docs/seed.md").read_text()
    seed = tmp_path / "seed.json"
    seed.write_text(page.split("```json\n")[1].split("```")[0])
    key = "1234abcd-12ab-34cd-56ef-1234567890ab"
    with Server("--seed", str(seed)) as server:
        session = boto3.session.Session("AKIACAROL", "secret", region_name="us-east-1")
        kms = session.client("kms", endpoint_url=server.url)
        with refused(400, "AccessDeniedException"):
            kms.encrypt(KeyId=key, Plaintext=b"x")
        given = session.client("sts", endpoint_url=server.url).assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/worker", RoleSessionName="s-1", DurationSeconds=7200
        )["Credentials"]
        as_worker = boto3.session.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name="us-east-1"
        ).client("kms", endpoint_url=server.url)
        blob = as_worker.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with refused(400, "AccessDeniedException"):
            as_worker.decrypt(CiphertextBlob=blob)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
