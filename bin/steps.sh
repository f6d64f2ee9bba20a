# shellcheck shell=bash
# Sourced by bin/containers and bin/verify: prints steps with the time each took, and ends at the first that fails.

# Set to the name of a function to have it called before the end.
on_failure=

milliseconds() {
  # Whole seconds with a shell older than 5.
  if [[ -n ${EPOCHREALTIME-} ]]; then echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; else echo "$(date +%s)000"; fi
}

# 1234 -> 1.2 s
seconds() {
  echo "$(($1 / 1000)).$(($1 % 1000 / 100)) s"
}

paint() {
  if [[ -t 1 && -z ${NO_COLOR-} ]]; then printf '\033[%sm%s\033[0m' "$1" "$2"; else printf %s "$2"; fi
}

succeed() {
  printf '  %s  %-60s %s\n' "$(paint 32 ✓)" "$1" "$(paint 2 "$(seconds "$2")")"
}

# Shows what the step said, its last line as the error.
give_up() {
  local text=$1 output=$2
  printf '  %s  %s\n' "$(paint 31 ✗)" "$text"
  grep -v '^[[:space:]]*$' <<<"$output" | sed '$d' | tail -n 25 | sed 's/^/     /' >&2
  [[ -z $on_failure ]] || "$on_failure"
  echo "error: $(grep -v '^[[:space:]]*$' <<<"$output" | tail -n 1 | sed 's/^error: //')" >&2
  exit 1
}

# step TEXT COMMAND...: run it quietly.
step() {
  local text=$1 started output status
  shift
  [[ ! -t 1 || -n ${NO_COLOR-} ]] || printf '  …  %s\r' "$text"
  started=$(milliseconds)
  # Not as a condition: in one, the shell would ignore `set -e` inside the command.
  set +e
  output=$(
    set -e
    "$@" 2>&1
  )
  status=$?
  set -e
  ((status == 0)) || give_up "$text" "$output"
  succeed "$text" "$(($(milliseconds) - started))"
}

# live_step TEXT COMMAND...: run it with what it says shown, its error too, for what may take minutes.
live_step() {
  local text=$1 started status
  shift
  started=$(milliseconds)
  set +e
  (
    set -e
    "$@"
  )
  status=$?
  set -e
  if ((status)); then
    printf '  %s  %s\n' "$(paint 31 ✗)" "$text"
    [[ -z $on_failure ]] || "$on_failure"
    exit 1
  fi
  succeed "$text" "$(($(milliseconds) - started))"
}
