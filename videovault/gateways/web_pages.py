"""Web pages that come instead of a video: which kind it is, and what the person can do about it."""

import re
from collections.abc import Collection, Mapping

from videovault.errors import SourceError

# What pages of Cloudflare, Akamai, AWS WAF, Imperva, DataDome, PerimeterX and Sucuri say before they let anyone in.
_CHALLENGES = re.compile(
    rb"just a moment\.\.\.|/cdn-cgi/challenge-platform|cf-chl|cf-browser-verification|cf-error-details"
    rb"|attention required! \| cloudflare|checking your browser|verify(?:ing)? (?:that )?you are (?:a )?human"
    rb"|errors\.edgesuite\.net|reference&#32;&#35;|reference #[0-9a-f]{1,4}\.|awswaf|_incapsula_resource"
    rb"|captcha-delivery\.com|px-captcha|sucuri website firewall"
)
_CHALLENGE_HEADERS = ("cf-mitigated", "x-amzn-waf-action", "x-datadome")
_CHALLENGE = (
    "The source shows a page that checks whether a person is asking (bot protection{status}), so VideoVault cannot fetch "
    "the video. Use a direct download link, or ask its operator to let VideoVault through."
)
_DIRECT = "Use the direct download link of the video file"

# By the end of the host's name.
_SHARE_PAGES = {
    "drive.google.com": f"This is a page of Google Drive. {_DIRECT}: share the file with anyone who has the link, and "
    "give https://drive.usercontent.google.com/download?id=…&export=download&confirm=t with the file's id.",
    "docs.google.com": f"This is a page of Google Drive. {_DIRECT}: share the file with anyone who has the link, and "
    "give https://drive.usercontent.google.com/download?id=…&export=download&confirm=t with the file's id.",
    "photos.google.com": f"This is a page of Google Photos. {_DIRECT}, or download the video and store it elsewhere.",
    "photos.app.goo.gl": f"This is a page of Google Photos. {_DIRECT}, or download the video and store it elsewhere.",
    "dropbox.com": f"This is a page of Dropbox. {_DIRECT}: the same link with dl=1 instead of dl=0 at its end.",
    "1drv.ms": f"This is a page of OneDrive. {_DIRECT}: choose Download there and copy the link.",
    "onedrive.live.com": f"This is a page of OneDrive. {_DIRECT}: choose Download there and copy the link.",
    "sharepoint.com": f"This is a page of SharePoint. {_DIRECT}: the same link with &download=1 at its end.",
    "box.com": f"This is a page of Box. {_DIRECT}, which its share settings show.",
    "icloud.com": f"This is a page of iCloud. {_DIRECT}: choose Download there and copy the link.",
    "wetransfer.com": f"This is a page of WeTransfer. {_DIRECT}: start the download there and copy its link.",
    "we.tl": f"This is a page of WeTransfer. {_DIRECT}: start the download there and copy its link.",
    "youtube.com": "This is a page of YouTube, which gives no file. Download the video in YouTube Studio if it is yours. "
    f"{_DIRECT}.",
    "youtu.be": "This is a page of YouTube, which gives no file. Download the video in YouTube Studio if it is yours. "
    f"{_DIRECT}.",
    "vimeo.com": f"This is a page of Vimeo. {_DIRECT}: choose Download there and copy the link.",
    "loom.com": f"This is a page of Loom. {_DIRECT}: choose Download there and copy the link.",
    "heygen.com": f"This is a page of HeyGen. {_DIRECT}: choose Download there, or take video_url from its API.",
    "synthesia.io": f"This is a page of Synthesia. {_DIRECT}: choose Download there, or take it from its API.",
    "d-id.com": f"This is a page of D-ID. {_DIRECT}: choose Download there, or take result_url from its API.",
    "tiktok.com": f"This is a page of TikTok, which gives no file. {_DIRECT}.",
    "instagram.com": f"This is a page of Instagram, which gives no file. {_DIRECT}.",
    "facebook.com": f"This is a page of Facebook, which gives no file. {_DIRECT}.",
}


def is_challenge(page: bytes, headers: Mapping[str, str]) -> bool:
    """Whether what came instead of a video keeps programs out, by its first bytes and its headers."""
    if any(name in headers for name in _CHALLENGE_HEADERS) or _CHALLENGES.search(page.lower()):
        return True
    return "akamaighost" in headers.get("server", "").lower() and b"access denied" in page.lower()


def challenged(status: int = 200) -> str:
    """The sentence for a challenge page."""
    return _CHALLENGE.format(status="" if status == 200 else f", HTTP {status}")


def share_page(hosts: Collection[str]) -> str:
    """What to do about a share page; empty unless one of the ``hosts`` on the way is known to have such pages."""
    for host in hosts:
        for known, advice in _SHARE_PAGES.items():
            if f".{host}".endswith(f".{known}"):
                return advice
    return ""


def instead_of_video(page: bytes, headers: Mapping[str, str], hosts: Collection[str]) -> SourceError | None:
    """The error for a page that came with a status of success, where more can be said than that it is one."""
    sentence = share_page(hosts) or (challenged() if is_challenge(page, headers) else "")
    return SourceError(sentence) if sentence else None
