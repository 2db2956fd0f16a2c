#!/bin/sh
# Makes the source distribution in dist/, checks what is inside, builds a wheel from it alone, and tries that as a user would:
# scripts/release/sources.sh
set -eu
cd "$(dirname "$0")/../.."

python3 -c 'import maturin' 2>/dev/null || {
    echo "maturin is missing: pip install 'maturin>=1.9,<2'" >&2
    exit 1
}
most=1048576 # bytes
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
sources=dist/velograd-$version.tar.gz
python3 -m maturin sdist --out dist
files=$(tar -tzf "$sources" | sed "s|^velograd-$version/||")
strange=$(echo "$files" | grep -vE '^(src|shaders|examples)/.*\.(rs|wgsl|md)$|^python/velograd/(.*\.py|py\.typed|conformance/golden\.json)$|^(build\.rs|Cargo\.(toml|lock)|pyproject\.toml|PKG-INFO|LICENSE|README\.md|CHANGELOG\.md|THIRD-PARTY\.txt)$' || true)
[ -z "$strange" ] || {
    echo "error: these files are not part of the program; see 'include' in Cargo.toml:" "$strange" >&2
    exit 1
}
size=$(wc -c <"$sources")
echo "$sources: $(echo "$files" | wc -l) files, $size bytes"
[ "$size" -le "$most" ] || {
    echo "error: the sources have $size bytes, more than $most" >&2
    exit 1
}

# pip unpacks the sources elsewhere, so that nothing of this folder helps.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m pip wheel --no-deps --wheel-dir "$place" "$sources"
python3 scripts/release/smoke.py "$place"/velograd-*.whl
