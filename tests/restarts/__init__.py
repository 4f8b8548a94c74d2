"""Each component killed with kill -9 while a viewer watches."""
