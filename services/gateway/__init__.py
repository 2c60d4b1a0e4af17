"""Gateway: the client's door. Takes HTTP requests, writes down what was asked, and tells what has happened.

Consumes: nothing (reads the log by email, and the projector's tables)
Produces: requested, rescheduled, cancelled
Owns:     the REST contract, the configuration buckets of keys, accounts, workspaces and suppressions
Never:    SMTP, waiting
"""
