// A video whose link expires after `linkSeconds`. Before that, or when an expired link has failed, playback continues
// with a new link at the same position; a canvas shows the last frame until the next one has loaded, so that nothing
// flashes. In a dialog, the arrow keys seek and the space bar plays, wherever the focus is.
import { createElement, useEffect, useRef, useState } from "react";

const STEP_SECONDS = 5;
const RENEW_AFTER = 0.8; // of a link's lifetime
const RENEWAL_FAILED_MS = 5000; // an error so soon after a renewal is not the link's

const DECODE_ERROR = 3; // MediaError.MEDIA_ERR_DECODE

export function VideoPlayer({ src, linkSeconds, playbackError, unsupported, retryLabel, ...rest }) {
  const container = useRef(null);
  const video = useRef(null);
  const lastFrame = useRef(null);
  const renewed = useRef({ count: 0, at: 0 });
  const [error, setError] = useState("");

  const renew = () => {
    const player = video.current;
    const { currentTime, paused, ended, playbackRate } = player;
    renewed.current = { count: renewed.current.count + 1, at: Date.now() };
    cover(player, lastFrame.current);
    setError("");
    player.src = `${src}&renewed=${renewed.current.count}`;
    player.addEventListener(
      "loadedmetadata",
      () => {
        player.playbackRate = playbackRate;
        player.currentTime = currentTime;
        if (!paused && !ended) player.play().catch(() => {});
      },
      { once: true },
    );
  };
  const uncover = () => {
    lastFrame.current.hidden = true;
  };
  const fail = () => {
    if (Date.now() - renewed.current.at > RENEWAL_FAILED_MS) renew();
    else setError(video.current.error?.code === DECODE_ERROR ? unsupported : playbackError);
  };

  useEffect(() => {
    renewed.current = { count: 0, at: Date.now() };
    setError("");
    video.current.src = src;
  }, [src]);

  useEffect(() => {
    if (!linkSeconds) return undefined;
    const timer = setInterval(() => {
      if (Date.now() - renewed.current.at >= linkSeconds * 1000 * RENEW_AFTER) renew();
    }, 1000);
    return () => clearInterval(timer);
  }, [src, linkSeconds]);

  useEffect(() => {
    const dialog = container.current.closest("dialog");
    const onKey = (event) => onKeyDown(event, video.current);
    dialog?.addEventListener("keydown", onKey);
    return () => dialog?.removeEventListener("keydown", onKey);
  }, []);

  return createElement(
    "div",
    { className: "film", ref: container },
    createElement("video", {
      ...rest,
      ref: video,
      onSeeked: uncover,
      onPlaying: uncover,
      onError: fail,
      onLoadedMetadata: (event) => {
        if (!event.target.videoWidth) setError(unsupported); // only the sound can be played
        setAspectRatio(event.target);
        findDuration(event.target);
      },
    }),
    createElement("canvas", { ref: lastFrame, hidden: true, className: "player", "aria-hidden": "true" }),
    error &&
      createElement(
        "div",
        { className: "film-trouble", role: "alert" },
        createElement("p", {}, error),
        createElement("button", { type: "button", className: "button", onClick: renew }, retryLabel),
      ),
  );
}

function cover(video, canvas) {
  if (!video.videoWidth) return;
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.hidden = false;
}

// In a wide frame, an upright video would be a narrow stripe on a phone.
function setAspectRatio(video) {
  const isUpright = video.videoHeight > video.videoWidth;
  video.style.aspectRatio = isUpright ? `${video.videoWidth} / ${video.videoHeight}` : "";
}

// A browser that does not know the duration finds it by seeking to the end.
function findDuration(video) {
  if (video.duration !== Infinity || video.currentTime) return;
  video.addEventListener("durationchange", () => (video.currentTime = 0), { once: true });
  video.currentTime = Number.MAX_SAFE_INTEGER;
}

function onKeyDown(event, video) {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  const onControl = event.target.closest?.("button, a, input, select, textarea");
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (onControl?.matches("input, select, textarea")) return;
    video.currentTime += event.key === "ArrowLeft" ? -STEP_SECONDS : STEP_SECONDS;
  } else if (event.key === " " && !onControl && event.target !== video) {
    if (video.paused) video.play().catch(() => {});
    else video.pause();
  } else return;
  event.preventDefault();
}
