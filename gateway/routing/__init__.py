"""Every route, declared once: the router, the metrics' labels and the OpenAPI document."""
