"""State keyed as its stream is keyed, kept in a changelog, that counts every record once."""
