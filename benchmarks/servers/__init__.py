"""The far ends of a measured transfer, each in a process of its own and far cheaper than any client."""
