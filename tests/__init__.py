"""Everything that shows Sendlog to be right; `controls` are the real servers and the levers on them."""
