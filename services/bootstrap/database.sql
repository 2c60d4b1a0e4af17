-- name: lock
SELECT pg_advisory_lock(727364)

-- name: create_ledger
CREATE SCHEMA IF NOT EXISTS bootstrap;
CREATE TABLE IF NOT EXISTS bootstrap.migrations (
    service text NOT NULL,
    file text NOT NULL,
    digest text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, file)
)

-- name: create_extension
-- Trusted: whoever may create schemas may have it.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public

-- name: create_role
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sendlog_{service}') THEN
        CREATE ROLE sendlog_{service} LOGIN;
    END IF;
    GRANT sendlog_{service} TO CURRENT_USER;
END
$$;
CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION sendlog_{service}

-- name: quote
SELECT quote_literal($1::text)

-- name: set_password
ALTER ROLE sendlog_{service} PASSWORD {password}

-- name: find
SELECT digest FROM bootstrap.migrations WHERE service = $1 AND file = $2

-- name: act_as
SET LOCAL ROLE sendlog_{service}; SET LOCAL search_path TO {service}

-- name: act_as_self
RESET ROLE

-- name: record
INSERT INTO bootstrap.migrations (service, file, digest) VALUES ($1, $2, $3)
