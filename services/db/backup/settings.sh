# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this use what it sets
# Sourced by the scripts of the backup container: places, pgBackRest's configuration, and files of ours in its repository.
#
# Environment: REPO_S3_BUCKET (empty: the repository is on the volume), REPO_S3_ENDPOINT, REPO_S3_REGION, REPO_S3_URI_STYLE,
# REPO_S3_PORT, REPO_S3_VERIFY_TLS; BACKUP_KEEP (full backups).
set -euo pipefail
shopt -s nullglob
umask 077

readonly VOLUME=/var/lib/postgresql
readonly CLUSTERS=$VOLUME/$PG_MAJOR
readonly DATA=$CLUSTERS/data
readonly MEDIA=/srv/media
# On the volume, wherever the repository is: what was last done, and room for a drill.
readonly BACKUPS=/srv/backups
readonly STATE=$BACKUPS/state
readonly ARCHIVED=/srv/archived
readonly DATABASE=/srv/database
readonly SECRETS=/run/secrets
readonly RUN=/run/postgresql
readonly STANZA=slipway
readonly PASSPHRASE=$SECRETS/backup_passphrase
export PGBACKREST_CONFIG=$RUN/pgbackrest.conf PGBACKREST_STANZA=$STANZA
export PGHOST=$DATABASE PGUSER=slipway_backup PGDATABASE=slipway PGCONNECT_TIMEOUT=5

# Nothing ends without a word.
set -E
trap 'echo "backup: ${0##*/} failed in line $LINENO" >&2' ERR

fail() {
  echo "backup: $*" >&2
  exit 1
}

# reason TEXT: what went wrong, in one line: pgBackRest's error, which may have several, else the last line.
reason() {
  local text
  if [[ $1 == *'ERROR: '* ]]; then
    text=$(grep -v -e ' failed in line ' <<<"${1#*ERROR: }" | tr -s '[:space:]' ' ')
  else
    text=$(grep -v -e '^[[:space:]]*$' -e ' failed in line ' <<<"$1" | tail -n 1) || text='no reason given'
  fi
  text=${text#backup: }
  echo "${text:0:600}"
}

secret() {
  local file=$SECRETS/$1
  [[ -r $file ]] || fail "the secret $file is missing: start the stack with make, which delivers it"
  [[ -s $file ]] || fail "the secret $file is empty: put it back into .secrets/, and start the stack with make"
  cat "$file"
}

# How pgBackRest is told what it needs: a file that no other user, no environment and no command line shows.
write_configuration() {
  mkdir -p "$RUN/lock"
  {
    echo "[global]"
    repository
    cat <<END
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=$(secret backup_passphrase)
repo1-retention-full=${BACKUP_KEEP:-4}
repo1-bundle=y
repo1-block=y
compress-type=zst
compress-level=3
process-max=2
start-fast=y
checksum-page=y
archive-check=y
archive-timeout=120
lock-path=$RUN/lock
spool-path=$RUN/spool
log-level-file=off
log-level-console=warn
log-timestamp=n

[$STANZA]
pg1-path=$DATA
pg1-socket-path=$DATABASE
pg1-user=slipway_backup
pg1-database=postgres
END
  } >"$PGBACKREST_CONFIG.$$"
  mv "$PGBACKREST_CONFIG.$$" "$PGBACKREST_CONFIG"
  if [[ -e $SECRETS/backup_password ]]; then
    local password
    password=$(secret backup_password)
    password=${password//\\/\\\\}
    printf '*:*:*:slipway_backup:%s\n' "${password//:/\\:}" >"$PGPASSFILE"
  fi
}

repository() {
  if [[ -z ${REPO_S3_BUCKET-} ]]; then
    printf 'repo1-type=posix\nrepo1-path=%s\n' "$BACKUPS/repository"
    return
  fi
  [[ -n ${REPO_S3_ENDPOINT-} ]] || fail "REPO_S3_BUCKET is set and REPO_S3_ENDPOINT is not: name the host of the store, such as s3.eu-central-1.amazonaws.com"
  cat <<END
repo1-type=s3
repo1-path=/slipway
repo1-s3-bucket=$REPO_S3_BUCKET
repo1-s3-endpoint=$REPO_S3_ENDPOINT
repo1-s3-region=${REPO_S3_REGION:-us-east-1}
repo1-s3-uri-style=${REPO_S3_URI_STYLE:-host}
repo1-s3-key=$(secret repo_s3_key)
repo1-s3-key-secret=$(secret repo_s3_key_secret)
repo1-storage-port=${REPO_S3_PORT:-443}
repo1-storage-verify-tls=$([[ ${REPO_S3_VERIFY_TLS:-1} == 0 ]] && echo n || echo y)
END
}

# put PATH: encrypt standard input into the repository, beside what pgBackRest keeps there. It writes under another name and
# renames. (Its own encryption of a foreign file wants the passphrase on the command line.)
put() {
  openssl enc -aes-256-cbc -pbkdf2 -pass "file:$PASSPHRASE" | backrest_files repo-put --raw "$1"
}

# get PATH: the content of a file of ours.
get() {
  backrest_files repo-get --raw "$1" | openssl enc -d -aes-256-cbc -pbkdf2 -pass "file:$PASSPHRASE"
}

# names PATH FILTER: the files below PATH of the repository whose path from there on fits the regular expression.
names() {
  backrest_files repo-ls --recurse --filter="$2" "$1"
}

remove() {
  backrest_files repo-rm "$1"
}

# Files of ours belong to no stanza.
backrest_files() {
  env --unset=PGBACKREST_STANZA pgbackrest --log-level-console=off --log-level-stderr=warn "$@"
}

# note NAME: standard input becomes a file of the state, at once or not at all.
note() {
  mkdir -p "$STATE"
  if ! cat >"$STATE/$1.$$" || ! mv "$STATE/$1.$$" "$STATE/$1"; then
    rm -f "$STATE/$1.$$"
    return 1
  fi
}

# The labels of the backups there are, oldest first; "F" in one is a full one, "D" and "I" at the end the other kinds.
labels() {
  pgbackrest info 2>/dev/null | sed -nE 's/^ *(full|diff|incr) backup: //p'
}

# Of these, the ones of the cluster there is: not those of before the last change of the major version.
current_labels() {
  pgbackrest info 2>/dev/null | sed -nE '/^ *db \(prior\)/,/^ *db \(current\)/d; s/^ *(full|diff|incr) backup: //p'
}

# Seconds since a label's moment.
age_of() {
  local stamp=${1##*_}
  stamp=${stamp%[FDI]}
  echo $(($(date +%s) - $(date --utc --date="${stamp:0:4}-${stamp:4:2}-${stamp:6:2} ${stamp:9:2}:${stamp:11:2}:${stamp:13:2}" +%s)))
}

# Seconds that the oldest WAL segment has waited to be archived; 0 when none waits.
waiting_seconds() {
  local file oldest=
  for file in "$DATA"/pg_wal/archive_status/*.ready; do
    [[ -n $oldest && ! $file -ot $oldest ]] || oldest=$file
  done
  [[ -n $oldest ]] || { echo 0 && return; }
  echo $(($(date +%s) - $(stat -c %Y "$oldest" 2>/dev/null || date +%s)))
}

mkdir -p "$RUN/lock"
[[ -e $PGBACKREST_CONFIG ]] || write_configuration
