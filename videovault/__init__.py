"""VideoVault."""

import gc

# Of what is imported nothing is rubbish; with Python's own threshold, looking for it is a fifth of each start.
gc.set_threshold(50_000, 100, 10)
