#!/usr/bin/env bash
# Claviger beside moto's server: how many GenerateDataKey and Decrypt each answers in a second, with
# 8 connections, in turns, on this machine. Fails where Claviger is not 50 times as fast.
#
# bash tests/peers/throughput.sh [OPTION OF claviger bench…]
#
# local-kms, which is not in any registry that this script may ask, is measured beside them where
# somebody has started one: LOCAL_KMS=http://127.0.0.1:8080 bash tests/peers/throughput.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly AT_LEAST=50
readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target}
readonly VENV=$TARGET/clients/moto-server RESULTS=$TARGET/throughput.json LOG=$TARGET/moto-server.log

cargo build --locked --release -p claviger

# The version whose tests CI runs.
moto=$(grep '^moto==' tests/peers/sources.txt)
if [ "$(cat "$VENV/installed" 2>/dev/null)" != "$moto" ]; then
    rm -rf "$VENV"
    python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement tests/peers/requirements.txt
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps "$moto"
    echo "$moto" >"$VENV/installed"
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$VENV/bin/moto_server" --host 127.0.0.1 --port "$port" >"$LOG" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null && wait $server || true' EXIT
for _ in $(seq 300); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 $server 2>/dev/null || { tail -20 "$LOG" >&2; exit 1; }
    sleep 0.1
done

peers=(--peer "moto=http://127.0.0.1:$port")
[ -z "${LOCAL_KMS:-}" ] || peers+=(--peer "local-kms=$LOCAL_KMS")
echo "$moto; $(python3 --version)"
"$TARGET/release/claviger" bench "${peers[@]}" --json "$RESULTS" "$@"

python3 - "$RESULTS" $AT_LEAST <<'PYTHON'
import json
import sys

results, at_least = json.load(open(sys.argv[1])), float(sys.argv[2])
slow = [one for one in results["peers"] if one["peer"] == "moto" and one["ratio"] < at_least]
for one in slow:
    print(f"{one['scenario']}: {one['ratio']:.1f} times moto's requests, not {at_least:.0f} times")
sys.exit(bool(slow))
PYTHON
