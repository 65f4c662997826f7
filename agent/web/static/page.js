// What all pages share.

export const element = (id) => document.getElementById(id);
export let words = {};

export function language() {
  const wanted = localStorage.getItem("language") || navigator.language || "en";
  return wanted.startsWith("zh") ? "zh" : "en";
}

// translate puts the language's words in place of the English ones.
export async function translate() {
  const name = language();
  words = await get("/static/lang/" + name + ".json");
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) {
    const text = words[node.dataset.t];
    if (text !== undefined) node.textContent = text;
  }
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", words[node.dataset.tLabel]);
}

export async function get(path) {
  try {
    const answer = await fetch(path, { credentials: "same-origin" });
    return await answer.json();
  } catch (error) {
    return { error: words.disconnected || String(error) };
  }
}

export async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return await answer.json();
  } catch (error) {
    return { error: words.disconnected || String(error) };
  }
}

// The box's clock and the browser's may differ: what is recent is told by the box's.
let ahead = 0; // milliseconds
export function setClock(agentTime) { ahead = new Date(agentTime) - Date.now() || 0; }
export const agentNow = () => (Date.now() + ahead) / 1000;

// within reads a number from a link; what is invalid or out of bounds counts as missing.
export function within(text, low, high, missing) {
  const v = Number(text);
  return text && Number.isFinite(v) && v >= low && v <= high ? v : missing;
}

export const time = (value) => new Date(value).toLocaleTimeString(document.documentElement.lang, { hourCycle: "h23" });
export const dateTime = (value) => new Date(value).toLocaleString(document.documentElement.lang, { hourCycle: "h23" });
// local and fromLocal are the browser's fields for an instant, which hold no zone.
export const local = (t) => new Date(t * 1000 - new Date(t * 1000).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
export const fromLocal = (text) => { const t = new Date(text).getTime() / 1000; return Number.isFinite(t) ? t : null; };
export const seconds = (value) => new Date(value).getTime() / 1000;
export const number = (value, digits = 2) => value === null || value === undefined ? "–" : value.toFixed(digits);

export function length(s) {
  if (s < 120) return Math.round(s) + " " + words.unit_s;
  if (s < 3600) return Math.round(s / 60) + " " + words.unit_min;
  if (s < 172800) return Number((s / 3600).toFixed(1)) + " " + words.unit_h;
  return Number((s / 86400).toFixed(1)) + " " + words.unit_d;
}

// Buttons that change something are grey unless somebody is logged in, and where the page
// has a reason of its own; the group of the button says why.
let login = { user: "", can: true };
export function setLogIn(now) {
  if (login.user === now.user && login.can === now.can_log_in) return;
  login = { user: now.user, can: now.can_log_in };
  gate();
}
export function deny(b, why) { b.dataset.write = why; }
export function gate() {
  const all = login.user ? "" : login.can ? words.log_in_first : words.cannot_log_in;
  for (const group of document.querySelectorAll("[data-gate]")) {
    const why = new Set();
    for (const b of group.querySelectorAll("[data-write]")) {
      b.disabled = Boolean(all || b.dataset.write);
      b.title = all || b.dataset.write;
      if (b.disabled && !b.hidden) why.add(b.title);
    }
    const hint = group.querySelector(".hint"), text = [...why].map((one) => words.grey.replace("{why}", one)).join(" ");
    if (hint.textContent !== text) hint.textContent = text;
    hint.hidden = !text;
  }
}

// facts fills a definition list.
export function facts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

export function row(cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement("td");
    if (cell instanceof Node) td.append(cell); else td.textContent = cell;
    tr.append(td);
  }
  return tr;
}

export function button(text, pressed) {
  const b = document.createElement("button");
  b.type = "button";
  b.textContent = text;
  b.addEventListener("click", pressed);
  return b;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// chart draws lines over time; null where the library is missing.
export function chart(into, series, options = {}) {
  if (!window.uPlot) return null;
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 } };
  const plot = new window.uPlot({
    width: Math.max(into.clientWidth, 240), height: 190, cursor: { y: false, drag: { x: false, y: false } },
    legend: { live: false }, scales: { x: { time: true }, y: options.scale || {} },
    axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map((t) => time(t * 1000)) }, { ...axis, size: 60 }],
    series: [{}, ...series.map((s) => ({ label: s.label, stroke: colour(s.colour), width: 1.5, dash: s.dash, spanGaps: false }))],
    hooks: options.hooks || {},
  }, [[], ...series.map(() => [])], into);
  const sized = new ResizeObserver(() => plot.setSize({ width: Math.max(into.clientWidth, 240), height: 190 }));
  sized.observe(into);
  return { plot, set: (data) => plot.setData(data), destroy: () => { sized.disconnect(); plot.destroy(); into.replaceChildren(); } };
}

// currentData and verdictData turn the agent's points into a chart's columns.
export const currentData = (points) => [points.map((p) => p.t), points.map((p) => p.a), points.map((p) => p.b), points.map((p) => p.c)];
export const verdictData = (verdicts, enter, exit) => [
  verdicts.map((v) => v.t), verdicts.map((v) => v.p), verdicts.map((v) => v.mean), verdicts.map(() => enter), verdicts.map(() => exit)];
export const currentSeries = () => [{ label: "A", colour: "a" }, { label: "B", colour: "b" }, { label: "C", colour: "c" }];
export const verdictSeries = () => [
  { label: "p", colour: "quiet" }, { label: words.mean, colour: "accent" },
  { label: words.enter, colour: "abnormal", dash: [6, 4] }, { label: words.exit, colour: "normal", dash: [2, 4] }];

// headline is the one word for a state: an early warning comes before the state.
export const headline = (s) => !s ? "unknown" : s.level === "suspected" ? "suspected" : s.state;

// shape gives each state a form of its own: colour alone does not tell them apart.
export const shape = {
  off: "M50 10 V50 M25 25 A35 35 0 1 0 75 25",
  warming: "M20 15 H80 L20 85 H80 Z",
  normal: "M15 55 L40 80 L85 22",
  abnormal: "M50 10 L92 86 H8 Z M50 38 V60 M50 73 V74",
  suspected: "M50 6 L94 50 L50 94 L6 50 Z M50 30 V55 M50 69 V70",
  unknown: "M32 35 A18 18 0 1 1 50 53 V66 M50 82 V83",
};
