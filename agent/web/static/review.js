// The page "Review": all alarms of a week, confirmed or rejected together.
import { element, words, get, post, row, dateTime, seconds, length, agentNow } from "./page.js";

const week = 7 * 86400;

export function start(shared) {
  let alarms = [];

  async function load() {
    const to = agentNow() + 60, timeline = await get(`/api/timeline?from=${to - week}&to=${to}`);
    const body = element("alarms").tBodies[0];
    if (timeline.error) { body.replaceChildren(row(["", timeline.error, "", "", ""])); return; }
    const labels = new Map((timeline.labels || []).filter((l) => l.alarm).map((l) => [l.alarm, l]));
    const byID = new Map();
    for (const m of (timeline.marks || []).filter((m) => m.kind === "alarm")) {
      const one = byID.get(m.subject) || { id: m.subject };
      if (m.to === "raised" && !one.from) { one.from = m.at; one.why = m.cause; }
      if (m.to === "cleared") one.to = m.at;
      byID.set(m.subject, one);
    }
    alarms = [...byID.values()].filter((a) => a.from).sort((a, b) => new Date(b.from) - new Date(a.from));
    for (const a of alarms) a.label = labels.get(a.id);
    body.replaceChildren(...alarms.map((a) => {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.setAttribute("aria-label", words.choose + " " + dateTime(a.from));
      a.box = box;
      const link = document.createElement("a");
      link.href = "#back?t=" + Math.round(seconds(a.from)) + "&length=1800";
      link.textContent = dateTime(a.from);
      return row([box, link, a.to ? length(seconds(a.to) - seconds(a.from)) : words.lasting, a.why || "", a.label ? words[a.label.class] + " (" + (a.label.by || "") + ")" : "–"]);
    }));
    if (!alarms.length) body.replaceChildren(row(["", words.no_alarms, "", "", ""]));
  }

  async function say(name) {
    const chosen = alarms.filter((a) => a.box.checked);
    if (!chosen.length) return;
    const kept = await post("/api/labels", chosen.map((a) => ({
      id: a.label ? a.label.id : "", alarm: a.id, class: name, from: a.from,
      to: a.to || new Date(Math.max(agentNow() * 1000, new Date(a.from).getTime() + 1000)),
    })));
    if (kept.error) { element("alarms").tBodies[0].prepend(row(["", kept.error, "", "", ""])); return; }
    load();
  }

  element("all").onclick = () => { for (const a of alarms) a.box.checked = !a.label; };
  for (const b of document.querySelectorAll(".verdict")) b.onclick = () => say(b.dataset.class);
  element("train").textContent = words.train_commands;
  load();
  return { stop() {} };
}
