"""What `sendlog doctor` looks at, one file per kind of dependency."""
