// The page "Set up": the crop on the live picture, and changes of the configuration.
import { element, words, get, row, gate, deny } from "./page.js";
import { preview, propose, reasons } from "./trial.js";
import { startProbe } from "./probe.js";

export function start(shared) {
  const box = element("crop-box"), image = element("crop-picture"), frame = element("crop-rect");
  const set = shared.now ? shared.now.crop : {};
  const size = { width: set.picture_width || 1280, height: set.picture_height || 720 };
  const crop = set.width ? { x: set.x, y: set.y, width: set.width, height: set.height } : { x: 0, y: 0, width: size.width, height: size.height };

  function show() {
    crop.width = Math.round(Math.min(Math.max(crop.width, 16), size.width));
    crop.height = Math.round(Math.min(Math.max(crop.height, 16), size.height));
    crop.x = Math.round(Math.min(Math.max(crop.x, 0), size.width - crop.width));
    crop.y = Math.round(Math.min(Math.max(crop.y, 0), size.height - crop.height));
    const share = (v, whole) => 100 * v / whole + "%"; // also after the window was resized
    Object.assign(frame.style, { left: share(crop.x, size.width), top: share(crop.y, size.height), width: share(crop.width, size.width), height: share(crop.height, size.height) });
    element("crop-yaml").textContent = `camera:\n  crop: {x: ${crop.x}, y: ${crop.y}, width: ${crop.width}, height: ${crop.height}}`;
  }

  let from = null;
  const at = (e) => ({ x: e.offsetX * size.width / image.clientWidth, y: e.offsetY * size.height / image.clientHeight });
  image.draggable = false;
  box.onpointerdown = (e) => { from = at(e); box.setPointerCapture(e.pointerId); e.preventDefault(); box.focus(); };
  box.onpointermove = (e) => {
    if (!from) return;
    const to = at(e);
    Object.assign(crop, { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: Math.abs(to.x - from.x), height: Math.abs(to.y - from.y) });
    show();
  };
  box.onpointerup = () => { from = null; };
  box.onkeydown = (e) => {
    const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[e.key];
    if (!step) return;
    e.preventDefault();
    if (e.shiftKey) { crop.width += step[0]; crop.height += step[1]; } else { crop.x += step[0]; crop.y += step[1]; }
    show();
  };
  image.onload = () => { image.alt = words.picture_now; show(); };
  image.onerror = () => { image.alt = words.no_picture; };
  image.src = "/api/view.jpg?evidence=0&t=" + Date.now();
  show();

  // A change is tried only after its difference was seen, and over that configuration.
  const text = element("change-text"), trying = element("change-try");
  let over = "", loaded = null, closed = "";
  const unseen = () => {
    over = "";
    element("change-diff").hidden = true;
    element("change-error").textContent = "";
    ready();
  };
  function ready() {
    const busy = shared.now && shared.now.configuration.trial ? words.trial_runs : "";
    for (const name of ["change-preview", "crop-take"]) deny(element(name), closed);
    deny(trying, closed || busy || (over ? "" : words.difference_first));
    gate();
  }
  async function difference() {
    const wanted = text.value, seen = await preview(wanted);
    if (wanted !== text.value) return;
    unseen();
    element("change-error").textContent = seen.error || "";
    if (seen.error) return;
    over = seen.differences.length ? seen.over : "";
    element("change-diff").hidden = false;
    element("change-diff").tBodies[0].replaceChildren(...seen.differences.map((d) => row([d.key, d.before || "–", d.after || "–"])));
    ready();
    if (!trying.disabled) trying.focus();
  }
  text.oninput = unseen;
  element("crop-take").onclick = () => { text.value = element("crop-yaml").textContent + "\n"; difference(); };
  element("change-form").onsubmit = (e) => { e.preventDefault(); difference(); };
  trying.onclick = async () => {
    const answer = await propose(text.value, over);
    element("change-error").textContent = answer.error || "";
    if (answer.error) return;
    unseen();
    element("trial-confirm").focus();
  };

  async function configuration() {
    const c = await get("/api/configuration");
    if (c.error) { element("config").textContent = c.error; return; }
    element("config").textContent = c.text;
    const source = words["from_" + c.from] + (c.from === "page" && c.by ? " (" + c.by + ")" : "");
    element("config-head").textContent = c.revision ? words.revision.replace("{revision}", c.revision).replace("{source}", source) : words.from_file;
    closed = reasons(c.closed);
    ready();
  }
  const listener = ({ now }) => {
    const c = now.configuration, state = c.sha256 + (c.trial ? c.trial.revision : "");
    if (state === loaded) return;
    if (loaded !== null) unseen();
    loaded = state;
    configuration();
  };
  shared.listeners.add(listener);
  unseen();
  if (shared.now) listener(shared);
  const probe = startProbe();
  return { stop() { probe.stop(); shared.listeners.delete(listener); image.onload = image.onerror = null; } };
}
