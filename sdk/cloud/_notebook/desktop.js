// The page of a desktop: noVNC in the whole window, which connects again if the connection breaks.
import RFB from "/novnc-1.7.0/core/rfb.js";

const RETRY_MS = 2000;
const state = document.getElementById("state");

async function connect() {
  const reply = await fetch("/screen");
  if (!reply.ok) {
    throw new Error(await reply.text());
  }
  const screen = await reply.json();
  document.title = `${screen.name} - PiCloud`;
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/screen`;
  const target = document.getElementById("screen");
  const rfb = new RFB(target, url, { credentials: { password: screen.password }, shared: true });
  rfb.scaleViewport = true;
  rfb.addEventListener("connect", () => {
    state.textContent = "";
    rfb.focus();
  });
  rfb.addEventListener("disconnect", retry);
  rfb.addEventListener("clipboard", (event) => {
    navigator.clipboard?.writeText(event.detail.text).catch(() => {});
  });
}

function retry() {
  state.textContent = "The desktop cannot be reached now; it may have ended. Trying again ...";
  setTimeout(() => connect().catch(retry), RETRY_MS);
}

// The token of a URL is a cookie by now, and need not be in the history of the browser.
history.replaceState(null, "", location.pathname);
connect().catch(retry);
