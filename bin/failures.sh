# Says in one line why pip failed. Sourced by bin/venv and bin/build.
# shellcheck shell=bash

# The first "name==version" or "name" in the lines after one that holds $2, in the file $1.
named_after() {
  grep -m1 -A9 "$2" "$1" | sed -n '2,$s/^ *\([A-Za-z0-9][A-Za-z0-9._-]*\(\[[^]]*\]\)*\(==[^ ]*\)\{0,1\}\).*/\1/p' | head -n1
}

# pip_failure LOG LOCK: what went wrong and how it is mended. Status 1: nothing that is known.
pip_failure() {
  local log=$1 lock=$2 line
  if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
    line=$(named_after "$log" 'DO NOT MATCH THE HASHES')
    echo "what the package index gave for ${line:-a package} has not the hash in $lock: do not trust that index, or run \`make lock\`"
  elif grep -q 'must have their versions pinned with ==' "$log"; then
    line=$(named_after "$log" 'must have their versions pinned with ==')
    echo "$lock: ${line:-a package} is not pinned with ==: run \`make lock\`"
  elif grep -q 'Hashes are required in --require-hashes mode' "$log"; then
    line=$(named_after "$log" 'Hashes are required in --require-hashes mode')
    echo "$lock: ${line:-a package} has no hash: run \`make lock\`"
  elif grep -q 'No space left on device' "$log"; then
    echo 'no space left on the disk, or for temporary files: make room and run it again'
  elif grep -qE 'NewConnectionError|Max retries|NameResolution|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Could not fetch URL' "$log"; then
    line=$(grep -oEm1 'SSLError|CERTIFICATE_VERIFY_FAILED|name resolution|Connection refused|timed out|Cannot connect to proxy' "$log" || true)
    echo "the package index cannot be reached${line:+ ($line)}: check the network, PIP_INDEX_URL, PIP_PROXY and PIP_CERT"
  elif line=$(grep -m1 'No matching distribution found' "$log"); then
    echo "the package index has no file of ${line##* for } (in $lock) for this Python and machine"
  elif line=$(grep -m1 -E '^[a-z0-9._-]+ [^ ]+ (requires [^ ]+, which is not installed|has requirement )' "$log"); then
    echo "$lock does not fit together ($line): run \`make lock\`"
  else
    return 1
  fi
}
