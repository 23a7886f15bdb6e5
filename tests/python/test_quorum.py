"""A root key that operators hold together: genesis, restart, unsealing, with an age of other people's."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

import boto3
import botocore.config
import botocore.exceptions
import cbor2
import httpx
import pyrage
import pytest

from server import ACCOUNT, REGION, binary, free_port

NAMES = ["ada", "grace", "mary"]

OAEP = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
ENGINES = list(pathlib.Path("/usr/lib").glob("*/engines-3/pkcs11.so"))
SOFT_TOKEN = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")


class RsaKey:
    """An operator's RSA key in a file, and what OpenSSL opens with it."""

    def __init__(self, folder, bits=2048):
        self.folder = folder
        self.environment = dict(os.environ)
        self.make(bits)

    def make(self, bits):
        self.file = self.folder / f"{bits}.pem"
        self.run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", self.file)

    def public(self):
        return self.run("openssl", "pkey", "-in", self.file, "-pubout").decode()

    def decrypt(self, file):
        return self.opened(file, "-inkey", self.file)

    def opened(self, file, *key):
        options = [word for option in OAEP for word in ("-pkeyopt", option)]
        return self.run("openssl", "pkeyutl", "-decrypt", *key, *options, "-in", file).decode()

    def run(self, *command):
        command = [str(word) for word in command]
        ended = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout


class TokenKey(RsaKey):
    """The same in a PKCS#11 token, which does not give it away."""

    def make(self, bits):
        (self.folder / "tokens").mkdir()
        settings = self.folder / "softhsm2.conf"
        settings.write_text(f"directories.tokendir = {self.folder}/tokens\n")
        self.environment |= {"SOFTHSM2_CONF": str(settings), "PKCS11_MODULE_PATH": str(SOFT_TOKEN)}
        pins = ["--pin", "1234", "--so-pin", "5678"]
        self.run("softhsm2-util", "--init-token", "--free", "--label", "grace", *pins)
        make = ["--login", "--pin", "1234", "--keypairgen", "--key-type", f"rsa:{bits}", "--usage-decrypt"]
        self.tool(*make, "--id", "01")

    def tool(self, *options):
        return self.run("pkcs11-tool", "--module", SOFT_TOKEN, "--token-label", "grace", *options)

    def public(self):
        file = self.folder / "public.der"
        self.tool("--read-object", "--type", "pubkey", "--id", "01", "--output-file", file)
        return self.run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", file).decode()

    def decrypt(self, file):
        key = "pkcs11:token=grace;id=%01;type=private;pin-value=1234"
        return self.opened(file, "-engine", "pkcs11", "-keyform", "engine", "-inkey", key)


