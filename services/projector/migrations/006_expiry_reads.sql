-- The gateway sends nothing again whose content is about to go.
GRANT SELECT ON expiries TO sendlog_gateway;
