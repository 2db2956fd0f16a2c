#!/bin/sh
# Installs velograd @VERSION@ below ~/.local, or below the folder that PREFIX names:
#
#   curl -fsSL @ADDRESS@/install.sh | sh
#
# It downloads the archive for this system, compares its SHA-256 with the one written here, and copies the program, its manual pages
# and its completions. Nothing else is changed, and no other file is run.
set -eu

address=@ADDRESS@
prefix=${PREFIX:-$HOME/.local}
sums='@SUMS@'

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The whole script is read before it runs: a download that breaks off does nothing.
main() {
    case $(uname -s)-$(uname -m) in
    Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
    Linux-aarch64) target=aarch64-unknown-linux-gnu ;;
    Darwin-arm64) target=aarch64-apple-darwin ;;
    Darwin-x86_64) target=x86_64-apple-darwin ;;
    *) fail "there is no archive for $(uname -s) on $(uname -m); with Rust, \`cargo install velograd\` builds it" ;;
    esac
    name=velograd-@VERSION@-$target
    expected=$(printf '%s\n' "$sums" | awk -v file="$name.tar.gz" '$2 == file { print $1 }')
    [ -n "$expected" ] || fail "this release has no archive for $target; with Rust, \`cargo install velograd\` builds it"

    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    curl -fsSL "$address/$name.tar.gz" -o "$folder/archive" || fail "$address/$name.tar.gz could not be downloaded"
    if command -v sha256sum >/dev/null 2>&1; then found=$(sha256sum "$folder/archive"); else found=$(shasum -a 256 "$folder/archive"); fi
    [ "${found%% *}" = "$expected" ] || fail "the SHA-256 of $name.tar.gz is ${found%% *}, expected $expected; nothing was installed"
    tar -xzf "$folder/archive" -C "$folder"

    cd "$folder/$name"
    ./velograd --version >/dev/null || fail "the program does not run here; on Linux it needs glibc 2.28 or newer"
    share=$prefix/share
    put velograd "$prefix/bin/velograd" 755
    for page in man/*.1; do put "$page" "$share/man/man1/${page##*/}" 644; done
    put completions/velograd.bash "$share/bash-completion/completions/velograd" 644
    put completions/_velograd "$share/zsh/site-functions/_velograd" 644
    put completions/velograd.fish "$share/fish/vendor_completions.d/velograd.fish" 644
    for file in LICENSE THIRD-PARTY.txt; do put "$file" "$share/doc/velograd/$file" 644; done

    echo "installed $("$prefix/bin/velograd" --version) as $prefix/bin/velograd"
    case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) echo "$prefix/bin is not on the path of this shell" ;;
    esac
}

# file, where it goes, mode
put() {
    mkdir -p "$(dirname "$2")"
    # By rename, as a program that is running cannot be overwritten.
    cp "$1" "$2.new"
    chmod "$3" "$2.new"
    mv "$2.new" "$2"
}

main
