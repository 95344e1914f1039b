// Keeps a page up to date while nobody works on it. Without it everything still works.
"use strict";

const PAUSE = 3000;
const main = document.querySelector("main[data-live]");
let touched = false;

async function refresh() {
  if (touched || document.hidden || main.contains(document.activeElement)) return;
  // Nobody asks: the session ends as if the page were closed.
  const headers = { "vcc-unattended": "1" };
  const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual", headers });
  if (answer.type === "opaqueredirect") {
    // The session has ended.
    location.reload();
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (fresh && !touched && fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
  document.body.classList.remove("stale");
}

async function watch() {
  try {
    await refresh();
  } catch {
    document.body.classList.add("stale");
  }
  setTimeout(watch, PAUSE);
}

if (main) {
  main.addEventListener("input", () => { touched = true; });
  setTimeout(watch, PAUSE);
}
