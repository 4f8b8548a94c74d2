"""The unmodified player libraries that the demo page loads: which, and how they are fetched."""
