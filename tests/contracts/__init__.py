"""What others rely on: golden examples, OpenAPI, player captures."""
