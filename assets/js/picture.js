// A choice of a picture that is sent by itself. It is made small here first, since pictures of cameras are over the
// server's limit; a file that this browser cannot read is sent as it is, and the server says what is wrong with it.
import { createElement, useId, useRef, useState } from "react";

const SIDE = 512;
const DEADLINE_MS = 60_000;

export function Picture({ address, label, trouble, onDone }) {
  const id = useId();
  const input = useRef(null);
  const [isBusy, setBusy] = useState(false);
  const [said, say] = useState("");

  const onChange = async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    say("");
    setBusy(true);
    try {
      const refusal = await sent(address, await small(file));
      if (refusal) say(refusal);
      else onDone?.();
    } catch {
      say(trouble);
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
    createElement("span", { id: `${id}-error`, className: "error", role: "alert" }, said),
  );
}

async function small(file) {
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

// Why it was refused; nothing where it was taken.
async function sent(address, picture) {
  const answer = await fetch(address, {
    method: "PUT",
    body: picture,
    headers: { "Content-Type": picture.type || "application/octet-stream" },
    mode: "same-origin",
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  return answer.ok ? "" : (await answer.json()).message;
}
