# For scripts to source: what they take from Debian 13, from wherever this
# machine has its own Debian.

# logged LOG COMMAND…: says nothing unless the command fails.
logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || { tail -40 "$log"; echo "failed: $*" >&2; return 1; }
}

# debian13 FOLDER: lets apt see Debian 13's packages and sources, in this shell
# only. The machine's own list of sources stays as it is.
debian13() {
    local apt=$1 archive
    mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        grep -v security | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
    if [ -z "$archive" ]; then
        # A machine that has never asked.
        logged "$apt/own.log" apt-get update -qq
        archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
            grep -v security | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
    fi
    local from="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${archive:?apt knows no archive of Debian}"
    printf '%s\n' "deb $from trixie main" "deb-src $from trixie main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
    export APT_CONFIG=$apt/apt.conf
    logged "$apt/update.log" apt-get update -qq
}
