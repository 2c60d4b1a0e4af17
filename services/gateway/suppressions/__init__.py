"""The area of suppressions: addresses a workspace does not write to. In force at once, listed a moment later."""
