-- The role of the backup container, which comes over the unix socket alone; run by the superuser at every start.
-- Read from the environment: BACKUP_PASSWORD_FILE.
\set ON_ERROR_STOP on
\set backup_password `cat "$BACKUP_PASSWORD_FILE"`

-- A statement with a password in it must reach neither the log nor the statistics of statements.
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
SET pg_stat_statements.track = 'none';
SET pg_stat_statements.track_utility = off;
SET client_min_messages = warning;

SELECT 'CREATE ROLE slipway_backup' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway_backup') \gexec
ALTER ROLE slipway_backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'backup_password';
-- Reads the settings, starts and ends a backup, switches to the next WAL segment. For the drill's marker: reads the rows,
-- and holds writers still while it counts (LOCK needs "maintain").
GRANT pg_read_all_settings, pg_checkpoint, pg_read_all_data, pg_maintain TO slipway_backup;

-- A function's privileges are those of the database one is in: in this one they stay out of dumps.
GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal(), pg_create_restore_point(text)
    TO slipway_backup;

GRANT CONNECT ON DATABASE slipway TO slipway_backup;
\connect slipway
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS backup AUTHORIZATION slipway_backup;
CREATE TABLE IF NOT EXISTS backup.marker (
  name text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  rows jsonb NOT NULL,
  articles text NOT NULL
);
ALTER TABLE backup.marker OWNER TO slipway_backup;
