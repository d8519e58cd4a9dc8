"""The stand-in for both webhooks: it writes a script by template and renders a real, captioned MP4 of it."""
