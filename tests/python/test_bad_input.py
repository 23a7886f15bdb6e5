"""Whatever arrives on the socket: a refusal below 500, soon, and never a plaintext."""

import datetime
import hashlib
import hmac
import json
import socket
import time

import pytest

from server import REGION

# Longer than any refusal takes; a hang fails.
PATIENCE = 15


class Broken(AssertionError):
    """The server closed without an answer, or did not answer at all."""


def exchange(server, data, *, close_writing=False, answers=1):
    """Sends bytes; returns the status, headers and body of the last of so many answers."""
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        try:
            connection.sendall(data)
            if close_writing:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early: the answer is there to be read
        reader = connection.makefile("rb")
        for _ in range(answers):
            answer = read_answer(reader)
        return answer


def read_answer(reader):
    try:
        status_line = reader.readline(4096)
        if not status_line:
            raise Broken("closed without an answer")
        status = int(status_line.split()[1])
        headers = {}
        while (line := reader.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        return status, headers, reader.read(int(headers.get("content-length", 0)))
    except (TimeoutError, ConnectionResetError) as error:
        raise Broken(repr(error)) from error


def sign(
    server, body, headers=None, *, secret=None, now=None, host=None, date=None, service="kms", region=REGION
):
    """The headers of a valid request; written here so that each part can be wrong."""
    stamp = (now or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    day = date or stamp[:8]
    host = host or "%s:%d" % server.address
    signed = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": stamp,
        **(headers or {}),
    }
    names = ";".join(sorted(signed))
    canonical = "POST\n/\n\n" + "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical += f"\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + (secret or server.secret_key)).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={server.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def request(
    server,
    body,
    operation="ListKeys",
    *,
    extra=None,
    method="POST",
    path="/",
    version="HTTP/1.1",
    length=None,
    **signing,
):
    headers = sign(server, body, {"x-amz-target": f"TrentService.{operation}"}, **signing)
    headers["content-length"] = str(len(body) if length is None else length)
    headers.update(extra or {})
    text = f"{method} {path} {version}\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return text.encode("latin-1") + b"\r\n" + body


def error_of(answer):
    status, headers, body = answer
    assert 400 <= status < 500, answer
    assert b"Plaintext" not in body
    if not body:
        return None
    return json.loads(body)["__type"]


def test_a_good_request_is_served(server):
    """The signature written above is right: what is refused below is refused for its fault."""
    status, headers, body = exchange(server, request(server, b"{}"))
    assert status == 200 and "Keys" in json.loads(body)
    assert (
        headers["content-type"] == "application/x-amz-json-1.1"
        and headers["x-amzn-requestid"]
        and headers["date"]
    )


def test_serves_under_any_host_name(server):
    status, _, _ = exchange(server, request(server, b"{}", host="kms.eu-central-1.amazonaws.com"))
    assert status == 200


def test_two_requests_at_once(server):
    one = request(server, b"{}")
    assert exchange(server, one + one, answers=2)[0] == 200


@pytest.mark.parametrize(
    "body, code",
    [
        (b"", "SerializationException"),
        (b"{", "SerializationException"),
        (b"nonsense", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"null", "SerializationException"),
        (b'"text"', "SerializationException"),
        (b"\xff\xfe{}", "SerializationException"),
        (b"{}{}", "SerializationException"),
        (b'{"KeyId": 5}', "SerializationException"),
        (b'{"KeyId": {"deep": []}}', "SerializationException"),
        (b'{"KeyId": "a", "KeySpec": ["AES_256"]}', "SerializationException"),
        (b'{"KeyId": "a", "NumberOfBytes": "32"}', "SerializationException"),
        (b'{"KeyId": "a", "NumberOfBytes": 1e400}', "SerializationException"),
        (b'{"KeyId": "a", "EncryptionContext": {"a": 1}}', "SerializationException"),
        (b'{"KeyId": "a", "Recipient": "x"}', "SerializationException"),
        (b'{"KeyId": "a", "Recipient": {"AttestationDocument": "not base64!"}}', "SerializationException"),
        (b'{"KeyId": "\\ud800"}', "SerializationException"),
        (b"[" * 100_000, "SerializationException"),
        (b'{"a":' * 100_000, "SerializationException"),
        (b'{"x":' + b"[" * 200 + b"]" * 200 + b"}", None),
        (b"{}", "ValidationException"),
        (b'{"KeyId": null}', "ValidationException"),
        (b'{"KeyId": ""}', "ValidationException"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies(server, body, code):
    told = error_of(exchange(server, request(server, body, "GenerateDataKey")))
    assert told == code if code else told in ("SerializationException", "ValidationException")


def test_a_negative_number_is_a_number(server, key):
    body = json.dumps({"KeyId": key, "NumberOfBytes": -1}).encode()
    assert error_of(exchange(server, request(server, body, "GenerateDataKey"))) == "ValidationException"
    body = b'{"KeyId": "%s", "NumberOfBytes": 99999999999999999999}' % key.encode()
    assert error_of(exchange(server, request(server, body, "GenerateDataKey")))


@pytest.mark.parametrize(
    "operation", ["Nonsense", "", "generatedatakey", "ListKeys.ListKeys", "x" * 3000, "ListKeys\u00e9"]
)
def test_unknown_operations(server, operation):
    answer = exchange(server, request(server, b"{}", operation))
    assert error_of(answer) in ("UnknownOperationException", "InvalidSignatureException")


@pytest.mark.parametrize(
    "target", ["ListKeys", "DynamoDB_20120810.ListTables", "TrentService", "TrentService."]
)
def test_other_targets(server, target):
    headers = sign(server, b"{}", {"x-amz-target": target})
    text = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = exchange(server, text.encode() + b"content-length: 2\r\n\r\n{}")
    assert error_of(answer) == "UnknownOperationException"


def test_no_target(server):
    headers = sign(server, b"{}")
    text = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert error_of(exchange(server, text.encode() + b"content-length: 2\r\n\r\n{}"))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_methods(server, method):
    answer = exchange(server, request(server, b"{}", method=method))
    assert error_of(answer) == "UnknownOperationException"


@pytest.mark.parametrize("path", ["/other", "/?a=b", "/%00", "/../../etc/passwd", "*"])
def test_paths(server, path):
    error_of(exchange(server, request(server, b"{}", path=path)))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer token",
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;;, Signature=zz",
        "AWS4-HMAC-SHA256 Signature=00, Signature=11",
        "AWS4-HMAC-SHA256 " + "Credential=" * 500,
        "AWS4-ECDSA-P256-SHA256 Credential=a/20260101/kms/aws4_request, SignedHeaders=host, Signature=00",
        "AWS AKID:signature",
        "\xff\xfe",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_authorization_headers(server, authorization):
    code = error_of(exchange(server, request(server, b"{}", extra={"authorization": authorization})))
    assert code in (
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
    )


@pytest.mark.parametrize(
    "signing",
    [
        {"secret": "wrong"},
        {"service": "s3"},
        {"region": "no where"},
        {"region": "x" * 200},
        {"date": "20200101"},
        {"date": "today"},
    ],
    ids=str,
)
def test_wrong_scopes(server, signing):
    code = error_of(exchange(server, request(server, b"{}", **signing)))
    assert code in ("InvalidSignatureException", "IncompleteSignatureException")


@pytest.mark.parametrize(
    "stamp", [None, "", "now", "20261122", "99999999T999999Z", "20260230T000000Z", "-0001T"]
)
def test_wrong_dates(server, stamp):
    code = error_of(exchange(server, request(server, b"{}", extra={"x-amz-date": stamp})))
    assert code in (
        "InvalidSignatureException",
        "IncompleteSignatureException",
        "MissingAuthenticationTokenException",
    )


def test_a_content_hash_that_is_not_the_bodys(server):
    headers = {
        "x-amz-content-sha256": hashlib.sha256(b"another").hexdigest(),
        "x-amz-target": "TrentService.ListKeys",
    }
    signed = sign(server, b"{}", headers)
    text = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    assert (
        error_of(exchange(server, text.encode() + b"content-length: 2\r\n\r\n{}"))
        == "InvalidSignatureException"
    )


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/json", "application/x-amz-json-1.0", "a" * 5000]
)
def test_content_types(server, content_type):
    """Unusual ones may be served or refused, but always answered."""
    status, _, body = exchange(server, request(server, b"{}", extra={"content-type": content_type}))
    assert status < 500 and json.loads(body)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: nine\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(2000)) + b"\r\n",
        b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(range(256)) * 100,
    ],
    ids=lambda data: repr(data[:40]),
)
def test_malformed_http(server, data):
    """A refusal, or for what is not HTTP at all an orderly close; never a hang and never a 5xx."""
    try:
        status, _, body = exchange(server, data, close_writing=True)
    except Broken as broken:
        assert "timed out" not in str(broken)
    else:
        assert 400 <= status < 500 and b"Plaintext" not in body


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("00000000000000000000"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + bytes.fromhex("000000040000000000 00ffff010400000001 ffffffff".replace(" ", "")),
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ],
    ids=lambda data: data.hex()[-20:],
)
def test_malformed_h2(server, data):
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        assert b"Plaintext" not in received


