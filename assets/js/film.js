// A film whose link lasts ``lasts`` seconds only: before that, or when it has died meanwhile, the film goes on over a
// new link, from the same position. The last picture lies over it until the next one is there, so that nothing flashes.
// In a dialog, the arrow keys seek and the space bar plays, wherever the focus is; on the film itself it does so anyway.
import { createElement, useEffect, useRef, useState } from "react";

const STEP_SECONDS = 5;
const EARLY = 0.8; // of its life, a link is replaced
const AGAIN_MS = 5000; // a new link that fails within this time does not help

const UNKNOWN_FORMAT = 3; // of MediaError: it was fetched, and cannot be decoded

export function Film({ src, lasts, trouble, unknown, again, ...rest }) {
  const frame = useRef(null);
  const film = useRef(null);
  const still = useRef(null);
  const renewed = useRef({ times: 0, at: 0 });
  const [isBroken, setBroken] = useState("");

  const renew = () => {
    const video = film.current;
    const { currentTime, paused, ended, playbackRate } = video;
    renewed.current = { times: renewed.current.times + 1, at: Date.now() };
    cover(video, still.current);
    setBroken("");
    video.src = `${src}&renewed=${renewed.current.times}`;
    video.addEventListener(
      "loadedmetadata",
      () => {
        video.playbackRate = playbackRate;
        video.currentTime = currentTime;
        if (!paused && !ended) video.play().catch(() => {});
      },
      { once: true },
    );
  };
  const uncover = () => {
    still.current.hidden = true;
  };
  const fail = () => {
    if (Date.now() - renewed.current.at > AGAIN_MS) renew();
    else setBroken(film.current.error?.code === UNKNOWN_FORMAT ? unknown : trouble);
  };

  useEffect(() => {
    renewed.current = { times: 0, at: Date.now() };
    setBroken("");
    film.current.src = src;
  }, [src]);

  useEffect(() => {
    if (!lasts) return undefined;
    const timer = setInterval(() => {
      if (Date.now() - renewed.current.at >= lasts * 1000 * EARLY) renew();
    }, 1000);
    return () => clearInterval(timer);
  }, [src, lasts]);

  useEffect(() => {
    const dialog = frame.current.closest("dialog");
    const onKey = (event) => steer(event, film.current);
    dialog?.addEventListener("keydown", onKey);
    return () => dialog?.removeEventListener("keydown", onKey);
  }, []);

  return createElement(
    "div",
    { className: "film", ref: frame },
    createElement("video", {
      ...rest,
      ref: film,
      onSeeked: uncover,
      onPlaying: uncover,
      onError: fail,
      onLoadedMetadata: (event) => {
        if (!event.target.videoWidth) setBroken(unknown); // its sound alone can be played
        shape(event.target);
        measure(event.target);
      },
    }),
    createElement("canvas", { ref: still, hidden: true, className: "player", "aria-hidden": "true" }),
    isBroken &&
      createElement(
        "div",
        { className: "film-trouble", role: "alert" },
        createElement("p", {}, isBroken),
        createElement("button", { type: "button", className: "button", onClick: renew }, again),
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

// An upright film in a wide frame would be a stripe on a phone.
function shape(video) {
  const isUpright = video.videoHeight > video.videoWidth;
  video.style.aspectRatio = isUpright ? `${video.videoWidth} / ${video.videoHeight}` : "";
}

// A browser that does not know how long a film is learns it by going to its end.
function measure(video) {
  if (video.duration !== Infinity || video.currentTime) return;
  video.addEventListener("durationchange", () => (video.currentTime = 0), { once: true });
  video.currentTime = Number.MAX_SAFE_INTEGER;
}

function steer(event, video) {
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
