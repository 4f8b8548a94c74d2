"""The canary: each minute an event and a license through the whole path, kept out of views."""
