"""How Sendlog is run: `local` for one machine in one command, `k8s` for a cluster."""
