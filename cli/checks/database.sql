-- name: version
SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync

-- name: ledger_exists
SELECT to_regclass('bootstrap.migrations') IS NOT NULL

-- name: migrations
SELECT service || '/' || file AS name, digest FROM bootstrap.migrations

-- name: size
SELECT pg_database_size(current_database())
