// All furnaces that the broker knows, alarms first. Nothing is kept.
const element = (id) => document.getElementById(id);
const shapes = { off: "⏻", warming: "⧗", normal: "✓", abnormal: "⚠", unknown: "?" };
let shown = null, newest = [];

function length(since) {
  const s = (Date.now() - new Date(since)) / 1000;
  return s < 120 ? Math.max(Math.round(s), 0) + " s" : s < 7200 ? Math.round(s / 60) + " min" : (s / 3600).toFixed(1) + " h";
}

function draw(view) {
  element("fault").hidden = !view.fault;
  element("fault").textContent = view.fault ? "The broker does not answer, so this may be old: " + view.fault : "";
  newest = view.furnaces;
  const alarms = newest.filter((f) => f.rank <= 1).length, ill = newest.filter((f) => f.rank === 2 || f.rank === 3).length;
  const summary = `${newest.length} furnaces, ${alarms} abnormal, ${ill} unknown or with a fault`;
  if (element("summary").textContent !== summary) element("summary").textContent = summary;
  const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.agent : null;
  element("furnaces").replaceChildren(...newest.map((f) => {
    const name = f.online && f.state ? f.state.state : "unknown", b = document.createElement("button");
    b.type = "button";
    b.dataset.agent = f.agent;
    b.dataset.state = f.state && f.state.state === "abnormal" ? "abnormal" : name; // an alarm of a box that is away stays one
    if (!f.online) b.dataset.offline = "1";
    const agent = document.createElement("span"), word = document.createElement("strong"), more = document.createElement("span");
    agent.textContent = f.agent;
    word.textContent = (shapes[b.dataset.state] || "?") + " " + b.dataset.state.toUpperCase();
    const parts = [];
    if (f.state && f.state.since) parts.push("since " + length(f.state.since));
    if (f.state && f.state.held) parts.push("held");
    if (!f.online) parts.push("offline");
    if (f.alarm && f.alarm.phase !== "cleared") parts.push(f.alarm.phase);
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
  element("detail-summary").textContent = f.alarm ? f.alarm.summary || "" : "No alarm yet.";
  const s = f.state || {}, lines = [["state", s.state || "?"], ["availability", f.online ? "online" : "offline"]];
  if (s.senses) lines.push(["current", s.senses.current], ["video", s.senses.video]);
  if (s.p_mean !== undefined) lines.push(["p(abnormal), mean", Number(s.p_mean).toFixed(2) + " by " + s.source]);
  if (s.model) lines.push(["model", s.model.name + " " + s.model.version]);
  if (f.alarm) lines.push(["alarm", f.alarm.phase + ", raised " + new Date(f.alarm.raised).toLocaleString()]);
  if (f.alarm && f.alarm.acknowledged) lines.push(["acknowledged", f.alarm.acknowledged.by]);
  if (f.alarm && f.alarm.shelved) lines.push(["shelved", f.alarm.shelved.by + ": " + f.alarm.shelved.reason]);
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
