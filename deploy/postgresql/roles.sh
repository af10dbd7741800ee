#!/bin/sh
# Makes the role that owns the tables, the role that serves, and the database, in a new PostgreSQL.
# The image of PostgreSQL runs it once. Elsewhere run it with PGHOST, and with POSTGRES_USER, which names a superuser.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner SYNAP_OWNER_PASSWORD
\getenv server SYNAP_PASSWORD
CREATE ROLE synap_owner LOGIN PASSWORD :'owner';
CREATE ROLE synap LOGIN PASSWORD :'server';
CREATE DATABASE synap OWNER synap_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE synap FROM PUBLIC;
GRANT CONNECT ON DATABASE synap TO synap;
SQL
