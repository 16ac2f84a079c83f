# shellcheck shell=bash
# What every script of tools/ starts with: source it, do not run it.
#
# It leaves the shell in the root of the repository, with cargo on the PATH when rustup has put it
# in its usual place. It installs nothing: that is tools/bootstrap.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo >/dev/null 2>&1; then
    PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    export PATH
fi

# What `go install` has put in its usual place.
PATH="$PATH:${GOBIN:-${GOPATH:-$HOME/go}/bin}"
export PATH

# The toolchain that has Miri, which no stable one has. A nightly is another every day, so it is this one.
# shellcheck disable=SC2034 # for tools/miri and tools/bootstrap
MIRI_TOOLCHAIN=nightly-2026-10-30

# on_windows: whether this is Windows itself, in a shell of MSYS2.
on_windows() {
    case "$OSTYPE" in
    msys | cygwin) return 0 ;;
    *) return 1 ;;
    esac
}

# die MESSAGE…: one message on stderr, exit 1.
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}
