"""What travels: messages, units, errors, the one codec. No behavior lives here."""