def test_a_body_of_two_mebibytes(server):
    body = b'{"x": "' + b"y" * 2 * 1024 * 1024 + b'"}'
    status, _, _ = exchange(server, request(server, body))
    assert status == 413


def test_a_document_of_the_largest_size_is_read(server, key):
    document = "A" * (262_144 // 3 * 4)
    body = json.dumps(
        {
            "KeyId": key,
            "KeySpec": "AES_256",
            "Recipient": {"AttestationDocument": document, "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"},
        }
    ).encode()
    assert error_of(exchange(server, request(server, body, "GenerateDataKey"))) == "ValidationException"
    too_long = body.replace(b"AAAA", b"AAAA" * 2, 1)
    too_long = too_long.replace(document.encode(), document.encode() + b"AAAA" * 40)
    assert error_of(exchange(server, request(server, too_long, "GenerateDataKey"))) == "ValidationException"


def test_a_truncated_body_is_not_executed(server, kms):
    before = len(kms.list_keys(Limit=1000)["Keys"])
    body = b'{"Description": "never"}'
    data = request(server, body, "CreateKey")
    try:
        status, _, _ = exchange(server, data[:-5], close_writing=True)
        assert 400 <= status < 500
    except Broken as broken:
        assert "timed out" not in str(broken)
    assert len(kms.list_keys(Limit=1000)["Keys"]) == before


def test_chunked_bodies(server):
    """No AWS client sends them; they may be served or refused."""
    headers = sign(server, b"{}", {"x-amz-target": "TrentService.ListKeys"})
    text = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    data = text.encode() + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    status, _, _ = exchange(server, data)
    assert status < 500


def test_expect_continue(server):
    data = request(server, b"{}", extra={"expect": "100-continue"})
    head, body = data[:-2], data[-2:]
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.sendall(head)
        reader = connection.makefile("rb")
        assert reader.readline().startswith(b"HTTP/1.1 100")
        assert reader.readline() == b"\r\n"
        connection.sendall(body)
        assert read_answer(reader)[0] == 200


def test_one_byte_at_a_time(server):
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(server, b"{}"):
            connection.sendall(bytes([byte]))
        assert read_answer(connection.makefile("rb"))[0] == 200


def test_idle_connections_do_not_hinder(server, kms):
    idle = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(50)]
    half = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(50)]
    for connection in half:
        connection.sendall(b"POST / HTTP/1.1\r\nhost:")
    began = time.monotonic()
    kms.list_keys(Limit=1)
    assert time.monotonic() - began < 5
    for connection in idle + half:
        connection.close()


def test_after_all_this_it_still_serves(server, kms):
    kms.list_keys(Limit=1)
    assert "panicked" not in server.log()
