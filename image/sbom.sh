#!/usr/bin/env bash
# Writes the bill of materials of the released enclave: CycloneDX, the same from the same sources in
# any folder.
#
#     image/sbom.sh EXECUTABLE OUTPUT
#
# Needs cargo-cyclonedx and python3.
set -euo pipefail

executable=$(realpath "${1:?usage: image/sbom.sh EXECUTABLE OUTPUT}")
output=$(realpath -m "${2:?usage: image/sbom.sh EXECUTABLE OUTPUT}")
root=$(realpath "$(dirname "$0")/..")
target=$(uname -m)-unknown-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# It writes beside every manifest of the workspace, so it gets manifests of its own; cargo wants a
# source file for every target, too. The settings for builds stay behind: they name a script.
cd "$root"
find . \( -name target -o -name .git -o -name .cargo \) -prune -o \( -name '*.toml' -o -name '*.rs' -o -name Cargo.lock \) -print0 |
    tar --create --null --files-from=- | tar --extract --directory "$work"
cd "$work"
SOURCE_DATE_EPOCH=0 cargo cyclonedx --quiet --quiet --manifest-path enclave/Cargo.toml --format json --spec-version 1.5 \
    --no-default-features --target "$target" --override-filename sbom
# It lists what any feature of the workspace needs; cargo knows what this build does.
cargo tree --quiet --locked --package claviger-enclave --no-default-features --target "$target" \
    --edges normal,build --prefix none --format '{p}' >built
python3 - "$work" "$executable" <<'PYTHON' >"$output"
import hashlib
import json
import pathlib
import sys

work = pathlib.Path(sys.argv[1])
text = (work / "enclave/sbom.json").read_text().replace(f"path+file://{work}", "path+file:///claviger")
bom = json.loads(text)
built = {tuple(line.split()[:2]) for line in (work / "built").read_text().splitlines() if line}


def is_built(component):
    return (component["name"], "v" + component["version"]) in built


kept = [component for component in bom["components"] if is_built(component)]
missing = len(built) - 1 - len({(c["name"], c["version"]) for c in kept})
assert missing == 0, f"{missing} crates of the build are not in the bill of materials"
refs = {component["bom-ref"] for component in kept} | {bom["metadata"]["component"]["bom-ref"]}
bom["components"] = sorted(kept, key=lambda component: component["bom-ref"])
bom["dependencies"] = sorted(
    (
        {"ref": node["ref"], "dependsOn": sorted(ref for ref in node.get("dependsOn", []) if ref in refs)}
        for node in bom["dependencies"]
        if node["ref"] in refs
    ),
    key=lambda node: node["ref"],
)
digest = hashlib.sha256(pathlib.Path(sys.argv[2]).read_bytes()).hexdigest()
bom["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": digest}]
# A number at random would make every run another document.
bom.pop("serialNumber", None)
print(json.dumps(bom, indent=2))
PYTHON
