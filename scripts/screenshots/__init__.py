"""Takes the screenshots in docs/images from a running installation."""