class Endpoint:
    """An enclave as its operators see it."""

    def __init__(self, url):
        self.url = url

    def expected(self):
        """What the command line is told of the enclave that is meant."""
        raise NotImplementedError

    @staticmethod
    def wait(ready):
        deadline = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < deadline, "it never came up: see the log in its folder"
            time.sleep(0.05)

    def wait_until_it_serves(self):
        self.wait(lambda: (health := self.health()) is not None and health[0] == 200)

    def get(self, path):
        return httpx.get(self.url + path, verify=False)

    def health(self):
        """The status code and the JSON of the health, or nothing."""
        with contextlib.suppress(httpx.HTTPError):
            answer = self.get("/health")
            return answer.status_code, answer.json()
        return None

    def claviger(self, command, *options, given=""):
        """Whether a command ended well, and what it printed."""
        ended = subprocess.run(
            [binary(), command, *self.expected(), *map(str, options)],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ended.returncode == 0, ended.stdout + ended.stderr


class Machine(Endpoint):
    """A host proxy, and an enclave that can be started again and again on its records."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # A socket's path is limited to 107 bytes.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="claviger-"))
        self.listen = f"127.0.0.1:{free_port()}"
        super().__init__(f"https://{self.listen}")
        self.host = self.enclave = None

    def __enter__(self):
        enclave, host = (f"unix:{self.sockets / name}" for name in ("enclave", "host"))
        settings = {
            "listen": enclave,
            "host": host,
            "account": ACCOUNT,
            "tls": {},
            "nsm": {"simulated": {"ca": str(self.folder / "nsm-ca.pem")}},
            "root_key": "quorum",
        }
        (self.folder / "enclave.json").write_text(json.dumps(settings))
        options = ["--listen", self.listen, "--enclave", enclave, "--host", host, "--data", str(self.folder / "host")]
        options += ["--drain-seconds", "1"]
        self.host = self._run("host-proxy", *options)
        self.start()
        return self

    def __exit__(self, *_):
        for process in (self.enclave, self.host):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        shutil.rmtree(self.sockets)

    def _run(self, *arguments):
        with open(self.folder / "log", "a") as log:
            return subprocess.Popen([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        self.enclave = self._run("enclave", "--config", str(self.folder / "enclave.json"))
        self.wait(lambda: self.health() is not None)

    def restart(self, number=signal.SIGTERM):
        self.enclave.send_signal(number)
        self.enclave.wait(30)
        self.start()

    def expected(self):
        """Options for the enclave that runs now: a simulated one has other measurements each time."""
        document = cbor2.loads(cbor2.loads(self.get("/attestation?nonce=00").content)[2])
        return [self.url, "--root", str(self.folder / "nsm-ca.pem"), "--pcr0", document["pcrs"][0].hex()]


@pytest.fixture
def machine(tmp_path):
    with Machine(tmp_path) as machine:
        yield machine


def operators(threshold=2):
    """The age identities of three operators and an administrator, and the plan for them."""
    identities = {name: pyrage.x25519.Identity.generate() for name in [*NAMES, "administrator"]}
    public = {name: str(identity.to_public()) for name, identity in identities.items()}
    plan = {
        "threshold": threshold,
        "operators": [{"name": name, "key": public[name]} for name in NAMES],
        "administrator": public["administrator"],
    }
    return identities, plan


def genesis(machine, folder, plan):
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    return machine.claviger("genesis", "--plan", folder / "plan.json", "--out", folder / "shares")


def opened(folder, identities):
    """What each of them decrypts: the shares, and the administrator's credentials."""
    decrypted = {}
    for name, identity in identities.items():
        file = folder / "shares" / (f"{name}.age" if name == "administrator" else f"{name}.share.age")
        decrypted[name] = pyrage.decrypt(file.read_bytes(), [identity]).decode()
    return decrypted


def client(machine, credentials, verify):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30)
    credentials = json.loads(credentials)
    return boto3.client(
        "kms",
        endpoint_url=machine.url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        verify=verify,
        config=config,
    )


def test_the_whole_life(machine, tmp_path):
    status, health = machine.health()
    assert (status, health["status"]) == (503, "new")

    identities, plan = operators()
    done, printed = genesis(machine, tmp_path / "ours", plan)
    assert done, printed
    secrets = opened(tmp_path / "ours", identities)
    assert all(secrets[name].startswith("claviger-share-v1.") for name in NAMES)
    machine.wait_until_it_serves()

    bundle = tmp_path / "bundle.pem"
    done, printed = machine.claviger("trust", "--out", bundle)
    assert done, printed
    kms = client(machine, secrets["administrator"], str(bundle))
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]

    done, printed = genesis(machine, tmp_path / "again", plan)
    assert not done and "not new" in printed

    # As the host sees it: nothing of the key.
    stored = (machine.folder / "host/records.redb").read_bytes()
    for secret in secrets.values():
        assert secret.strip().encode() not in stored

    for number, given in [(signal.SIGTERM, ["mary", "ada"]), (signal.SIGKILL, ["ada", "grace"])]:
        machine.restart(number)
        status, health = machine.health()
        assert (status, health["status"], health["quorum"]["given"]) == (503, "sealed", 0)
        # The certificates of the enclave that serves are not those of one that does not.
        with pytest.raises(botocore.exceptions.SSLError):
            kms.decrypt(CiphertextBlob=blob)
        for name, count in zip(given, (1, 2)):
            done, printed = machine.claviger("unseal", given=secrets[name])
            assert done and f"{name}: share {count} of 2 taken" in printed, printed
        machine.wait_until_it_serves()
        # With the bundle of before.
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    done, printed = machine.claviger("unseal", given=secrets["ada"])
    assert not done and "not sealed" in printed


