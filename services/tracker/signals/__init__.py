"""What may come back about an email: one file a signal, each with all that is particular to it."""
