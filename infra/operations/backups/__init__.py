"""What nobody can make again: records of truth and, where asked for, the keys that read them."""
