"""From an arm to a record."""
