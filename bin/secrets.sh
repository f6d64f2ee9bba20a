# shellcheck shell=bash
# Sourced by bin/containers: makes the secrets of a project and delivers them into the volumes of those that read them.
#
# The master copies are files of the checkout's owner in .secrets/PROJECT. Docker mounts files with the owner they have on
# the host, which the container's user is not; so each consumer gets a volume with copies of what it needs, its own and
# 0400. They are put there through a container that is created and never started: nothing runs as root for it.

# Uses root and fail of bin/engine.sh, PROJECT and MODE.

readonly SECRET_NAMES=(secret_key postgres_password owner_password app_password admin_password)
# Production's alone. The password takes effect at every start; the passphrase is the key to the repository.
readonly BACKUP_SECRETS=(backup_password backup_passphrase)

secrets_directory() {
  # shellcheck disable=SC2154  # bin/engine.sh sets root
  echo "$root/.secrets/$PROJECT"
}

# Whether the project has a database that the passwords have to fit.
database_exists() {
  docker volume inspect "${PROJECT}_pgdata" >/dev/null 2>&1
}

# Make the secrets that are not there yet. With a database, none is made: it would not fit.
make_secrets() {
  local directory name file bytes
  directory=$(secrets_directory)
  (umask 077 && mkdir -p "$directory" && [[ -e $root/.secrets/.gitignore ]] || echo '*' >"$root/.secrets/.gitignore") 2>/dev/null ||
    fail "$directory cannot be written: make it writable for $(id -un)"
  for name in "${SECRET_NAMES[@]}"; do
    file=$directory/$name
    if [[ -e $file ]]; then
      [[ -r $file ]] || fail "the secret $file cannot be read by $(id -un): give it back to that user, mode 0600"
      [[ -n $(tr -d '[:space:]' <"$file") ]] || fail "the secret $file is empty: put it back"
      continue
    fi
    ! database_exists ||
      fail "the database of $PROJECT exists, but its secret $file is gone: put the file back (a new one would not fit), or remove the data with \`make clean DATA=1\`"
    # Bytes of randomness: 64 characters; the one that people type has 24.
    bytes=48
    [[ $name != admin_password ]] || bytes=18
    (umask 077 && head -c "$bytes" /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$file.new" && mv "$file.new" "$file")
  done
  chmod 700 "$root/.secrets" "$directory"
  for name in "${SECRET_NAMES[@]}"; do chmod 600 "$directory/$name"; done
}

# Those that only the site's owner can write: empty until then, and delivered so, which means none.
make_room_for_others() {
  local name file
  for name in email_password acme_ca; do
    file=$(secrets_directory)/$name
    [[ -e $file ]] || (umask 077 && : >"$file") || fail "$file cannot be written: make it writable for $(id -un)"
    [[ -r $file ]] || fail "the secret $file cannot be read by $(id -un): give it back to that user, mode 0600"
    chmod 600 "$file"
  done
}

# A project's volumes are production's or development's: DEBUG must never run on production's data.
check_mode() {
  local file
  file=$(secrets_directory)/mode
  if [[ -r $file && $(<"$file") != "$MODE" ]]; then
    fail "the project $PROJECT is a $(<"$file") stack with its own data: name another one, PROJECT=$PROJECT-$MODE"
  fi
}

note_mode() {
  (umask 077 && echo "$MODE" >"$(secrets_directory)/mode")
}

# Those of the backups. A passphrase is made once: with another, the repository cannot be read.
make_backup_secrets() {
  local directory name
  directory=$(secrets_directory)
  for name in "${BACKUP_SECRETS[@]}"; do
    if [[ ! -e $directory/$name ]]; then
      [[ $name != backup_passphrase ]] || ! docker volume inspect "${PROJECT}_backups" >/dev/null 2>&1 ||
        fail "the backups of $PROJECT exist, but their secret $directory/$name is gone: put the file back (without it they cannot be read), or remove the volume ${PROJECT}_backups to begin anew"
      (umask 077 && head -c 48 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$directory/$name.new" && mv "$directory/$name.new" "$directory/$name")
    fi
    [[ -r $directory/$name ]] || fail "the secret $directory/$name cannot be read by $(id -un): give it back to that user, mode 0600"
    [[ -n $(tr -d '[:space:]' <"$directory/$name") ]] || fail "the secret $directory/$name is empty: put it back"
    chmod 600 "$directory/$name"
  done
  for name in repo_s3_key repo_s3_key_secret; do
    [[ -z ${REPO_S3_BUCKET-} || -s $directory/$name ]] ||
      fail "REPO_S3_BUCKET is set, but $directory/$name is not there: write the store's access key into it, mode 0600"
  done
}

# What an interrupted delivery left.
remove_carriers() {
  docker ps --all --quiet --filter "label=slipway.carrier=$PROJECT" | while read -r carrier; do
    docker rm --force --volumes "$carrier" >/dev/null
  done
}

# Runs a command to its end, Ctrl-C or not: of a container whose making is cut off nobody knows whether it will be.
uncut() {
  (
    trap '' INT TERM
    set -m
    "$@" &
    wait "$!"
  )
}

# deliver VOLUME IMAGE UID:GID SECRET...: put copies of the secrets into a volume of the project, nothing else in it.
deliver() {
  local volume=$1 image=$2 owner=$3 carrier
  shift 3
  docker volume create --label "com.docker.compose.project=$PROJECT" --label "com.docker.compose.volume=$volume" \
    "${PROJECT}_$volume" >/dev/null
  carrier=$(uncut docker create --network none --volume "${PROJECT}_$volume:/run/secrets" \
    --label "slipway.carrier=$PROJECT" "$image" true)
  tar -C "$(secrets_directory)" --owner="${owner%:*}" --group="${owner#*:}" --numeric-owner --mode=0400 -c "$@" |
    docker cp --quiet - "$carrier:/run/secrets" || {
    docker rm --volumes "$carrier" >/dev/null
    fail "the secrets could not be delivered into the volume ${PROJECT}_$volume"
  }
  docker rm --volumes "$carrier" >/dev/null
}
