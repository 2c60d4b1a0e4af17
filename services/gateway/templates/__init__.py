"""The area of templates: what a client writes once and sends many times, version by version."""
