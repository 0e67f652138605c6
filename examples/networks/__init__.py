"""Networks of one's own, for the key `network` of an algorithm's section."""
