# Says in one line why pip failed. Sourced by bin/venv and bin/build.
# shellcheck shell=bash

# pip_failure LOG LOCK: what went wrong and how it is mended. Status 1: nothing that is known.
pip_failure() {
  local log=$1 lock=$2 line
  if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
    line=$(grep -m1 -A9 'DO NOT MATCH THE HASHES' "$log" | sed -n 's/^ *\([A-Za-z0-9._-]*==[^ ]*\) from .*/\1/p' | head -n1)
    echo "what the package index gave for ${line:-a package} has not the hash in $lock: do not trust that index, or run \`make lock\`"
  elif grep -q 'No space left on device' "$log"; then
    echo 'no space left on the disk, or for temporary files: make room and run it again'
  elif grep -qE 'NewConnectionError|Max retries|NameResolution|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Could not fetch URL' "$log"; then
    line=$(grep -oEm1 'SSLError|CERTIFICATE_VERIFY_FAILED|name resolution|Connection refused|timed out|Cannot connect to proxy' "$log" | head -n1 || true)
    echo "the package index cannot be reached${line:+ ($line)}: check the network, PIP_INDEX_URL, PIP_PROXY and PIP_CERT"
  elif line=$(grep -m1 'No matching distribution found' "$log"); then
    echo "the package index has no file of ${line##* for } (in $lock) for this Python and machine"
  elif line=$(grep -m1 -E '^[A-Za-z0-9._-]+ [^ ]+ (requires [^ ]+, which is not installed|has requirement )' "$log"); then
    echo "$lock does not fit together (${line%.}): run \`make lock\`"
  else
    return 1
  fi
}
