"""What makes a fresh deployment worth opening: a viewer who may watch, and titles to watch."""
