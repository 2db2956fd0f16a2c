#!/bin/sh
# Builds the wheel into dist/: scripts/release/wheel.sh [flags of `maturin build`].
#
# On Linux zig links, so that the program runs with glibc 2.28 (RHEL 8, Debian 10, Ubuntu 20.04) and newer, whatever this system has;
# maturin then audits which symbols and libraries it needs.
set -eu
cd "$(dirname "$0")/../.."

python3 -c 'import maturin' 2>/dev/null || {
    echo "maturin is missing: pip install 'maturin[zig]>=1.9,<2'" >&2
    exit 1
}
case $(uname -s) in
Linux) set -- --zig --compatibility manylinux_2_28 --auditwheel check "$@" ;;
Darwin) export MACOSX_DEPLOYMENT_TARGET=11.0 ;;
esac
python3 scripts/release/notices.py >THIRD-PARTY.txt
python3 -m maturin build --locked --out dist "$@"
