"""The admin area: everybody's videos and accounts, what people did, and how the installation is."""

from videovault.pages.admin.activity import activity
from videovault.pages.admin.avatars import avatars
from videovault.pages.admin.system import system
from videovault.pages.admin.users import users
from videovault.pages.admin.videos import videos

__all__ = ["activity", "avatars", "system", "users", "videos"]
