# Reads pins.env: BASE_IMAGE, DEBIAN_SUITE, DEBIAN_SNAPSHOT, PYTHON_VERSION, and SNAPSHOT_EPOCH, the snapshot's moment in
# seconds. Sourced at the top of the checkout; a value that cannot be right ends the script with one line.
# shellcheck shell=bash

# shellcheck source=bin/locale.sh
. bin/locale.sh

# Where the snapshots of Debian's archive are, or a mirror of them.
SNAPSHOT_URL=${SNAPSHOT_URL:-http://snapshot.debian.org/archive}
SNAPSHOT_URL=${SNAPSHOT_URL%/}

bad_pin() {
  echo "pins.env: $*" >&2
  exit 1
}

# pin NAME FORM EXAMPLE: reads a value, which must have the form.
pin() {
  local value
  value=$(sed -n "s/^$1=//p" pins.env)
  [[ $value =~ ^$2$ ]] || bad_pin "$1=${value//$'\n'/ } is not of the form $3: mend it"
  printf -v "$1" %s "$value"
}

[[ ${STRICT:-0} == [01] ]] || {
  echo "STRICT=$STRICT is neither 0 nor 1" >&2
  exit 1
}
[[ -r pins.env ]] || bad_pin "the file cannot be read: \`git checkout pins.env\`"
pin BASE_IMAGE '[a-z0-9][a-z0-9./:_-]*:[A-Za-z0-9_.-]+@sha256:[0-9a-f]{64}' 'debian:trixie-20261005-slim@sha256:(64 digits)'
pin DEBIAN_SUITE '[a-z]+' trixie
pin DEBIAN_SNAPSHOT '[0-9]{8}T[0-9]{6}Z' 20261005T000000Z
pin PYTHON_VERSION '3\.[0-9]+' 3.13

# GNU's date, else BSD's.
SNAPSHOT_EPOCH=$(
  date -u -d "${DEBIAN_SNAPSHOT:0:8} ${DEBIAN_SNAPSHOT:9:2}:${DEBIAN_SNAPSHOT:11:2}:${DEBIAN_SNAPSHOT:13:2}" +%s 2>/dev/null ||
    date -u -j -f %Y%m%dT%H%M%SZ "$DEBIAN_SNAPSHOT" +%s 2>/dev/null
) || bad_pin "DEBIAN_SNAPSHOT=$DEBIAN_SNAPSHOT is no date: write that of a snapshot, such as 20261005T000000Z"
((SNAPSHOT_EPOCH <= $(date +%s))) || bad_pin "DEBIAN_SNAPSHOT=$DEBIAN_SNAPSHOT lies in the future: write the date of a snapshot that exists"
# With two dates, an image made from the one would be taken for the other's.
[[ ${BASE_IMAGE%@*} == *"-${DEBIAN_SNAPSHOT:0:8}"* ]] ||
  bad_pin "DEBIAN_SNAPSHOT=$DEBIAN_SNAPSHOT is not the date in the tag of BASE_IMAGE=${BASE_IMAGE%@*}: write the same in both"
