"""CPIX 2.3 as SPEKE v2.0 exchanges it: packagers' requests in, the same document with keys out."""
