"""How any Sendlog process starts, reads, appends, tells its health and stops."""
