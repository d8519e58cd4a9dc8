"""The admin area: all videos and accounts, avatars, the activity log and the state of the installation."""

from videovault.pages.admin.activity import activity
from videovault.pages.admin.avatars import avatars
from videovault.pages.admin.system import system
from videovault.pages.admin.users import users
from videovault.pages.admin.videos import videos

__all__ = ["activity", "avatars", "system", "users", "videos"]
