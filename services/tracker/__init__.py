"""Tracker: what comes back from the world about an email after it left.

Consumes: HTTP hits on signed links, inbound mail (SMTP, LMTP, IMAP, files)
Produces: delivered, delayed, bounced, opened, clicked, read, replied, auto_replied, complained, unsubscribed
Owns:     the verdicts on reports and hits, the buffer of hits that the log could not take yet
Never:    Postgres on the hot path, SMTP to the outside
"""
