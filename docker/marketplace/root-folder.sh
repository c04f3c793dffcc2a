# shellcheck shell=sh
# Sourced by prepare-instance and seal-instance: the root file system that is worked on.
# $root: empty for the running system, else a folder, without a slash at its end.
root=
line_end='
'

say() { echo "prepare-instance: $*" >&2; }

# What was expected, what came, what to do.
refuse() {
    say "Expected $1. Came: $2. $3"
    exit 2
}

# Whether every folder on the way to a path below the root is a real one. Where one is a link, what
# is done there might be done outside. So it would with half a name, which does not begin with a
# slash.
real_way() (
    case $1 in
        /*) ;;
        *) exit 1 ;;
    esac
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

drop() {
    for path in "$@"; do
        if real_way "$path"; then rm -rf --one-file-system -- "$root$path"; fi
    done
}

# What lies in folders goes; they stay.
clear_out() {
    for path in "$@"; do
        if folder "$path"; then find "$root$path" -xdev -mindepth 1 -delete; fi
    done
}

# What lies in folders goes but for folders: programs that do not run as root could not make theirs
# again.
clear_files() {
    for path in "$@"; do
        if folder "$path"; then find "$root$path" -xdev -mindepth 1 ! -type d -delete; fi
    done
}

# rewrite PATH AWK-PROGRAM: the same owner and mode, and no other name of the old file is written to.
rewrite() {
    file "$1" || return 0
    new=$(mktemp "$root$1.XXXXXX")
    awk -F: -v OFS=: "$2" "$root$1" >"$new"
    chown --reference="$root$1" "$new"
    chmod --reference="$root$1" "$new"
    mv -f "$new" "$root$1"
}

# write PATH LINE...
write() {
    target=$root$1
    shift
    rm -f -- "$target"
    if [ $# = 0 ]; then : >"$target"; else printf '%s\n' "$@" >"$target"; fi
}

take_root() {
    root=$(cd -- "$1" 2>/dev/null && pwd -P) ||
        refuse "a folder with a root file system" "$1, which is no folder" "Mount it first."
    [ "$root" != / ] || root=
    case $root in
        *"$line_end"*) refuse "a folder's name of one line" "$root" "Mount it elsewhere." ;;
    esac
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
