# shellcheck shell=sh
# Sourced by prepare-instance and seal-instance: the root file system that is worked on.
# $root: empty for the running system, else a folder, without a slash at its end.
root=

say() { echo "prepare-instance: $*" >&2; }

# What was expected, what came, what to do.
refuse() {
    say "Expected $1. Came: $2. $3"
    exit 2
}

# Whether every folder on the way to a path below the root is a real one. Where one is a link, what
# is done there might be done outside.
real_way() (
    case /$1/ in
        */../* | */./*) exit 1 ;;
    esac
    way=$root
    rest=${1#/}
    while [ "$rest" != "${rest#*/}" ]; do
        way=$way/${rest%%/*}
        rest=${rest#*/}
        [ ! -L "$way" ] || exit 1
    done
)

# A folder that is there, and no link to one.
folder() { real_way "$1" && [ -d "$root$1" ] && [ ! -L "$root$1" ]; }

# A file that is there, and no link to one.
file() { real_way "$1" && [ -f "$root$1" ] && [ ! -L "$root$1" ]; }

take_root() {
    root=$(cd -- "$1" 2>/dev/null && pwd -P) ||
        refuse "a folder with a root file system" "$1, which is no folder" "Mount it first."
    [ "$root" != / ] || root=
    for needed in /etc/passwd /etc/shadow /usr/lib/os-release /var/lib/dpkg/status; do
        file "$needed" ||
            refuse "a root file system of Debian or Ubuntu" "$1, without a file $needed" \
                "Name the folder that the system's disk is mounted on."
    done
    grep -Eqx 'ID="?(debian|ubuntu)"?' "$root/usr/lib/os-release" ||
        refuse "a root file system of Debian or Ubuntu" \
            "$(grep -m 1 '^ID=' "$root/usr/lib/os-release" || echo "no ID")" \
            "Another system is not prepared by this."
}
