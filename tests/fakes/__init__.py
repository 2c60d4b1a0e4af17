"""In-memory stand-ins for fast tests, held to the real things by tests/contract."""
