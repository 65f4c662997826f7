// The page "Back": the recording under one cursor, and labels.
import { element, words, get, dateTime, seconds, agentNow, within, local, length, gate, chart, currentData, verdictData, currentSeries, verdictSeries } from "./page.js";
import { start as labelling } from "./labels.js";
import { preview, propose } from "./trial.js";

const first = 604800, last = 4102444800; // a week after 1970, and 2100
const detail = 3600; // seconds of which every reading is shown
const svg = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

// suspicions are the stretches between a suspicion's beginning and its end, either of which
// may lie outside the view.
function suspicions(marks) {
  const all = new Map();
  for (const m of marks) {
    if (m.kind !== "suspicion") continue;
    if (!all.has(m.subject)) all.set(m.subject, { from: m.from ? -Infinity : seconds(m.at), to: Infinity, cause: m.cause || "" });
    if (m.to === "cleared") all.get(m.subject).to = seconds(m.at);
  }
  return [...all.values()];
}

export function start(shared, query) {
  // delay is how late the agent takes the picture to be, as it was set.
  function delay() { return shared.now ? shared.now.configuration.delay_s || 0 : 0; }
  const asked = within(query.get("t"), first, last, 0);
  const view = { cursor: asked || agentNow() - 10, length: within(query.get("length"), 600, 604800, 1800), offset: within(query.get("offset"), -10, 10, delay()) };
  if (![...element("length").options].some((o) => Number(o.value) === view.length)) view.length = 1800;
  view.to = asked ? asked + view.length / 2 : agentNow();
  let playing = null, loaded = { minutes: [], states: [], marks: [], labels: [], spans: [] };
  const hooks = { setCursor: [] };
  const charts = {
    current: chart(element("back-current"), currentSeries(), { hooks: { ready: [(u) => clicks(u)], draw: [cursorLine] } }),
    p: chart(element("back-p"), verdictSeries(), { scale: { range: [0, 1] }, hooks: { ready: [(u) => clicks(u)], draw: [cursorLine] } }),
  };

  function clicks(u) { u.over.addEventListener("click", (e) => move(u.posToVal(e.offsetX, "x"))); }
  function cursorLine(u) {
    const x = Math.round(u.valToPos(view.cursor, "x", true));
    if (!(x >= u.bbox.left && x <= u.bbox.left + u.bbox.width)) return;
    u.ctx.save();
    u.ctx.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
    u.ctx.lineWidth = 2;
    u.ctx.setLineDash([]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
    u.ctx.restore();
  }

  let loads = 0, ended = false; // of several answers the newest question's counts
  async function load() {
    const mine = ++loads;
    element("until").value = local(view.to);
    element("length").value = String(view.length);
    const from = view.to - view.length;
    const timeline = await get(`/api/timeline?from=${from}&to=${view.to}`);
    if (ended || mine !== loads) return;
    if (timeline.error) { element("cursor-time").textContent = timeline.error; return; }
    loaded = Object.fromEntries(Object.entries(timeline).map(([key, value]) => [key, value || []]));
    draw();
    form.list(loaded.labels);
    if (view.length > detail) {
      const minutes = loaded.minutes.map((m) => ({ t: seconds(m.at), p: m.p, mean: m.p, a: m.amperes, b: m.amperes, c: m.amperes }));
      fill(minutes, minutes);
    } else {
      const exact = await get(`/api/samples?from=${from}&to=${view.to}`);
      if (ended || mine !== loads) return;
      if (!exact.error) fill(exact.samples || [], exact.states || []);
    }
    move(view.cursor);
  }

  function fill(samples, states) {
    const now = shared.now || { enter: null, exit: null };
    if (charts.current) charts.current.set(currentData(samples));
    if (charts.p) charts.p.set(verdictData(states, now.enter, now.exit));
  }

  // draw draws the timeline: recorded stretches, states, alarms and faults, labels.
  function draw() {
    const box = element("timeline"), from = view.to - view.length;
    const x = (t) => 1000 * (t - from) / view.length;
    const picture = svg("svg", { viewBox: "0 0 1000 68", preserveAspectRatio: "none", "aria-hidden": "true" });
    const rect = (a, b, y, height, fill, title) => {
      const r = svg("rect", { x: Math.max(x(a), 0), y, width: Math.max(Math.min(x(b), 1000) - Math.max(x(a), 0), 2), height, fill });
      const text = svg("title", {});
      text.textContent = title;
      r.append(text);
      picture.append(r);
    };
    for (const s of loaded.spans) rect(seconds(s.from), seconds(s.to), 0, 68, "rgba(128,128,128,.15)", words.recorded);
    const states = loaded.states.map((s) => ({ t: seconds(s.at), state: s.state })).sort((a, b) => a.t - b.t);
    // A state is known while it is recorded, not across a gap.
    const spans = loaded.spans.map((s) => ({ from: seconds(s.from), to: seconds(s.to) }));
    states.forEach((s, i) => {
      const known = Math.max(s.t, ...spans.filter((one) => one.from <= s.t + 1 && one.to >= s.t).map((one) => one.to));
      const end = Math.min(i + 1 < states.length ? states[i + 1].t : view.to, known + 1);
      if (end < from || s.t > view.to) return;
      rect(s.t, end, s.state === "abnormal" ? 14 : 24, s.state === "abnormal" ? 30 : 20, `var(--${s.state})`, words["state_" + s.state]);
    });
    for (const one of suspicions(loaded.marks)) {
      if (one.to < from || one.from > view.to) continue;
      rect(one.from, Math.min(one.to, view.to), 46, 5, "var(--suspected)", words.state_suspected + " " + one.cause);
    }
    for (const m of loaded.marks) {
      const alarm = m.kind === "alarm", early = m.kind === "suspicion", fault = m.kind === "sense" && m.to !== "ok";
      if (alarm || early || fault || m.kind === "mark") rect(seconds(m.at), seconds(m.at), 2, 10, alarm ? "var(--abnormal)" : early ? "var(--suspected)" : fault ? "var(--warming)" : "var(--accent)", m.kind + " " + (m.cause || m.to));
    }
    for (const l of loaded.labels) rect(seconds(l.from), seconds(l.to), 52, 12, l.class === "abnormal" ? "var(--abnormal)" : l.class === "normal" ? "var(--normal)" : "var(--quiet)", words[l.class]);
    for (const [name, t] of form.handles()) {
      if (t < from || t > view.to) continue;
      picture.append(svg("line", { class: "handle", "data-handle": name, x1: x(t), x2: x(t), y1: name === "onset" ? 8 : 40, y2: 68, stroke: name === "onset" ? "var(--abnormal)" : "var(--accent)", "stroke-width": 5, "vector-effect": "non-scaling-stroke" }));
    }
    picture.append(svg("line", { id: "timeline-cursor", x1: x(view.cursor), x2: x(view.cursor), y1: 0, y2: 68, stroke: "var(--ink)", "stroke-width": 3, "vector-effect": "non-scaling-stroke" }));
    box.replaceChildren(picture);
  }

  // move moves the cursor; pictures are shown at the cursor plus the offset between the
  // senses, so that both show the same instant of the furnace.
  let asking = false, wanted = null;
  function move(t) {
    if (!Number.isFinite(t)) return;
    view.cursor = Math.min(t, agentNow());
    if (view.cursor > view.to || view.cursor < view.to - view.length) {
      view.to = view.cursor + view.length / 2;
      load();
      return;
    }
    const box = element("timeline"), line = element("timeline-cursor");
    const share = (view.cursor - view.to + view.length) / view.length;
    if (line) for (const end of ["x1", "x2"]) line.setAttribute(end, 1000 * share);
    box.setAttribute("aria-valuenow", Math.round(100 * share));
    box.setAttribute("aria-valuetext", dateTime(view.cursor * 1000));
    element("cursor-time").textContent = dateTime(view.cursor * 1000);
    for (const c of Object.values(charts)) if (c) c.plot.redraw(false);
    const address = `t=${view.cursor.toFixed(1)}&length=${view.length}&offset=${view.offset}`;
    element("share").href = "#back?" + address;
    element("clip").href = `/api/clip.tar?from=${(view.cursor - 60).toFixed(1)}&to=${(view.cursor + 60).toFixed(1)}`;
    pictures(view.cursor + view.offset);
  }

  function pictures(t) {
    wanted = t;
    if (asking) return;
    asking = true;
    const image = element("then"), at = wanted;
    const done = (text) => {
      asking = false;
      element("then-caption").textContent = text;
      image.alt = text;
      element("then-crop").alt = words.crop;
      if (wanted !== at) pictures(wanted);
    };
    image.onload = () => done(words.picture_of.replace("{time}", dateTime(at * 1000)));
    image.onerror = () => done(words.no_picture);
    image.src = "/api/picture?kind=view&at=" + at.toFixed(2);
    element("then-crop").src = "/api/picture?kind=crop&at=" + at.toFixed(2);
  }

  function play() {
    if (playing) { clearInterval(playing); playing = null; element("play").textContent = words.play; return; }
    element("play").textContent = words.pause;
    playing = setInterval(() => move(view.cursor + Number(element("speed").value) * 0.25), 250);
  }

  // use gives the offset to the agent, as a change on trial.
  async function use() {
    const text = `camera: {delay: ${Math.round(1000 * view.offset)}ms}`, seen = await preview(text);
    const answer = seen.error ? seen : await propose(text, seen.over);
    element("offset-said").textContent = answer.error || "";
    if (!answer.error) element("trial-confirm").focus();
  }

  const keys = {
    ArrowLeft: (e) => move(view.cursor - (e.shiftKey ? 60 : 1)), ArrowRight: (e) => move(view.cursor + (e.shiftKey ? 60 : 1)),
    " ": play, "[": () => form.set("from", view.cursor), "]": () => form.set("to", view.cursor), o: () => form.set("onset", view.cursor),
    a: () => form.choose("abnormal"), n: () => form.choose("normal"), d: () => form.choose("doubtful"),
    Enter: () => form.save(),
  };
  const pressed = (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|SELECT|BUTTON|A|TEXTAREA)$/.test(e.target.tagName)) return;
    const act = keys[e.key];
    if (!act) return;
    e.preventDefault();
    act(e);
  };
  document.addEventListener("keydown", pressed);

  const box = element("timeline"), form = labelling(view, { changed: draw, saved: load, move });
  const perPixel = () => view.length / box.clientWidth;
  const under = (e) => view.to - view.length + perPixel() * (e.clientX - box.getBoundingClientRect().left);
  box.onpointerdown = (e) => { if (!form.grab(under(e), perPixel())) move(under(e)); };
  box.onpointermove = (e) => { if (e.buttons & 1 && !form.drag(under(e))) move(under(e)); };
  box.onpointerup = box.onpointercancel = () => form.release();
  box.ondblclick = (e) => {
    const t = under(e), one = loaded.labels.find((l) => seconds(l.from) <= t && t <= seconds(l.to));
    if (one) form.edit(one);
  };
  element("range").onsubmit = (e) => { e.preventDefault(); view.length = Number(element("length").value); view.to = within(new Date(element("until").value).getTime() / 1000, first, last, view.to); view.cursor = Math.min(view.cursor, view.to); load(); };
  element("earlier").onclick = () => { view.to = Math.max(view.to - view.length, first); view.cursor = Math.max(view.cursor - view.length, view.to - view.length); load(); };
  element("later").onclick = () => { view.to = Math.min(view.to + view.length, agentNow()); view.cursor = Math.min(view.cursor + view.length, view.to); load(); };
  element("step-back").onclick = () => move(view.cursor - 1);
  element("step-on").onclick = () => move(view.cursor + 1);
  element("play").onclick = play;
  element("offset").value = view.offset;
  const told = () => { element("offset-out").textContent = view.offset.toFixed(1) + " " + words.unit_s; };
  element("offset").oninput = () => { view.offset = Number(element("offset").value); told(); move(view.cursor); };
  told();
  element("offset-said").textContent = delay() ? words.offset_set.replace("{offset}", delay().toFixed(1)) : "";
  element("offset-use").onclick = use;
  for (const o of element("length").options) o.textContent = length(Number(o.value));
  load();
  gate();
  return { stop() {
    ended = true;
    if (playing) clearInterval(playing);
    document.removeEventListener("keydown", pressed);
    for (const c of Object.values(charts)) if (c) c.destroy();
  } };
}
