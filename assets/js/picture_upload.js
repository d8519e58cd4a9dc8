// A file input that uploads the chosen picture. It is scaled down first, since photos exceed the server's limit; a file
// that the browser cannot read is uploaded as it is, and the server returns the error.
import { createElement, useId, useRef, useState } from "react";

const SIDE = 512;
const DEADLINE_MS = 60_000;

export function PictureUpload({ url, label, uploadError, onDone }) {
  const id = useId();
  const input = useRef(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState("");

  const onChange = async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    setError("");
    setBusy(true);
    try {
      const refusal = await upload(url, await scaleDown(file));
      if (refusal) setError(refusal);
      else onDone?.();
    } catch {
      setError(uploadError);
    }
    setBusy(false);
    input.current.value = ""; // so that the same file can be chosen again
  };
  return createElement(
    "div",
    { className: "field" },
    createElement("label", { htmlFor: id }, isBusy ? "Sending…" : label),
    createElement("input", {
      id,
      ref: input,
      type: "file",
      accept: "image/png,image/jpeg,image/webp",
      disabled: isBusy,
      onChange,
      className: "input",
      "aria-describedby": `${id}-error`,
    }),
    createElement("span", { id: `${id}-error`, className: "error", role: "alert" }, error),
  );
}

async function scaleDown(file) {
  try {
    const picture = await createImageBitmap(file);
    const side = Math.min(picture.width, picture.height);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.min(SIDE, side);
    const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
    canvas.getContext("2d").drawImage(picture, left, top, side, side, 0, 0, canvas.width, canvas.height);
    picture.close();
    return (await new Promise((done) => canvas.toBlob(done, "image/png"))) ?? file;
  } catch {
    return file;
  }
}

// Returns why the picture was refused, or an empty string.
async function upload(url, picture) {
  const answer = await fetch(url, {
    method: "PUT",
    body: picture,
    headers: { "Content-Type": picture.type || "application/octet-stream" },
    mode: "same-origin",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  return answer.ok ? "" : (await answer.json()).message;
}