def test_what_is_no_share_does_not_hurt(machine, tmp_path):
    identities, plan = operators(threshold=3)
    done, printed = genesis(machine, tmp_path / "ours", plan)
    assert done, printed
    secrets = opened(tmp_path / "ours", identities)
    machine.restart()

    other = tmp_path / "other"
    other.mkdir()
    with Machine(other) as another:
        others, plan = operators(threshold=3)
        assert genesis(another, other / "theirs", plan)[0]
        foreign = opened(other / "theirs", others)["ada"]

    unseal = lambda text: machine.claviger("unseal", given=text)  # noqa: E731
    assert unseal(secrets["ada"])[0]
    for text, why in [
        (foreign, "of the root key"),
        (secrets["grace"][:-5] + "AAAA\n", "checksum"),
        ("claviger-share-v1.", "not a share"),
        ("", "not a share"),
    ]:
        done, printed = unseal(text)
        assert not done and why in printed, printed
    done, printed = unseal(secrets["ada"])
    assert done and "share 1 of 3" in printed
    # Nobody but this enclave's document tells what to encrypt to.
    for body in (b"", b"x" * 5000, secrets["grace"].encode()):
        answer = httpx.post(machine.url + "/unseal", content=body, verify=False)
        assert answer.status_code == 400 and "encrypted to the key" in answer.json()["error"]
    for name, count in [("mary", 2), ("grace", 3)]:
        done, printed = unseal(secrets[name])
        assert done and f"share {count} of 3" in printed
    machine.wait_until_it_serves()


@pytest.mark.parametrize("kind", [RsaKey, TokenKey])
def test_operators_may_have_rsa_keys(machine, tmp_path, kind):
    if kind is TokenKey and not (ENGINES and SOFT_TOKEN.exists() and shutil.which("pkcs11-tool")):
        assert "CI" not in os.environ, "softhsm2, opensc and libengine-pkcs11-openssl are not installed"
        pytest.skip("a PKCS#11 token needs softhsm2, opensc and libengine-pkcs11-openssl")
    identities, plan = operators()
    key, administrators = kind(tmp_path), RsaKey(tmp_path, bits=4096)
    plan["operators"][1]["key"] = key.public()
    plan["administrator"] = administrators.public()
    done, printed = genesis(machine, tmp_path / "ours", plan)
    assert done, printed
    shares = tmp_path / "ours/shares"
    files = {"ada.share.age", "grace.share.rsa", "mary.share.age", "administrator.rsa"}
    assert {file.name for file in shares.iterdir()} == files | {"genesis.json", "genesis.document"}

    machine.wait_until_it_serves()
    done, printed = machine.claviger("trust", "--out", tmp_path / "bundle.pem")
    assert done, printed
    credentials = administrators.decrypt(shares / "administrator.rsa")
    kms = client(machine, credentials, str(tmp_path / "bundle.pem"))
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]

    machine.restart()
    share = pyrage.decrypt((shares / "ada.share.age").read_bytes(), [identities["ada"]]).decode()
    for name, share, count in [("ada", share, 1), ("grace", key.decrypt(shares / "grace.share.rsa"), 2)]:
        done, printed = machine.claviger("unseal", given=share)
        assert done and f"{name}: share {count} of 2 taken" in printed, printed
    machine.wait_until_it_serves()
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Enabled"]


def test_before_it_has_a_root_key_it_serves_its_operators_only(machine, tmp_path):
    identities, plan = operators()
    done, printed = machine.claviger("trust", "--out", tmp_path / "bundle.pem")
    assert not done and "no root key yet" in printed
    assert not (tmp_path / "bundle.pem").exists()
    done, printed = machine.claviger("unseal", given="claviger-share-v1." + "A" * 72)
    assert not done
    answer = httpx.post(machine.url + "/", content=b"{}", verify=False)
    assert answer.status_code == 503 and answer.json()["__type"] == "KMSInternalException"
    for change, why in [
        ({"threshold": 1}, "threshold"),
        ({"operators": plan["operators"][:1]}, "2 to 16 operators"),
        ({"administrator": "age1nobody"}, "not the public key"),
    ]:
        done, printed = genesis(machine, tmp_path / "bad", {**plan, **change})
        assert not done and why in printed, printed
        # The enclave does not leave it to its command line to check.
        answer = httpx.post(machine.url + "/genesis?nonce=00", json={**plan, **change}, verify=False)
        assert answer.status_code == 400 and why in answer.json()["error"]
    answer = httpx.post(machine.url + "/genesis", json=plan, verify=False)
    assert answer.status_code == 400 and "nonce" in answer.json()["error"]
    assert machine.health()[1]["status"] == "new"


def test_a_client_sees_whom_it_gives_shares_to(machine, tmp_path):
    """With another enclave's measurements expected, neither plan nor share leaves the operator's machine."""
    _, plan = operators()
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    expected = machine.expected()
    expected[expected.index("--pcr0") + 1] = "11" * 48
    command = [binary(), "genesis", *expected, "--plan", tmp_path / "plan.json", "--out", tmp_path / "shares"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "another enclave" in ended.stderr
    assert not (tmp_path / "shares").exists()
    assert machine.health()[1]["status"] == "new"
