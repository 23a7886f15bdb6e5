#!/usr/bin/env python3
"""A second, independent reader of docs/sealed-records.md.

Opens the store in encodings.txt, recomputes every id and the root over all
records, and prints what is in it:

    python3 encodings.py < encodings.txt

It needs the package `cryptography` and shares no code with the server.
"""

import hashlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ciphertext import derive, fields

KINDS = {1: "domain key", 2: "KMS key", 3: "alias", 4: "principal", 5: "access key", 6: "edge secret",
         7: "grant"}


def cbor(data: bytes):
    """Decodes the little CBOR that payloads use."""
    def item(at: int):
        major, info = data[at] >> 5, data[at] & 31
        at += 1
        if major == 7:
            return {20: False, 21: True, 22: None}[info], at
        value = info
        if info >= 24:
            size = 1 << (info - 24)
            value, at = int.from_bytes(data[at:at + size], "big"), at + size
        if major == 0:
            return value, at
        if major in (2, 3):
            text = data[at:at + value]
            return (text if major == 2 else text.decode()), at + value
        items = []
        for _ in range(value * (2 if major == 5 else 1)):
            element, at = item(at)
            items.append(element)
        return (dict(zip(items[::2], items[1::2])) if major == 5 else items), at

    value, end = item(0)
    assert end == len(data)
    return value


def open_sealed(parent: bytes, label: bytes, nonce: bytes, sealed: bytes, additional: bytes) -> bytes:
    return AESGCM(derive(parent, label, nonce)).decrypt(bytes(12), sealed, additional)


def open_head(root_key: bytes, head: bytes):
    assert head[0] == 1
    root_key_id, sequence, nonce, sealed = head[1:17], head[17:25], head[25:41], head[41:]
    assert root_key_id == derive(root_key, b"claviger/v1/root-key-id", b"")[:16]
    additional = fields(head[:1], root_key_id, sequence)
    payload = open_sealed(root_key, b"claviger/v1/head", nonce, sealed, additional)
    return int.from_bytes(sequence, "big"), cbor(payload)


def open_record(key: bytes, record_id: bytes, record: bytes):
    assert record[0] == 1
    kind, epoch, revision, nonce = record[1:2], record[2:6], record[6:14], record[14:30]
    additional = fields(record[:1], kind, record_id, epoch, revision)
    payload = open_sealed(key, b"claviger/v1/record", nonce, record[30:], additional)
    return kind[0], cbor(payload)


def names(kind: int, payload: list) -> list[bytes]:
    """What a record's id is made of."""
    match kind:
        case 2:
            account, region, key_id = payload[:3]
            return [account, region.encode(), key_id]
        case 3:
            account, region, alias = payload[:3]
            return [account, region.encode(), alias.encode()]
        case 4:
            account, user, _full_access, _created, role, path = (payload + [None] * 2)[:6]
            account, path = account.decode(), path or "/"
            resource = f"user{path}{user[0]}" if user else f"role{path}{role[0]}" if role else "root"
            return [f"arn:aws:iam::{account}:{resource}".encode()]
        case 7:
            account, region, key_id, grant_id = payload[:4]
            return [account, region.encode(), key_id, grant_id]
        case _:
            return [payload[0].encode()]


def open_tokens(domain_key: bytes, payload: list) -> None:
    key_id = payload[2]
    for backing_id, _created, token in payload[12]:
        additional = fields(key_id, backing_id)
        material = open_sealed(domain_key, b"claviger/v1/key-token", token[:16], token[16:], additional)
        assert backing_id == derive(material, b"claviger/v1/backing-key-id", key_id)


def main() -> None:
    lines = [line.split(" ") for line in sys.stdin.read().splitlines()]
    [root_key] = [bytes.fromhex(words[1]) for words in lines if words[0] == "root-key"]
    [head] = [bytes.fromhex(words[1]) for words in lines if words[0] == "head"]
    records = {bytes.fromhex(w[1]): bytes.fromhex(w[2]) for w in lines if w[0] == "record"}

    sequence, (epoch, previous, kinds) = open_head(root_key, head)
    print(f"head: commit {sequence}, epoch {epoch}, after {previous.hex()}")

    kind, payload = open_record(root_key, bytes(32), records[bytes(32)])
    domain_epoch, _created, domain_key, naming_key = payload
    assert (kind, domain_epoch) == (1, epoch)

    found = {number: [number, 0, 0] for number in KINDS}
    for record_id, record in records.items():
        if record_id == bytes(32):
            print("domain key")
        else:
            kind, payload = open_record(domain_key, record_id, record)
            print(f"{KINDS[kind]}: {payload}")
            name = fields(bytes([kind]), *names(kind, payload))
            assert record_id == derive(naming_key, b"claviger/v1/record-id", name)
            if kind == 2:
                open_tokens(domain_key, payload)
        kind, revision = record[1:2], record[6:14]
        element = fields(kind, record_id, revision, hashlib.sha256(record).digest())
        element = derive(naming_key, b"claviger/v1/head-element", element)
        found[kind[0]][1] += 1
        found[kind[0]][2] += int.from_bytes(element, "little")
    for (number, count, total), committed in zip(found.values(), kinds, strict=True):
        assert [number, count, (total % 2**256).to_bytes(32, "little")] == committed
    print("all records are the ones the head commits to")


if __name__ == "__main__":
    main()
