#!/bin/sh
# shellcheck shell=sh disable=SC2034 # root is for the scripts that source this
# Sourced by train.sh and test.sh: makes sure that there are a Rust toolchain, a linker and a Vulkan driver.
# Installs what is missing where it can (Debian, Ubuntu and their relatives), else says what to install. Run as a program with --mpi, it
# also brings what the feature mpi is built with.

root=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# install WHAT_FOR PACKAGE...
install() {
    what=$1
    shift
    if ! command -v apt-get >/dev/null 2>&1; then
        say "$what is missing. On Debian or Ubuntu the packages are: $*. Install what your system calls them, then try again."
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null 2>&1; then as_root=sudo; else
        say "$what is missing, and installing needs root: apt-get install $*"
        exit 1
    fi
    say "$what is missing: installing $*"
    $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null || {
        say "apt-get could not install $*"
        exit 1
    }
}

has_vulkan() {
    [ "$(uname -s)" = Linux ] || return 0 # Metal and DX12 come with the system
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    for manifest in /usr/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
        if [ -e "$manifest" ]; then
            PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' && return 0
        fi
    done
    return 1
}

has_vulkan || install "a Vulkan driver" mesa-vulkan-drivers libvulkan1
command -v cc >/dev/null 2>&1 || install "a linker" gcc libc6-dev

[ -r "${CARGO_HOME:-$HOME/.cargo}/env" ] && . "${CARGO_HOME:-$HOME/.cargo}/env"
# has_rust: cargo 1.89 or newer. Debian 12's own is 1.63.
has_rust() {
    minor=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 89 ]
}
if ! has_rust; then
    command -v curl >/dev/null 2>&1 || install "curl" curl ca-certificates
    say "Rust 1.89 or newer is missing: installing it with rustup into ${CARGO_HOME:-$HOME/.cargo}"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default || {
        say "rustup could not be fetched. Install Rust 1.89 or newer from https://rustup.rs, then try again."
        exit 1
    }
    . "${CARGO_HOME:-$HOME/.cargo}/env"
fi

# has_mpi: what the feature mpi needs: a compiler for MPI, its launcher, and the library of clang that reads its headers.
has_mpi() {
    command -v mpicc >/dev/null 2>&1 && command -v mpirun >/dev/null 2>&1 || return 1
    for library in /usr/lib/llvm-*/lib/libclang*.so* "${LIBCLANG_PATH:-/nowhere}"/libclang*; do
        [ -e "$library" ] && return 0
    done
    PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q libclang
}

# has_radv: Mesa's driver for AMD, which compiles without AMD's hardware.
has_radv() {
    for manifest in /usr/share/vulkan/icd.d/radeon_icd*.json /usr/local/share/vulkan/icd.d/radeon_icd*.json /etc/vulkan/icd.d/radeon_icd*.json; do
        [ -e "$manifest" ] && return 0
    done
    return 1
}

case $0 in
*setup.sh)
    if [ "${1:-}" = --mpi ] && ! has_mpi; then install "MPI" openmpi-bin libopenmpi-dev libclang-dev; fi
    ;;
esac
