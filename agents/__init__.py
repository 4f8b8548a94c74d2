"""One folder per concept: a pure decision and the thin Faust shell around it."""
