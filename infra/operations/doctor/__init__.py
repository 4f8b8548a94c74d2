"""What may be wrong with a deployment, each with its mend."""
