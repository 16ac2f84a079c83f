# shellcheck shell=bash
# Debian packages that a step needs beside what tools/bootstrap sees to: source it after build-env.sh.

# need_packages PACKAGE…: installs what is missing of them, as root or through sudo. Where that cannot be
# done it says what is missing, and ends the script with 1: nothing is skipped for want of a package.
need_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
            missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "there is no apt-get here to install ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || die "as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    printf '%s: installing Debian packages: %s\n' "$(basename "$0")" "${missing[*]}" >&2
    # dpkg has one user at a time: who comes second waits.
    "${as_root[@]}" apt-get update -qq >&2 ||
        die "apt-get could not read the lists of packages (its message is above)"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=600 "${missing[@]}" >&2 ||
        die "apt-get could not install ${missing[*]} (its message is above)"
}
