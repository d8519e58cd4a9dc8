"""What the reader knows: the names and words that generators use. Extend these tables to connect another generator.

Names are compared without case, ``_`` and ``-``: ``video_url``, ``videoURL`` and ``Video-Url`` are one name.
"""

from typing import Literal

State = Literal["ready", "processing", "failed", "rejected"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Where the finished video's address stands, the surest name first.
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
# Where any address may stand: of these, one that ends like a video comes first.
ADDRESS_NAMES = ("url", "uri", "output", "result", "file", "link", "src", "href")
# Where a generator can be asked how far it is.
STATUS_ADDRESS_NAMES = ("statusUrl", "urls.get")
# Where the outcome of a finished render can be asked for, if the answer that says so does not hold it.
RESPONSE_ADDRESS_NAMES = ("responseUrl",)

# Objects and lists that only hold the answer: an address inside one stands as high as one beside it.
WRAPPERS = _words(
    "data body json output outputs result results response payload eventData movie message content video videos "
    "item items task job render generation"
)

# An address under a name with one of these words is something beside the video.
BESIDE_THE_VIDEO = frozenset(
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
# The same, for the name of the address itself and not for what it stands in.
OTHER_ADDRESSES = BESIDE_THE_VIDEO | frozenset(
    _words(
        "page share hosted embed player dashboard edit editor view viewer watch web html docs documentation help home "
        "site website project profile account billing terms status cancel poll get self next previous endpoint upload "
        "api response report referer log logs"
    )
)
# What an object may say of the kind of file that its address leads to.
KIND_NAMES = ("contentType", "mimeType", "mime", "type", "kind")

VIDEO_ENDINGS = frozenset(_words("mp4 m4v mov webm mkv avi mpg mpeg ogv wmv 3gp"))
OTHER_ENDINGS = frozenset(
    _words(
        "jpg jpeg png gif webp avif svg bmp tif tiff heic ico mp3 wav m4a aac ogg oga opus flac wma srt vtt ass ssa sbv ttml "
        "txt md csv m3u8 mpd ism f4m ts html htm json xml pdf zip"
    )
)
# Parts of paths that lead to a page about the video.
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
# Words as they are, in any case, with ``_`` for blanks and hyphens; also as the end of an event's name.
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
# Said of the call as often as of the video: without an address the order is taken, not finished.
POLITE = frozenset(("ok", "success", "successful"))
NEGATIONS = frozenset(_words("not no partially partial"))
# True and false of these names: taken or failed, and finished or under way.
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
# An answer of nothing but these says that the order was taken and under which number.
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
