# Ranges such as a-z mean other letters in some languages: in Turkish, i is not one of them. Sourced by scripts that use them.
# shellcheck shell=bash
if [[ -n ${LC_ALL-} ]]; then
  export LANG=$LC_ALL
  unset LC_ALL
fi
export LC_COLLATE=C
