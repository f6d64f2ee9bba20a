# shellcheck shell=bash
# shellcheck disable=SC2034  # engine_reason is for who sources this
# Sourced by the verbs: the checkout, the settings of .env, and which engine runs.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

# fail MESSAGE: one line on what is wrong and how to mend it.
fail() {
  echo "error: $*" >&2
  exit 1
}

# Settings of this checkout; what the caller sets wins.
load_env_file() {
  local line name number=0
  [ -f .env ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $line in '' | '#'*) continue ;; esac
    name=${line%%=*}
    [[ $line == *=* && $name =~ ^[A-Z][A-Z0-9_]*$ ]] || fail ".env line $number is not NAME=value: $line"
    [ -n "${!name:-}" ] || export "$name=${line#*=}"
  done <.env
}
load_env_file

docker_answers() {
  command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1 &&
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1
}

local_runs() {
  local pid
  [ -f .local/status.json ] || return 1
  pid=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' .local/status.json)
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# Sets ENGINE and engine_reason. A local stack that runs in this checkout is what `down`, `logs`, `ps` and the rest mean.
choose_engine() {
  case ${ENGINE:-} in
    docker | local) engine_reason="ENGINE=$ENGINE" ;;
    '')
      if [ "$1" != up ] && local_runs; then
        ENGINE=local engine_reason="it runs here"
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
