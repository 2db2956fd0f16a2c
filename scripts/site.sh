#!/bin/sh
# Builds the documentation as a site: target/site/index.html. Needs mdBook; a warning of it is a failure.
#
# The contents are docs/SUMMARY.md. mdBook reads one folder, so the pages are copied into one, with the files that they link to and in
# the places that they have here: a link is the same on the site and on a code host.
set -eu
cd "$(dirname "$0")/.."
files="README.md CONTRIBUTING.md CHANGELOG.md assets benches/results docs recipes shaders"

command -v mdbook >/dev/null 2>&1 || {
    echo "mdbook is missing: \`cargo install mdbook --locked\`, then try again" >&2
    exit 1
}
book=target/book
rm -rf "$book" target/site
mkdir -p "$book/src"
# shellcheck disable=SC2086 # several files
tar cf - $files | tar xf - -C "$book/src"
mv "$book/src/docs/book.toml" "$book/src/docs/site.css" "$book"
# The links of the contents are from docs/, mdBook wants them from the root.
sed 's#](#](docs/#; s#](docs/\.\./#](#' docs/SUMMARY.md >"$book/src/SUMMARY.md"
rm "$book/src/docs/SUMMARY.md"

mdbook build "$book" >"$book/log" 2>&1 || { cat "$book/log" >&2; exit 1; }
if grep -E 'WARN|ERROR' "$book/log" >&2; then exit 1; fi
echo "wrote target/site/index.html"
