"""The multi-DRM door: our policy decides, an upstream license service licenses."""
