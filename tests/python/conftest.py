import contextlib
import os
import re

import boto3
import botocore.config
import botocore.exceptions
import pytest

import nitro
from server import REGION, Server

# Nothing of the machine's own AWS set-up may reach a test.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull
)


@pytest.fixture(scope="session")
def nsm():
    """A simulated NSM written for these tests alone; the server is told to trust its root."""
    return nitro.Nsm()


@pytest.fixture(scope="session")
def server(nsm, tmp_path_factory):
    root = tmp_path_factory.mktemp("root") / "root.pem"
    root.write_bytes(nsm.root_pem)
    with Server("--trust-root", str(root)) as running:
        yield running


@pytest.fixture(scope="session")
def connect(server):
    """Makes boto3 clients: `connect()` for the usual one, or with another region, access key, secret.

    With `checked=False` boto3 leaves it to the server to check parameters.
    """

    def make(region=REGION, to=None, checked=True, **changes):
        to = to or server
        given = {"aws_access_key_id": to.access_key, "aws_secret_access_key": to.secret_key, **changes}
        verify = given.pop("verify", None)
        # One attempt: a retry would hide a refusal that should not have been.
        config = botocore.config.Config(
            retries={"total_max_attempts": 1}, read_timeout=30, parameter_validation=checked
        )
        session = boto3.session.Session(region_name=region, **given)
        return session.client("kms", endpoint_url=to.url, config=config, verify=verify)

    return make


@pytest.fixture(scope="session")
def kms(connect):
    return connect()


@pytest.fixture(scope="session")
def key(kms):
    """The ARN of a key that no test changes."""
    return kms.create_key(Description="shared by many tests")["KeyMetadata"]["Arn"]


@pytest.fixture
def fresh_key(kms):
    """The metadata of a key that a test may do anything to."""
    return kms.create_key()["KeyMetadata"]


@pytest.fixture(scope="session")
def refused():
    """`with refused("CodeException", "message"):` expects exactly that, as a 400.

    A message may be a compiled pattern; None stands for an answer without one.
    A tuple of codes allows each of them.
    """

    @contextlib.contextmanager
    def expect(code, message=...):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            yield caught
        answer = caught.value.response
        told = answer["Error"].get("Message") or None
        codes = code if isinstance(code, tuple) else (code,)
        assert answer["Error"]["Code"] in codes, told
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert answer["ResponseMetadata"]["RequestId"]
        if isinstance(message, re.Pattern):
            assert message.search(told or ""), told
        elif message is not ...:
            assert told == message

    return expect
