"""Sendlog's processes: each folder is one service with one kind of contact with the world."""
