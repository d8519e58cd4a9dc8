"""Makes docs/images from the running product, so that nobody has to remember to."""
