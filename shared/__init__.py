"""What two services must agree on: the published language, RFC values, and how any process runs."""
