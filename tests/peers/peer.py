"""Runs another emulator's own tests against `claviger dev`, as they are, and holds the outcome.

A pytest plugin: `-p peer --peer NAME`. NAME.toml beside this file says what to run, and lists every
test that does not pass, by the reason why. A run fails when

- a test fails that is not listed, or is skipped, or passes without having called the server;
- a listed test passes, or fails with another `error` than that of its group;
- an entry of the list fits no test.

Some tests stop at their first step, because they prepare something that AWS refuses. A group with
`mend = "…"` names the one of the two functions below that puts this step right. With `--mended` its
tests run again, with nothing else changed. Then they have to pass, or to fail with the group's `then`.
"""

import collections
import json
import os
import pathlib
import random
import signal
import socket
import sys
import tempfile
import tomllib

import boto3
import botocore.session
import pytest

from server import REGION, Server

TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def drop_policy(params):
    """CreateKey with a policy that is not JSON becomes CreateKey without one."""
    try:
        json.loads(params.get("Policy", "{}"))
    except ValueError:
        del params["Policy"]


def make_principals(params):
    """The roles that CreateGrant names are made before it is sent."""
    iam = boto3.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": TRUST})
    for arn in {params.get("GranteePrincipal"), params.get("RetiringPrincipal")} - {None}:
        try:
            iam.create_role(RoleName=arn.split(":role/")[1], AssumeRolePolicyDocument=trust)
        except iam.exceptions.EntityAlreadyExistsException:
            pass


MENDS = {"CreateKey": drop_policy, "CreateGrant": make_principals}


def pytest_addoption(parser):
    parser.addoption("--peer", required=True, help="the suite: NAME.toml beside this plugin")
    parser.addoption("--mended", action="store_true", help="only what a group mends, with that changed")


def pytest_configure(config):
    file = pathlib.Path(__file__).with_name(config.getoption("peer") + ".toml")
    peer = Peer(tomllib.loads(file.read_text()), config.getoption("mended"))
    # The tests read some of these when they are imported.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(peer.environment())
    config.args = peer.suite["tests"]
    config.pluginmanager.register(peer)
    if "conftest" in peer.suite:
        sys.path.insert(0, str(file.with_name(peer.suite["conftest"])))
        config.pluginmanager.import_plugin("conftest")


class Peer:
    """One suite: its server, what its tests send, and what is expected of them."""

    def __init__(self, description, mended):
        self.suite, self.groups, self.mended = description["suite"], description["group"], mended
        # The tests keep the address from their import on: every server has to have the same.
        self.listen = f"127.0.0.1:{quiet_port()}"
        self.server = None
        self.mend = None
        self.calls = 0
        self.counts = collections.Counter()
        self._watch()

    def environment(self):
        url = f"http://{self.listen}"
        return {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ACCESS_KEY_ID": self.suite["access-key"],
            "AWS_SECRET_ACCESS_KEY": self.suite["secret-key"],
            "AWS_DEFAULT_REGION": REGION,
            # Not even a client made without an address may call AWS.
            "AWS_ENDPOINT_URL": url,
            **{name: value.format(url=url) for name, value in self.suite["environment"].items()},
        }

    def _watch(self):
        """Has every botocore session count its requests, and mend what the current test asks for."""

        def count(**_):
            self.calls += 1

        def mend(params, model, **_):
            change = MENDS[model.name]
            if change.__name__ == self.mend:
                change(params)

        create = botocore.session.Session.__init__

        def init(session, *arguments, **named):
            create(session, *arguments, **named)
            session.register("request-created", count)
            for operation in MENDS:
                session.register(f"before-parameter-build.kms.{operation}", mend)

        botocore.session.Session.__init__ = init

    def pytest_collection_modifyitems(self, config, items):
        unused = {*self.suite["fresh"], *(entry for group in self.groups for entry in group["tests"])}
        for item in items:
            name = item.nodeid.split("/tests/", 1)[1]
            unused = {entry for entry in unused if not covers(entry, name)}
            groups = [group for group in self.groups if any(covers(entry, name) for entry in group["tests"])]
            if len(groups) > 1:
                raise pytest.UsageError(f"in two groups: {name}")
            item.group = groups[0] if groups else {}
            item.begins_anew = any(covers(entry, name) for entry in self.suite["fresh"])
            item.error = item.group.get("then" if self.mended else "error")
            if item.error:
                item.add_marker(pytest.mark.xfail(reason=item.group["why"], strict=True))
        if unused:
            raise pytest.UsageError("no such test: " + ", ".join(sorted(unused)))
        if self.mended:
            config.hook.pytest_deselected(items=[item for item in items if "mend" not in item.group])
            items[:] = [item for item in items if "mend" in item.group]

    # Before the fixtures of the test are made, which may call the server.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if self.server and item.begins_anew:
            self._stop()
        if not self.server:
            self._start()
        self.calls = 0
        self.mend = item.group["mend"] if self.mended else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self):
        yield
        if not self.calls:
            pytest.fail("the server was never called")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if hasattr(report, "wasxfail"):
            self.counts[report.wasxfail] += 1
            told = call.excinfo.exconly()
            if item.error not in told:
                report.outcome, report.longrepr = "failed", f"expected {item.error!r} in: {told}"
        elif report.skipped:
            report.outcome = "failed"
        return report

    def pytest_terminal_summary(self, terminalreporter):
        for reason, count in self.counts.most_common():
            terminalreporter.line(f"{count:4} {reason}")

    def pytest_unconfigure(self):
        if self.server:
            self._stop()

    def _start(self):
        # `claviger dev` makes a key in every region of its own account; that of the tests begins empty.
        user = {
            "name": "peer",
            "access_key_id": self.suite["access-key"],
            "secret_access_key": self.suite["secret-key"],
            "account": self.suite["account"],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as seed:
            json.dump({"users": [user]}, seed)
            seed.flush()
            options = ["--account", "111122223333", "--seed", seed.name]
            self.server = Server(*options, listen=self.listen).start()

    def _stop(self):
        # Without waiting for the connections that the tests left open; nothing is to be kept.
        self.server.stop(signal.SIGKILL)
        self.server.__exit__()
        self.server = None


def covers(entry, name):
    """Whether an entry means a test: by its name, with or without the parameters, or as `prefix*`."""
    if entry.endswith("*"):
        return name.startswith(entry[:-1])
    return entry in (name, name.split("[")[0])


def quiet_port():
    """A free port that the system gives to nobody by itself, in the moment between two servers."""
    while True:
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", random.randrange(20000, 30000)))
            except OSError:
                continue
            return listener.getsockname()[1]
