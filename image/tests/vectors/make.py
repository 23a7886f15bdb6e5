"""Makes the vectors beside it: enclave images and their PCRs, by the format's description alone.

    python3 image/tests/vectors/make.py [FOLDER]
"""

import hashlib
import json
import pathlib
import struct
import sys
import zlib

KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = range(1, 6)

METADATA_TEXT = (
    '{"ImageName":"vector","ImageVersion":"1","BuildMetadata":{"BuildTime":"1970-01-01T00:00:00Z",'
    '"BuildTool":"make.py","BuildToolVersion":"1","OperatingSystem":"Linux",'
    '"KernelVersion":"unknown"},"DockerInfo":null,"CustomMetadata":null}'
)
DER = bytes.fromhex("3003020101")
PEM = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"


def cbor_numbers(data):
    """An array of small numbers, as the AWS builder writes bytes."""
    head = b"\x98" + bytes([len(data)])
    return head + b"".join(bytes([n]) if n < 24 else bytes([0x18, n]) for n in data)


def cbor_text(text):
    return bytes([0x60 + len(text)]) + text.encode()


def signature_section():
    return (b"\x81\xa2" + cbor_text("signing_certificate") + cbor_numbers(PEM)
            + cbor_text("signature") + cbor_numbers(bytes(range(100, 140))))


def image(flags, sections):
    offsets, sizes, body = [0] * 32, [0] * 32, b""
    for index, (kind, content) in enumerate(sections):
        offsets[index], sizes[index] = 548 + len(body), len(content)
        body += struct.pack(">HHQ", kind, 0, len(content)) + content
    head = struct.pack(">4sHHQQHH", b".eif", 4, flags, 1 << 30, 2, 0, len(sections))
    head += struct.pack(">64QI", *offsets, *sizes, 0)
    return head + struct.pack(">I", zlib.crc32(head + body)) + body


def extended(content):
    return hashlib.sha384(bytes(48) + content).hexdigest()


def pcr(*parts):
    return extended(hashlib.sha384(b"".join(parts)).digest())


def measurements(sections):
    base = [content for kind, content in sections if kind in (KERNEL, CMDLINE)]
    ramdisks = [content for kind, content in sections if kind == RAMDISK]
    pcrs = {
        "PCR0": pcr(*base, *ramdisks),
        "PCR1": pcr(*base, *ramdisks[:1]),
        "PCR2": pcr(*ramdisks[1:]),
    }
    if any(kind == SIGNATURE for kind, _ in sections):
        pcrs["PCR8"] = pcr(DER)
    return pcrs


def main(folder):
    base = [(KERNEL, b"a kernel"), (CMDLINE, b"console=ttyS0"), (METADATA, METADATA_TEXT.encode())]
    disks = [(RAMDISK, bytes([n]) * 100 * n) for n in (1, 2, 3)]
    vectors = {
        "one-ramdisk": (0, base + disks[:1]),
        "two-ramdisks": (0, base + disks[:2]),
        "no-metadata": (0, base[:2] + disks[:2]),
        "three-ramdisks-aarch64": (1, base + disks),
        "signed": (0, base + disks[:2] + [(SIGNATURE, signature_section())]),
    }
    known = {}
    for name, (flags, sections) in vectors.items():
        (folder / f"{name}.eif").write_bytes(image(flags, sections))
        known[name] = measurements(sections)
    known["parent"] = {
        "PCR3": extended(b"arn:aws:iam::123456789012:role/Example"),
        "PCR4": extended(b"i-0123456789abcdef0"),
    }
    (folder / "pcrs.json").write_text(json.dumps(known, indent=2) + "\n")


main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
