# How a lock is kept whole: its third line is the checksum of all others. Sourced by bin/lock and bin/apt-lock.
# shellcheck shell=bash

# shellcheck source=bin/locale.sh
. bin/locale.sh

# The SHA-256 of what is read, also with the tools of macOS.
sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum
  else
    shasum -a 256
  fi | cut -c1-64
}

# Reads a lock and prints it with its third line.
seal() {
  local text
  text=$(cat)
  sed -n 1,2p <<<"$text"
  echo "# content: sha256:$(sha256 <<<"$text")"
  sed 1,2d <<<"$text"
}

# Whether a lock is what `seal` wrote.
sealed() {
  [[ $(sed -n 3p "$1") == "# content: sha256:$(sed 3d "$1" | sha256)" ]]
}
