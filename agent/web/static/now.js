// The page "Now": the state in one word, why, and whether every part works.
import { element, words, facts, row, get, post, number, time, length, seconds, agentNow, headline, gate, deny, chart, currentData, verdictData, currentSeries, verdictSeries, shape } from "./page.js";

const span = 600; // seconds in the charts
const stale = 10; // seconds without a decision after which the state is not known any more

export function start(shared) {
  const charts = { current: chart(element("chart-current"), currentSeries()), p: chart(element("chart-p"), verdictSeries(), { scale: { range: [0, 1] } }) };
  let samples = [], states = [], parts = "", seen = "", shelving = "";

  // A chart's times rise: after the box's clock was put back it begins anew.
  const joined = (old, fresh) => {
    const from = fresh.length && old.length && fresh[0].t < old[old.length - 1].t ? [] : old, oldest = agentNow() - span;
    return [...from, ...fresh].filter((p) => p.t > oldest);
  };
  const listener = (message) => {
    samples = joined(samples, message.samples || []);
    states = joined(states, message.states || []);
    show(message.now, message.lost);
  };

  // Without the agent, or without a decision, only an alarm or a suspicion stays: it may
  // still burn.
  function show(now, lost) {
    const s = now.state, age = s ? agentNow() - seconds(s.time) : 0, old = lost || age > stale;
    const name = ["abnormal", "suspected"].includes(headline(s)) || !old ? headline(s) : "unknown", suspected = name === "suspected";
    const box = element("state");
    box.dataset.state = name;
    element("shape-path").setAttribute("d", shape[name]);
    if (element("word").textContent !== words["state_" + name]) element("word").textContent = words["state_" + name];
    const since = s && (suspected && s.level_since || s.since), kept = s && (s.held || s.level_held);
    element("since").textContent = s ? words.since.replace("{time}", time(since)).replace("{length}", length(Math.max(agentNow() - seconds(since), 0))) + (kept ? " · " + words.held : "") : words.nothing_yet;
    if (suspected) element("since").textContent += " · " + words.state_now.replace("{state}", words["state_" + s.state]);
    if (s && old) element("since").textContent = words.stale.replace("{state}", words["state_" + s.state]).replace("{length}", length(Math.max(age, 0)));
    const held = kept && !old && (name === "abnormal" || suspected);
    element("advice").textContent = words["advice_" + (held ? suspected ? "suspected_held" : "held" : name)];
    unfamiliar(old ? null : s);
    alarm(now);
    if (charts.current) charts.current.set(currentData(samples));
    if (charts.p) charts.p.set(verdictData(states, now.enter, now.exit));
    figures(now);
    table(now);
  }

  // unfamiliar names the senses that the model is not made for, if a state says so.
  function unfamiliar(s) {
    const senses = s && s.unfamiliar ? ["current", "video"].filter((name) => s.unfamiliar[name]).map((name) => words[name]) : [];
    const text = senses.length ? words.unfamiliar.replace("{senses}", senses.join(", ")) : "", box = element("unfamiliar");
    box.hidden = !text;
    if (box.textContent !== text) box.textContent = text; // a screen reader would read it again
  }

  // alarm shows the alarm; while it is over, a suspicion that stands takes its place.
  function alarm(now) {
    const stands = (one) => one && one.phase !== "cleared";
    const early = !stands(now.alarm) && stands(now.suspicion);
    const a = early ? now.suspicion : now.alarm, active = stands(a);
    element("alarm").hidden = !a;
    if (!a) return;
    element("h-alarm").textContent = early ? words.suspicion : words.alarm;
    seen = a.id;
    element("alarm-summary").textContent = a.summary;
    const lines = [[words.raised, time(a.raised)], [words.phase, words["phase_" + a.phase]]];
    if (a.cleared) lines.push([words.phase_cleared, time(a.cleared)]);
    if (a.acknowledged) lines.push([words.acknowledged, a.acknowledged.by + ", " + time(a.acknowledged.at)]);
    if (a.shelved) lines.push([words.shelved, a.shelved.by + ", " + words.until + " " + time(a.shelved.until) + ": " + a.shelved.reason]);
    if (a.agree === false) lines.push([words.place, words.disagree]);
    facts(element("alarm-facts"), lines);
    for (const name of ["ack", "shelve"]) deny(element(name), active ? "" : words.alarm_over);
    gate();
    element("alarm-back").href = "#back?t=" + Math.round(seconds(a.raised)) + "&length=1800";
  }

  function figures(now) {
    const s = now.state;
    if (!s) return;
    const senses = (name) => words["sense_" + s.senses[name]] + ", " + words.coverage + " " + Math.round(100 * s.coverage[name]) + " %";
    const lines = [
      [words.current, senses("current") + (now.newest ? " · " + [now.newest.a, now.newest.b, now.newest.c].map((v) => Math.round(v)).join(" / ") + " " + words.unit_a : "")],
      [words.video, senses("video")],
      s.source === "none" ? [words.undecided, words.undecided_why] : [words.decided_by, words["source_" + s.source] + (s.model.name ? ": " + s.model.name + " " + s.model.version : "")],
      ["p(abnormal)", number(s.p_abnormal) + ", " + words.mean + " " + number(s.p_mean) + " (" + words.enter + " " + number(now.enter, 3) + ", " + words.exit + " " + number(now.exit, 3) + ")"],
    ];
    if (s.p_suspect !== undefined) lines.push([words.suspicion, words.mean + " " + number(s.p_suspect)]);
    if (s.alone) lines.push([words.alone, words.current + " " + number(s.alone.current) + ", " + words.video + " " + number(s.alone.video)]);
    if (s.familiarity) {
      const mean = (name) => s.familiarity_mean && s.familiarity_mean[name] !== null ? " (" + words.mean + " " + number(s.familiarity_mean[name]) + ")" : "";
      lines.push([words.familiarity, ["current", "video"].map((name) => words[name] + " " + number(s.familiarity[name]) + mean(name)).join(", ")]);
    }
    lines.push([words.alignment, number(s.alignment) + (s.clock_offset_s === undefined ? "" : " · " + words.offset + " " + number(s.clock_offset_s, 1) + " " + words.unit_s + (s.clock_confidence ? " (" + words.confidence + " " + Math.round(100 * s.clock_confidence) + " %)" : ""))]);
    facts(element("figures"), lines);
  }

  function table(now) {
    const key = JSON.stringify(Object.entries(now.health).map(([name, p]) => [name, p.status, p.last_error]));
    if (key === parts) return; // a screen reader would read it again
    parts = key;
    element("parts").tBodies[0].replaceChildren(...Object.keys(now.health).sort().map((name) => {
      const p = now.health[name];
      return row([words["part_" + name] || name, words["status_" + p.status] || p.status, p.status === "ok" ? words.nothing : p.last_error || words.wait]);
    }));
  }

  // The next picture is asked for when the last one has arrived: a slow line is not filled.
  const picture = element("live");
  let ended = false, timer;
  const next = () => { if (!ended) timer = setTimeout(() => { picture.src = "/api/view.jpg?evidence=" + (element("drawn").checked ? 1 : 0) + "&t=" + Date.now(); }, 1000); };
  picture.onload = () => { picture.alt = words.picture_now; next(); };
  picture.onerror = () => { picture.alt = words.no_picture; next(); };
  picture.src = "/api/view.jpg?evidence=" + (element("drawn").checked ? 1 : 0) + "&t=" + Date.now();

  element("ack").onclick = async () => { const a = await post("/api/acknowledge", { alarm: seen }); if (a.error) alert(a.error); };
  element("shelve").onclick = () => { shelving = seen; element("shelve-error").textContent = ""; element("shelving").showModal(); };
  element("shelve-cancel").onclick = () => element("shelving").close();
  element("shelve-form").onsubmit = async (event) => {
    event.preventDefault();
    const a = await post("/api/shelve", { alarm: shelving, minutes: Number(element("shelve-minutes").value), reason: element("shelve-reason").value });
    if (a.error) element("shelve-error").textContent = a.error; else element("shelving").close();
  };

  get("/api/live").then((live) => {
    if (live.error || ended) return;
    samples = live.samples || [];
    states = live.states || [];
    if (shared.now) show(shared.now);
  });
  if (shared.now) show(shared.now);
  shared.listeners.add(listener);
  return { stop() {
    ended = true;
    clearTimeout(timer);
    picture.onload = picture.onerror = null;
    shared.listeners.delete(listener);
    for (const c of Object.values(charts)) if (c) c.destroy();
  } };
}
