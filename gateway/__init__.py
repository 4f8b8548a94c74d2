"""HTTP in and out: no business state, no business decision."""
