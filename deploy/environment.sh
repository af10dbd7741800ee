#!/bin/sh
# Makes .venv with the first Python that fits: $PYTHON if it is set, else the one that is found.
# Plain sh, because a machine may have no Python at all, or one that is too old to read environment.py.
cd "$(dirname "$0")/.." || exit 1
oldest=11 newest=14
fits="import sys; sys.exit(sys.implementation.name != 'cpython' or not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))"

try() {
    if "$1" -c "$fits" >/dev/null 2>&1; then exec "$1" -I deploy/environment.py "$part"; fi
}

part=$1
if [ -n "$PYTHON" ]; then
    try "$PYTHON"
else
    minor=$newest
    try python3
    while [ "$minor" -ge "$oldest" ]; do
        try "python3.$minor"
        minor=$((minor - 1))
    done
fi
named=${PYTHON:-python3}
found=$("$named" --version 2>&1) && found="$named is $(echo "$found" | head -n 1)" || found="there is no $named"
echo "Synap Events needs Python 3.$oldest to 3.$newest, but $found: install one (Debian: apt-get install python3 python3-venv; macOS: brew install python)" \
    "or name one that you have, as in: make run PYTHON=/usr/local/bin/python3.12" >&2
exit 1
