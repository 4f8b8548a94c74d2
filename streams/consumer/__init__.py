"""The Faust consumer that hands an agent whole fetched chunks of one partition."""
