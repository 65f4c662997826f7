// The page. It asks the agent for JSON, keeps nothing of its own but the language, and
// draws with uPlot where that is in the build.
import { start as startNow } from "./now.js";
import { start as startBack } from "./back.js";
import { start as startReview } from "./review.js";
import { start as startCompare } from "./compare.js";
import { start as startSetup } from "./setup.js";
import { headline, get, post, element, language, translate, words, setClock, setLogIn } from "./page.js";
import { trial } from "./trial.js";

const pages = { now: startNow, back: startBack, review: startReview, compare: startCompare, setup: startSetup };
const shared = { now: null, listeners: new Set(), user: "" };
let shown = null;

function route() {
  const name = (location.hash.slice(1).split("?")[0]) || "now";
  const page = pages[name] ? name : "now";
  for (const key of Object.keys(pages)) {
    element("page-" + key).hidden = key !== page;
    const link = document.querySelector(`nav a[href="#${key}"]`);
    if (key === page) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (shown) shown.stop();
  shown = pages[page](shared, new URLSearchParams(location.hash.split("?")[1] || ""));
}

// The stream says what is true each second; when it is cut, the page says so, and asks
// again until the agent answers.
function listen() {
  const stream = new EventSource("/api/stream");
  let last = Date.now();
  stream.onmessage = (event) => {
    last = Date.now();
    element("link").hidden = true;
    const message = JSON.parse(event.data);
    shared.now = message.now;
    session(message.now);
    for (const listener of shared.listeners) listener(message);
  };
  const watch = setInterval(() => {
    if (Date.now() - last < 5000) return;
    element("link").hidden = false;
    element("link").textContent = words.disconnected;
    document.title = words.state_unknown + " · " + shared.now.furnace;
    for (const listener of shared.listeners) listener({ now: shared.now, lost: true });
    if (stream.readyState === EventSource.CLOSED || Date.now() - last > 12000) {
      clearInterval(watch);
      stream.close();
      listen();
      ask();
    }
  }, 1000);
}

// ask asks for the log-in if that is why nothing comes.
async function ask() {
  const now = await get("/api/now");
  if (!now.error || now.error === words.disconnected || element("login").open) return;
  element("link").textContent = now.error;
  element("login").showModal();
}

function session(now) {
  setClock(now.time);
  shared.user = now.user;
  const button = element("session");
  button.textContent = now.user ? words.log_out + " (" + now.user + ")" : words.log_in;
  button.disabled = !now.can_log_in;
  button.title = now.can_log_in ? "" : words.cannot_log_in;
  element("session-why").textContent = button.title;
  setLogIn(now);
  trial(now);
  element("place").textContent = now.site + " / " + now.furnace;
  element("version").textContent = "Meltwatch " + now.version;
  document.title = words["state_" + headline(now.state)] + " · " + now.furnace;
}

element("session").addEventListener("click", async () => {
  if (shared.user) {
    await post("/logout", {});
    location.reload();
    return;
  }
  element("login-error").textContent = "";
  element("login").showModal();
});
element("login-cancel").addEventListener("click", () => element("login").close());
element("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const failed = await post("/login", { name: element("login-name").value.trim(), password: element("login-password").value });
  if (failed.error) {
    element("login-error").textContent = failed.error;
    return;
  }
  element("login").close();
  location.reload();
});

element("lang").value = language();
element("lang").addEventListener("change", () => {
  localStorage.setItem("language", element("lang").value);
  location.reload();
});

await translate();
if (!window.uPlot) element("nocharts").hidden = false;
const first = await get("/api/now");
if (first.error) {
  // From another machine nothing is shown before the log-in.
  element("link").hidden = false;
  element("link").textContent = first.error;
  element("login").showModal();
} else {
  shared.now = first;
  session(first);
  window.addEventListener("hashchange", route);
  // The charts take their colours when they are made.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", route);
  route();
  listen();
}
