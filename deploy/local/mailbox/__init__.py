"""The development mailbox: takes any mail by SMTP, keeps it on disk, shows it to people and programs.

Consumes: SMTP sessions on loopback.
Produces: a page for people and a JSON API for programs.
Owns: the messages below `$SENDLOG_HOME/mailbox`.
Never: relays a message, listens beyond loopback, or answers 250 before the message is written.
"""
