"""Real servers for tests, the levers on them (kill, pause, start again), and waiting for an outcome."""
