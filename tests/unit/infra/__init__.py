"""Settings, deployment and wiring without processes."""
