-- Who sent it: a sender of few emails among millions is not looked for row by row.
CREATE INDEX emails_by_sender ON emails (workspace, from_address, created_at DESC, email_id DESC)
    WHERE created_at IS NOT NULL;

-- Any part of three letters or more of an address, in either of its spellings, or of a detail. As one text, for most
-- addresses are spelled one way and are indexed once so; as a column, for of an expression the planner knows nothing.
ALTER TABLE suppressions
    ADD COLUMN spellings text GENERATED ALWAYS AS (address COLLATE "default" || E'\n' || email) STORED;
CREATE INDEX suppressions_by_part ON suppressions
    USING gin (spellings public.gin_trgm_ops, detail public.gin_trgm_ops) WHERE reason IS NOT NULL;
ANALYZE suppressions;
