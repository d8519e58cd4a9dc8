"""The built-in generator behind both webhooks: it writes scripts from templates and renders captioned MP4s."""
