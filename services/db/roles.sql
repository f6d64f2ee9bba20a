-- The database and its two roles; run by the superuser at every start, so that a changed secret takes effect.
-- slipway_owner owns the schema and migrates; slipway_app, the site, can only read and write rows.
-- Read from the environment: OWNER_PASSWORD_FILE, APP_PASSWORD_FILE.
\set ON_ERROR_STOP on
\set owner_password `cat "$OWNER_PASSWORD_FILE"`
\set app_password `cat "$APP_PASSWORD_FILE"`

-- A statement with a password in it must reach neither the log nor the statistics of statements.
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
SET pg_stat_statements.track = 'none';
SET pg_stat_statements.track_utility = off;
SET client_min_messages = warning;

SELECT 'CREATE ROLE slipway_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway_owner') \gexec
SELECT 'CREATE ROLE slipway_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway_app') \gexec
ALTER ROLE slipway_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE slipway_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'app_password';

-- Time-outs nest: these, then uWSGI's harakiri (30 s), nginx's read time-out (35 s), the grace period of a stop (45 s).
ALTER ROLE slipway_app SET statement_timeout = '15s';
ALTER ROLE slipway_app SET lock_timeout = '3s';
ALTER ROLE slipway_app SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE slipway_owner SET lock_timeout = '3s';

-- The driver writes values into the statement, session keys and hashes of passwords too: the application logs slow and failed
-- ones without them (services/web/config/statements.py). DETAIL repeats values or a whole row.
ALTER ROLE slipway_app SET log_min_error_statement = 'panic';
ALTER ROLE slipway_app SET log_min_duration_statement = -1;
ALTER ROLE slipway_app SET log_error_verbosity = 'terse';
ALTER ROLE slipway_owner SET log_min_error_statement = 'panic';
ALTER ROLE slipway_owner SET log_min_duration_statement = -1;
ALTER ROLE slipway_owner SET log_error_verbosity = 'terse';

SELECT 'CREATE DATABASE slipway OWNER slipway_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'slipway') \gexec
REVOKE ALL ON DATABASE slipway FROM PUBLIC;
GRANT CONNECT ON DATABASE slipway TO slipway_app;

\connect slipway
SET client_min_messages = warning;
ALTER SCHEMA public OWNER TO slipway_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO slipway_app;
-- FOR ROLE matters: default privileges belong to the role that creates the table.
ALTER DEFAULT PRIVILEGES FOR ROLE slipway_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO slipway_app;
ALTER DEFAULT PRIVILEGES FOR ROLE slipway_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO slipway_app;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- What was recorded all the same. Only a reset of everything empties the file of the texts, too.
DO $$
BEGIN
  IF current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' THEN
    IF EXISTS (SELECT FROM pg_stat_statements WHERE query ~* '(CREATE|ALTER)\s+(ROLE|USER|GROUP)\M.*\mPASSWORD\M') THEN
      PERFORM pg_stat_statements_reset();
    END IF;
  END IF;
END $$;
