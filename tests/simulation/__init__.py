"""The dispatcher's own code under a seeded, virtual world: time, broker, next hop and deaths are made up."""
