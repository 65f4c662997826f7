// The page "Review": all alarms of a week, confirmed or rejected together.
import { element, words, get, post, row, dateTime, seconds, length, agentNow, local, fromLocal, gate } from "./page.js";

const week = 7 * 86400;

export function start(shared) {
  let alarms = [];

  async function load() {
    const to = agentNow() + 60, answer = await get(`/api/alarms?from=${to - week}&to=${to}`);
    const body = element("alarms").tBodies[0];
    if (answer.error) { fail(answer.error); return; }
    alarms = answer;
    body.replaceChildren(...alarms.map((a) => {
      a.box = document.createElement("input");
      a.box.type = "checkbox";
      a.box.setAttribute("aria-label", words.choose + " " + dateTime(a.raised));
      const link = document.createElement("a");
      link.href = "#back?t=" + Math.round(seconds(a.raised)) + "&length=1800";
      link.textContent = dateTime(a.raised);
      return row([a.box, link, onset(a), a.cleared ? length(seconds(a.cleared) - seconds(a.raised)) : words.lasting, a.why || "", a.label ? words[a.label.class] + " (" + (a.label.by || "") + ")" : "–"]);
    }));
    if (!alarms.length) fail(words.no_alarms);
    gate();
  }

  const fail = (text) => element("alarms").tBodies[0].prepend(row(["", text, "", "", "", ""]));

  // onset is the field with the onset that a confirmation would label: proposed from the
  // recording, or as it was labelled; a person may change it.
  function onset(a) {
    const cell = document.createElement("div"), said = document.createElement("span");
    a.field = document.createElement("input");
    a.field.type = "datetime-local";
    a.field.step = 1;
    a.field.value = local(seconds(a.onset));
    a.field.setAttribute("aria-label", words.onset + " " + dateTime(a.raised));
    a.exact = a.field.value; // as long as nobody changes it, the fractions of a second count
    const before = seconds(a.raised) - seconds(a.onset);
    said.className = "quiet";
    said.textContent = a.label ? "" : a.found ? words.onset_found.replace("{length}", length(before)) : words.onset_missing;
    cell.append(a.field, said);
    return cell;
  }

  function stretch(a, name) {
    const raised = seconds(a.raised), one = { id: a.label ? a.label.id : "", alarm: a.id, class: name };
    if (a.label && a.label.note) one.note = a.label.note;
    const began = a.field.value === a.exact ? seconds(a.onset) : fromLocal(a.field.value) ?? raised;
    const from = name === "abnormal" ? Math.min(began, raised) : raised;
    if (name === "abnormal") one.onset = new Date(Math.round(began * 1000));
    one.from = new Date(Math.round(from * 1000));
    one.to = a.cleared || new Date(Math.max(agentNow(), from + 1, began) * 1000);
    return one;
  }

  async function say(name) {
    const chosen = alarms.filter((a) => a.box.checked);
    if (!chosen.length) { element("review-said").textContent = words.choose_first; return; }
    const kept = await post("/api/labels", chosen.map((a) => stretch(a, name)));
    element("review-said").textContent = kept.error || words.saved;
    if (!kept.error) load();
  }

  element("all").onclick = () => { for (const a of alarms) a.box.checked = !a.label; };
  for (const b of document.querySelectorAll(".verdict")) b.onclick = () => say(b.dataset.class);
  element("review-said").textContent = "";
  element("train").textContent = words.train_commands;
  load();
  return { stop() {} };
}
