#!/bin/sh
# Makes .venv from a lock file, hashes checked. Called by make when its stamp is missing:
#   install.sh LOCK STAMP...
# Says in one sentence what is missing when it cannot.
set -eu
lock=$1
shift

fail() {
    echo "sendlog: $1" >&2
    exit 1
}

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c "$new_enough" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

if ! .venv/bin/python -c "$new_enough; import pip" >/dev/null 2>&1; then
    python=$(find_python)
    [ -n "$python" ] || fail "Python 3.11 or newer is needed and was not found: install it, or say which with PYTHON=/path/to/python3"
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "Python's venv module is missing: install it (Debian and Ubuntu: apt install python3-venv)"
    echo "Making .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv || fail ".venv could not be made: see above"
fi

echo "Installing what $lock names ..."
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=1 .venv/bin/python -m pip --quiet install --no-deps"
# Everything comes as a wheel but this, which its authors publish as source alone; setuptools builds it, from the lock.
source=dkimpy
awk -v name="$source" '/^[a-z]/ { keep = index($0, name "==") != 1 } keep' "$lock" >.venv/wheels.lock
awk -v name="$source" '/^[a-z]/ { keep = index($0, name "==") == 1 } keep' "$lock" >.venv/source.lock
$pip --require-hashes --only-binary :all: -r .venv/wheels.lock || fail "the packages could not be installed: see above"
if [ -s .venv/source.lock ]; then
    $pip --require-hashes --no-build-isolation -r .venv/source.lock || fail "$source could not be installed: see above"
fi
if ! said=$($pip --no-build-isolation --editable . 2>&1); then
    echo "$said" >&2
    fail "Sendlog itself could not be installed into .venv: see above"
fi
rm -f .venv/installed-*
touch "$@"
