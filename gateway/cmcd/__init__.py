"""What players measure (CTA-5004, v1 and v2), read leniently and turned into playback events."""
