-- The tracker asks who the recipients of an old email were, when a report about it comes late.
GRANT USAGE ON SCHEMA projector TO sendlog_tracker;
GRANT SELECT ON emails TO sendlog_tracker;
