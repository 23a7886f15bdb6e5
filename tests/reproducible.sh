#!/usr/bin/env bash
# Holds that the enclave's image can be built again: builds the release executable twice, in another
# folder, with another cargo home and under another user's environment, the second time by
# Dockerfile.enclave without a registry; then two images and two bills of materials; compares all.
#
#     tests/reproducible.sh FOLDER
#
# FOLDER is emptied, and holds the results afterwards: claviger-enclave, claviger.eif, its
# measurements pcrs.json and its bill of materials sbom.cdx.json. CLAVIGER_BIN names the command line
# to build images with. Without buildah the second build is a plain one, and the script says SKIPPED.
set -euo pipefail

root=$(realpath "$(dirname "$0")/..")
work=$(realpath -m "${1:?usage: tests/reproducible.sh FOLDER}")
cargo_home=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
claviger=$(realpath "${CLAVIGER_BIN:?names the claviger binary}")
rm -rf "$work"
mkdir -p "$work/one/claviger" "$work/another/folder/deeper"
cd "$root"

# The files of this commit, with what is not committed yet but without what is ignored.
for copy in one/claviger another/folder/deeper; do
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory "$work/$copy"
done
cat >"$work/enclave.json" <<'JSON'
{
  "listen": "vsock:16:5000",
  "host": "vsock:3:5001",
  "account": "123456789012",
  "tls": { "names": ["kms.example.test"] },
  "nsm": "device",
  "root_key": "quorum"
}
JSON
cp "$work/enclave.json" "$work/another/folder/deeper/enclave.json"

# timed WHAT COMMAND…: says how long it took.
timed() {
    local began=$SECONDS what=$1
    shift
    "$@"
    printf '%s: %d s\n' "$what" $((SECONDS - began))
}

first_build() {
    CARGO_TARGET_DIR=$work/one/target CARGO_FLAGS='--offline --quiet' \
        "$work/one/claviger/image/build-enclave.sh" "$work/claviger-enclave"
}

# The toolchain of this machine as a base image: an empty root whose /usr is bound at build time.
with_buildah() {
    local storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run") container mounted base=localhost/toolchain
    mkdir -p "$work/base"/{cargo,dev,etc,proc,root,rust,sys,tmp,usr}
    chmod 1777 "$work/base/tmp"
    for name in bin lib lib64 sbin; do ln -s "usr/$name" "$work/base/$name"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$work/base/etc/passwd"
    container=$(buildah "${storage[@]}" from scratch)
    buildah "${storage[@]}" copy --quiet "$container" "$work/base" / >/dev/null
    buildah "${storage[@]}" config --env PATH=/rust/bin:/usr/bin --env CARGO_HOME=/cargo --env HOME=/root "$container"
    buildah "${storage[@]}" commit --quiet "$container" $base >/dev/null
    buildah "${storage[@]}" rm "$container" >/dev/null

    buildah "${storage[@]}" build --quiet --pull-never --isolation chroot --network host \
        --volume /usr:/usr:ro --volume /etc/alternatives:/etc/alternatives:ro \
        --volume "$(rustc --print sysroot):/rust:ro" --volume "$cargo_home/registry:/cargo/registry" \
        --build-arg TOOLCHAIN=$base --build-arg CARGO_FLAGS='--offline --quiet' \
        --file "$work/another/folder/deeper/Dockerfile.enclave" --tag localhost/enclave "$work/another/folder/deeper"

    container=$(buildah "${storage[@]}" from --pull-never localhost/enclave)
    mounted=$(buildah "${storage[@]}" mount "$container")
    [ -d "${mounted:?nothing is mounted}" ]
    # What a FROM scratch image holds beside what was copied into it, is nothing.
    (cd "$mounted" && find . -type f | sort) >"$work/files"
    diff - "$work/files" <<<$'./claviger-enclave\n./etc/claviger/enclave.json'
    cmp "$mounted/etc/claviger/enclave.json" "$work/enclave.json"
    cp "$mounted/claviger-enclave" "$work/another/claviger-enclave"
    buildah "${storage[@]}" unmount "$container" >/dev/null
    rm -rf "$work/storage" "$work/run"
}

without_buildah() {
    CARGO_TARGET_DIR=$work/another/target CARGO_FLAGS='--offline --quiet' \
        "$work/another/folder/deeper/image/build-enclave.sh" "$work/another/claviger-enclave"
}

# image PROGRAM OUTPUT: an image; only an image with a real kernel would start.
image() {
    "$claviger" image build --kernel "$root/LICENSE" --cmdline 'console=ttyS0 reboot=k panic=-1' \
        --binary "$1" --config "$work/enclave.json" --output "$2"
}

timed 'first build' first_build
if command -v buildah >/dev/null && [ "$(id -u)" -eq 0 ]; then
    timed 'second build, by Dockerfile.enclave' with_buildah
else
    echo 'SKIPPED: Dockerfile.enclave is not built, there is no buildah here that may mount'
    timed 'second build' without_buildah
fi
sha256sum "$work/claviger-enclave" "$work/another/claviger-enclave" | sed "s|$work/||"
cmp "$work/claviger-enclave" "$work/another/claviger-enclave"
# Not a folder of this machine is left in it.
for folder in "$work" "$root" "$cargo_home" "$HOME/"; do
    ! grep --quiet --fixed-strings --text "$folder" "$work/claviger-enclave" ||
        { echo "the executable names $folder" >&2; exit 1; }
done

image "$work/claviger-enclave" "$work/claviger.eif" >"$work/pcrs.json"
image "$work/another/claviger-enclave" "$work/another/claviger.eif" >"$work/another/pcrs.json"
cmp "$work/claviger.eif" "$work/another/claviger.eif"
cmp "$work/pcrs.json" "$work/another/pcrs.json"
"$work/one/claviger/image/sbom.sh" "$work/claviger-enclave" "$work/sbom.cdx.json"
"$work/another/folder/deeper/image/sbom.sh" "$work/another/claviger-enclave" "$work/another/sbom.cdx.json"
cmp "$work/sbom.cdx.json" "$work/another/sbom.cdx.json"
cat "$work/pcrs.json"
rm -rf "$work/one" "$work/another" "$work/base"
