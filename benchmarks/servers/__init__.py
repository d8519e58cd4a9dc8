"""The servers of a measured transfer, each in its own process and much cheaper than any client."""
