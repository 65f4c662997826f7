// All furnaces that the broker knows, alarms first. Nothing is kept.
const element = (id) => document.getElementById(id);
const shapes = { off: "⏻", warming: "⧗", normal: "✓", abnormal: "⚠", suspected: "◆", unknown: "?" };
let shown = null, newest = [];

function length(since) {
  const s = (Date.now() - new Date(since)) / 1000;
  return s < 120 ? Math.max(Math.round(s), 0) + " s" : s < 7200 ? Math.round(s / 60) + " min" : (s / 3600).toFixed(1) + " h";
}

const suspicious = (f) => Boolean(f.state) && f.state.level === "suspected";
// standing is the alarm that is not over, or else the suspicion; null without one.
const standing = (f) => [f.alarm, f.suspicion].find((a) => a && a.phase && a.phase !== "cleared") || null;

function draw(view) {
  const none = !view.fault && view.furnaces.length === 0;
  element("fault").hidden = !view.fault && !none;
  element("fault").textContent = view.fault ? "The broker does not answer, so this may be old: " + view.fault
    : none ? "No retained message was found: no box has been connected yet, or the right to read meltwatch/# is missing (mosquitto reports no error for that)." : "";
  newest = view.furnaces;
  const alarms = newest.filter((f) => f.rank <= 1).length, ill = newest.filter((f) => f.rank === 3 || f.rank === 4).length;
  const suspected = newest.filter(suspicious).length;
  const summary = `${newest.length} furnaces, ${alarms} abnormal, ${suspected ? suspected + " suspected, " : ""}${ill} unknown or with a fault`;
  if (element("summary").textContent !== summary) element("summary").textContent = summary;
  const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.agent : null;
  element("furnaces").replaceChildren(...newest.map((f) => {
    const name = f.online && f.state ? f.state.state : "unknown", b = document.createElement("button");
    b.type = "button";
    b.dataset.agent = f.agent;
    // An alarm or a suspicion of a box that is away stays one.
    b.dataset.state = f.state && f.state.state === "abnormal" ? "abnormal" : suspicious(f) ? "suspected" : name;
    if (!f.online) b.dataset.offline = "1";
    const agent = document.createElement("span"), word = document.createElement("strong"), more = document.createElement("span");
    agent.textContent = f.agent;
    word.textContent = (shapes[b.dataset.state] || "?") + " " + b.dataset.state.toUpperCase();
    const parts = [];
    const since = f.state && (suspicious(f) && f.state.level_since || f.state.since);
    if (since) parts.push("since " + length(since));
    if (f.state && (f.state.held || f.state.level_held)) parts.push("held");
    if (suspicious(f)) parts.push("go and look", "state " + name);
    if (!f.online) parts.push("offline");
    const stands = standing(f);
    if (stands) parts.push(stands.phase);
    const faults = Object.entries((f.health && f.health.parts) || {}).filter(([, p]) => p.status === "fault").map(([n]) => n);
    if (faults.length) parts.push("fault: " + faults.join(", "));
    more.textContent = parts.join(" · ");
    b.append(agent, word, more);
    b.addEventListener("click", () => detail(f.agent));
    return b;
  }));
  if (focus) { const b = document.querySelector(`[data-agent="${CSS.escape(focus)}"]`); if (b) b.focus(); }
  if (shown) detail(shown);
}

function detail(agent) {
  const f = newest.find((one) => one.agent === agent);
  if (!f) return;
  shown = agent;
  element("detail-name").textContent = agent;
  const told = standing(f) || f.alarm;
  element("detail-summary").textContent = told ? told.summary || "" : "No alarm yet.";
  const s = f.state || {}, lines = [["state", s.state || "?"], ["availability", f.online ? "online" : "offline"]];
  if (s.senses) lines.push(["current", s.senses.current], ["video", s.senses.video]);
  if (s.p_mean !== undefined) lines.push(["p(abnormal), mean", Number(s.p_mean).toFixed(2) + " by " + s.source]);
  if (s.model) lines.push(["model", s.model.name + " " + s.model.version]);
  for (const [name, a] of [["alarm", f.alarm], ["suspicion", f.suspicion]]) {
    if (!a) continue;
    lines.push([name, a.phase + ", raised " + new Date(a.raised).toLocaleString()]);
    if (a.acknowledged) lines.push(["acknowledged", a.acknowledged.by]);
    if (a.shelved) lines.push(["shelved", a.shelved.by + ": " + a.shelved.reason]);
  }
  for (const [name, p] of Object.entries((f.health && f.health.parts) || {})) if (p.status !== "ok") lines.push([name, p.status + ": " + (p.last_error || "")]);
  if (f.health) lines.push(["agent", f.health.agent]);
  element("detail-facts").replaceChildren(...lines.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  if (!element("detail").open) element("detail").showModal();
}
element("detail").addEventListener("close", () => { shown = null; });

function listen() {
  const stream = new EventSource("/api/stream");
  let last = Date.now();
  stream.onmessage = (event) => { last = Date.now(); draw(JSON.parse(event.data)); };
  const watch = setInterval(() => {
    if (Date.now() - last < 15000) return;
    element("fault").hidden = false;
    element("fault").textContent = "meltctl dash does not answer. The page tries again by itself; what it shows is old.";
    clearInterval(watch);
    stream.close();
    setTimeout(listen, 2000);
  }, 1000);
}
listen();
