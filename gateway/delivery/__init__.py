"""What players fetch by themselves, assembled per viewer: manifests and content steering."""
