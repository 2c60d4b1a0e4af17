"""Values of the mail RFCs that two services must agree on; pure, and above nothing but the RFCs themselves."""
