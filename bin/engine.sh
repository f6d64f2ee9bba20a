# shellcheck shell=bash
# shellcheck disable=SC2034  # engine_reason is for who sources this
# Sourced by the verbs: the checkout, the settings of .env, and which engine runs.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
# shellcheck source=bin/locale.sh
. bin/locale.sh

# fail MESSAGE: one line on what is wrong and how to mend it.
fail() {
  echo "error: $*" >&2
  exit 1
}

# Settings of this checkout; what the caller sets wins.
load_env_file() {
  local line name value number=0
  [ -f .env ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $line in '' | '#'*) continue ;; esac
    line=${line%$'\r'}
    name=${line%%=*}
    [[ $line == *=* && $name =~ ^[A-Z][A-Z0-9_]*$ ]] || fail ".env line $number is not NAME=value"
    value=${line#*=}
    # Quotes around a value are not part of it, as in Compose's reading of the file.
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
    [ -n "${!name:-}" ] || export "$name=$value"
  done <.env
}
load_env_file

docker_answers() {
  command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1 &&
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1
}

local_runs() {
  local state=${LOCAL_STATE:-.local} pid
  [ -f "$state/status.json" ] || return 1
  # The supervisor holds the lock as long as it lives.
  if command -v flock >/dev/null; then
    ! flock --nonblock "$state/lock" true
  else
    pid=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$state/status.json")
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
  fi
}

# Sets ENGINE and engine_reason. A local stack that runs in this checkout is what `down`, `logs`, `ps` and the rest mean.
choose_engine() {
  case ${ENGINE:-} in
    docker | local) engine_reason="ENGINE=$ENGINE" ;;
    '')
      if [ "$1" != up ] && local_runs; then
        ENGINE=local engine_reason="it runs here"
      elif [ "$1" != up ] && [ -r .local/engine ] && [ "$(cat .local/engine)" = local ]; then
        ENGINE=local engine_reason="the last start here was local"
      elif docker_answers; then
        ENGINE=docker engine_reason="a Docker daemon with Compose answers"
      else
        ENGINE=local engine_reason="no Docker daemon with Compose answers"
      fi
      ;;
    *) fail "ENGINE=$ENGINE is neither docker nor local" ;;
  esac
  export ENGINE
}
