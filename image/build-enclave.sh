#!/usr/bin/env bash
# Builds the enclave for release: one static executable, the same bytes from the same sources with the
# same toolchain, whatever the folder, the user and the day. Everybody who builds it uses this script:
# Dockerfile.enclave, the tests, and whoever checks a published measurement.
#
#     image/build-enclave.sh OUTPUT
#
# CARGO_TARGET_DIR and CARGO_HOME are honoured. CARGO_FLAGS is handed to cargo (--offline).
# ENCLAVE_FEATURES=simulation makes a development build instead.
set -euo pipefail

output=${1:?usage: image/build-enclave.sh OUTPUT}
output=$(realpath -m "$output")
root=$(realpath "$(dirname "$0")/..")
cd "$root"

machine=$(uname -m)
target=$machine-unknown-linux-gnu
cargo_home=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
sysroot=$(rustc --print sysroot)
compiler=$(rustc -vV | sed -n 's/^commit-hash: //p')

# What a shell may have set for builds of another kind.
unset RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET CARGO_BUILD_RUSTFLAGS
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CC AR

# Folders differ, so panics and assertions name files by other prefixes. Of several that match, the
# last wins: the build folder is usually below the sources.
flags=(
    -C target-feature=+crt-static
    -C link-arg=-Wl,--build-id=none
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rustc/$compiler"
    "--remap-path-prefix=$cargo_home=/cargo"
    "--remap-path-prefix=$root=/claviger"
    "--remap-path-prefix=$target_dir=/build"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
# The same for the C code of the cryptographic library.
CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$root=/claviger -ffile-prefix-map=$target_dir=/build"
export CARGO_ENCODED_RUSTFLAGS CFLAGS
export SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC CARGO_INCREMENTAL=0
export CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_PROFILE_RELEASE_DEBUG=false

# shellcheck disable=SC2086
cargo build ${CARGO_FLAGS:-} --release --locked --package claviger-enclave --bin claviger-enclave \
    --no-default-features --features "${ENCLAVE_FEATURES:-}" --target "$target"
mkdir -p "$(dirname "$output")"
install -m 755 "$target_dir/$target/release/claviger-enclave" "$output"
