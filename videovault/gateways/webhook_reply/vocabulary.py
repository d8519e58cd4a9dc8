"""The names and words that generators use. Extend these tables to connect another generator.

Names are compared without case, ``_`` and ``-``: ``video_url``, ``videoURL`` and ``Video-Url`` are one name.
"""

from typing import Literal

State = Literal["ready", "processing", "failed", "rejected"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names of the finished video's URL, the most specific first.
VIDEO_NAMES = (
    "videoUrl",
    "resultUrl",
    "downloadUrl",
    "download",
    "videoDownloadUrl",
    "videoUri",
    "videoLink",
    "video",
    "outputUrl",
    "movieUrl",
    "mp4Url",
    "mp4",
    "fileUrl",
    "mediaUrl",
)
# Names of any URL: of these, one with a video's file extension comes first.
URL_NAMES = ("url", "uri", "output", "result", "file", "link", "src", "href")
# Names of a status URL that can be polled.
STATUS_URL_NAMES = ("statusUrl", "urls.get")
# Names of the URL with the result of a finished render, if the status does not contain it.
RESPONSE_URL_NAMES = ("responseUrl",)

# Objects and lists that only wrap the result: a URL inside one ranks as high as one next to it.
WRAPPERS = _words(
    "data body json output outputs result results response payload eventData movie message content video videos "
    "item items task job render generation"
)

# A URL under a name with one of these words is not the video.
NON_VIDEO_WORDS = frozenset(
    _words(
        "thumbnail thumbnails thumb thumbs gif gifs poster preview previews cover image images img picture photo snapshot "
        "screenshot frame frames keyframe keyframes sprite storyboard icon logo still avatar avatars background "
        "audio sound soundtrack music voice voiceover speech mp3 wav "
        "caption captions subtitle subtitles srt vtt ass transcript transcription txt "
        "stream streaming hls dash playlist manifest m3u8 mpd rtmp "
        "webhook webhooks callback callbacks "
        "input inputs source sources origin original driver template templates reference references prompt request "
        "params parameters query headers settings config configuration options modifications variables timeline "
        "elements merge presenter"
    )
)
# The same, for the name of the URL itself but not for the objects that contain it.
NON_VIDEO_URL_WORDS = NON_VIDEO_WORDS | frozenset(
    _words(
        "page share hosted embed player dashboard edit editor view viewer watch web html docs documentation help home "
        "site website project profile account billing terms status cancel poll get self next previous endpoint upload "
        "api response report referer log logs"
    )
)
# Names of the kind of file that an object's URL leads to.
KIND_NAMES = ("contentType", "mimeType", "mime", "type", "kind")

VIDEO_EXTENSIONS = frozenset(_words("mp4 m4v mov webm mkv avi mpg mpeg ogv wmv 3gp"))
PLAYLIST_EXTENSIONS = frozenset(_words("m3u8 mpd ism f4m"))
OTHER_EXTENSIONS = PLAYLIST_EXTENSIONS | frozenset(
    _words(
        "jpg jpeg png gif webp avif svg bmp tif tiff heic ico mp3 wav m4a aac ogg oga opus flac wma srt vtt ass ssa sbv ttml "
        "txt md csv ts html htm json xml pdf zip"
    )
)
BUCKET_SCHEMES = frozenset({"gs://", "s3://"})
# Path segments of pages about the video.
PAGE_PATHS = frozenset(_words("share preview embed watch player dashboard"))

STATE_NAMES = (
    "status",
    "state",
    "taskStatus",
    "jobStatus",
    "videoStatus",
    "eventType",
    "event",
    "type",
    "stage",
    "result",
)
# In any case, with ``_`` for blanks and hyphens; also as the end of an event name.
STATES: dict[str, State] = {
    **dict.fromkeys(
        _words(
            "ready done complete completed succeed succeeded success successful finished ok available rendered generated"
        ),
        "ready",
    ),
    **dict.fromkeys(
        _words(
            "processing pending queued planned waiting starting started running rendering transcribing in_progress in_queue "
            "submitted created accepted received generating dreaming fetching saving uploading encoding throttled preparing "
            "scheduled initializing working not_ready not_started incomplete"
        ),
        "processing",
    ),
    **dict.fromkeys(
        _words(
            "failed fail failure error errored cancelled canceled expired aborted timeout timed_out crashed deleted"
        ),
        "failed",
    ),
    **dict.fromkeys(_words("rejected moderated flagged content_moderated"), "rejected"),
}
# These describe the call as often as the video: without a URL the order is accepted, not finished.
AMBIGUOUS_SUCCESS = frozenset(("ok", "success", "successful"))
NEGATIONS = frozenset(_words("not no partially partial"))
# Booleans: accepted or failed, and finished or in progress.
SUCCESS_NAMES = ("success", "ok", "succeeded", "accepted", "received")
DONE_NAMES = ("done", "finished", "completed", "isReady")

ERROR_NAMES = ("error", "errors", "failure", "failureReason", "errorMessage", "exception")
REJECTION_NAMES = ("raiMediaFilteredReasons",)
REASON_NAMES = (
    "error",
    "message",
    "failure",
    "failureReason",
    "errorMessage",
    "detail",
    "description",
    "msg",
    "reason",
    "statusMessage",
    "taskStatusMsg",
    "errors",
    "title",
    "hint",
    "text",
)

ACKNOWLEDGEMENTS = frozenset(
    (
        "accepted",
        "workflow was started",
        "workflow got started",
        "ok",
        "success",
        "received",
        "thank you",
        "true",
        "null",
    )
)
N8N_STARTED = frozenset(("workflow was started", "workflow got started"))
# A reply of nothing but these confirms the order and gives its number.
NUMBER_NAMES = frozenset(
    _words(
        "id uuid videoid jobid taskid requestid renderid projectid generationid executionid project name operation"
    )
)
RECEIPT_NAMES = NUMBER_NAMES | frozenset(
    _words(
        "estimatedtime code timestamp createdat created updatedat message msg title videoname queueposition gatewayrequestid"
    )
)

DURATION_NAMES = ("duration", "videoDuration")  # seconds
SIZE_NAMES = ("size", "fileSize")  # bytes
FORMAT_NAMES = ("format", "outputFormat")
MINUTES_NAMES = ("estimatedTime",)

# The parts of a script.
SCRIPT_NAMES: dict[str, tuple[str, ...]] = {
    "hook": ("hook", "intro", "opening"),
    "body": ("body", "main", "mainContent"),
    "conclusion": ("conclusion", "outro", "closing", "cta", "callToAction"),
}
TEXT_NAMES = ("text", "content", "value")  # where a part is an object
