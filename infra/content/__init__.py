"""From a video file to an encrypted, listed title: encoding, encryption, storage, demo content."""
