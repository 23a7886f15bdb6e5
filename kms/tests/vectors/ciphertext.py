#!/usr/bin/env python3
"""A second, independent implementation of docs/ciphertext-format.md.

Prints the test vectors of ciphertext.json:

    python3 ciphertext.py > ciphertext.json

It needs the package `cryptography` and shares no code with the server.
"""

import base64
import json
import struct
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode


def derive(parent: bytes, label: bytes, context: bytes) -> bytes:
    """SP 800-108r1 counter mode: a 32-bit counter first, a 32-bit length last."""
    return KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=32,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    ).derive(parent)


def fields(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def key_id_bytes(key_id: str) -> bytes:
    if key_id.startswith("mrk-"):
        return b"\x01" + bytes.fromhex(key_id.removeprefix("mrk-"))
    return b"\x00" + uuid.UUID(key_id).bytes


def backing_key_id(material: bytes, key_id: str) -> bytes:
    return derive(material, b"claviger/v1/backing-key-id", key_id_bytes(key_id))


def seal(material: bytes, key_id: str, nonce: bytes, context: dict, plaintext: bytes) -> bytes:
    backing = backing_key_id(material, key_id)
    pairs = sorted((k.encode(), v.encode()) for k, v in context.items())
    additional = fields(
        b"\x01",
        key_id_bytes(key_id),
        backing,
        struct.pack(">Q", len(pairs)),
        *(text for pair in pairs for text in pair),
    )
    key = derive(material, b"claviger/v1/message", nonce)
    sealed = AESGCM(key).encrypt(bytes(12), plaintext, additional)
    return b"\x01" + key_id_bytes(key_id) + backing + nonce + sealed


UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
MATERIAL = bytes(range(32))

VALID = [
    ("a data key, no context", UUID, MATERIAL, {}, bytes(range(32, 64))),
    ("one byte", UUID, MATERIAL, {}, b"x"),
    ("nothing at all", UUID, MATERIAL, {}, b""),
    ("the longest plaintext", UUID, MATERIAL, {}, bytes(i % 251 for i in range(4096))),
    ("a multi-Region key with the same 16 bytes", MRK, MATERIAL, {}, b"secret"),
    ("a context", UUID, MATERIAL, {"purpose": "test"}, b"secret"),
    ("pairs in the order of their bytes, not of their locale",
     UUID, MATERIAL, {"b": "1", "a": "2", "B": "3", "é": "4", "\U0001d11e": "5", "\uff5e": "6"}, b"secret"),
    ("{ab: c}", UUID, MATERIAL, {"ab": "c"}, b"secret"),
    ("{a: bc}", UUID, MATERIAL, {"a": "bc"}, b"secret"),
    ("empty key and value", UUID, MATERIAL, {"": ""}, b"secret"),
    ("other material", UUID, bytes([0xA5]) * 32, {"a": "b"}, b"secret"),
]


def main() -> None:
    vectors = []
    for number, (name, key_id, material, context, plaintext) in enumerate(VALID):
        nonce = derive(bytes(32), b"nonce", struct.pack(">I", number))[:16]
        vectors.append({
            "name": name,
            "key_id": key_id,
            "material": material.hex(),
            "backing_key_id": backing_key_id(material, key_id).hex(),
            "nonce": nonce.hex(),
            "context": context,
            "plaintext": base64.b64encode(plaintext).decode(),
            "blob": base64.b64encode(seal(material, key_id, nonce, context, plaintext)).decode(),
        })
    print(json.dumps({"format": 1, "vectors": vectors}, indent=2, ensure_ascii=True))


if __name__ == "__main__":
    main()
