// The page "Models": a candidate against the model in force, on the labelled stretches.
import { element, words, get, post, row, button, dateTime, seconds, length, facts } from "./page.js";

const often = 1000, seldom = 5000; // milliseconds between questions, while one runs and otherwise
const named = (m) => { const sum = m.sha256 || m.id; return [m.name, m.version, sum && `(${sum.slice(0, 8)})`].filter(Boolean).join(" "); };
const inSeconds = (v) => v === null || v === undefined ? "–" : v.toFixed(0) + " s";

export function start(shared) {
  let ended = false, timer = null, ran = false, busy = false, drawn = "";
  const say = (text) => { element("compare-status").textContent = text; };

  async function ask() {
    const status = await get("/api/compare");
    if (ended) return;
    show(status);
    timer = setTimeout(ask, status.running ? often : seldom);
  }

  function show(status) {
    if (status.error) { say(status.error); return; }
    facts(element("compare-force"), [[words.model_in_force, named(status.in_force)]]);
    const running = status.running;
    busy = Boolean(running);
    list(status);
    element("compare-cancel").hidden = !running;
    element("compare-cancel").disabled = !shared.user;
    element("compare-bar").hidden = !running;
    if (running) {
      const share = running.of ? running.done / running.of : 0;
      element("compare-bar").value = share;
      say(words.comparing.replace("{name}", named(running.candidate)).replace("{by}", running.by).replace("{share}", Math.floor(100 * share) + " %"));
    } else if (status.fault) say(words.compare_failed.replace("{why}", status.fault));
    else say("");
    if (ran && !running) result();
    ran = Boolean(running);
  }

  // list draws the candidates anew only if they have changed: a button must not lose the focus.
  function list(status) {
    const now = JSON.stringify([status.candidates, busy, shared.user]);
    if (now === drawn) return;
    drawn = now;
    const body = element("candidates").tBodies[0], candidates = status.candidates || [];
    body.replaceChildren(...candidates.map((c) => {
      const start = button(words.compare_start, () => begin(c.id));
      start.disabled = busy || !shared.user;
      start.title = shared.user ? "" : words.log_in_first;
      start.setAttribute("aria-label", words.compare_start + ": " + named(c));
      return row([named(c), words["origin_" + c.origin], c.fault || start]);
    }));
    if (!candidates.length) body.replaceChildren(row([words.no_candidates, "", ""]));
  }

  async function begin(id) {
    const status = await post("/api/compare", { candidate: id });
    if (!ended) show(status);
    if (!status.error) { clearTimeout(timer); timer = setTimeout(ask, often); }
  }

  async function cancel() {
    const status = await post("/api/compare/cancel", {});
    if (!ended && status.error) say(status.error);
  }

  async function result() {
    const c = await get("/api/comparison");
    if (ended) return;
    element("compare-result").hidden = !c || Boolean(c.error);
    if (!c || c.error) { element("compare-made").textContent = c ? c.error : words.no_comparison; return; }
    element("compare-made").textContent = words.compare_made.replace("{time}", dateTime(c.made)).replace("{first}", named(c.in_force)).replace("{second}", named(c.candidate));
    sums(c);
    differences(c);
    stretches(c);
  }

  function sums(c) {
    const of = (f) => [f(c.in_force_sum), f(c.candidate_sum)];
    element("compare-sums").tBodies[0].replaceChildren(
      row([words.found_stretches, ...of((s) => `${s.found} / ${s.found + s.missed}`)]),
      row([words.delay_from_onset, ...of((s) => `${inSeconds(s.delay_median_s)}, ${inSeconds(s.delay_max_s)}`)]),
      row([words.false_alarms_hour, ...of((s) => s.false_alarms_per_hour === null ? "–" : s.false_alarms_per_hour.toFixed(2))]),
      row([words.seconds_right, ...of((s) => `${(100 * s.right / s.seconds).toFixed(2)} % / ${s.seconds}`)]));
  }

  function link(from, text) {
    const a = document.createElement("a");
    a.href = "#back?t=" + Math.round(seconds(from)) + "&length=1800";
    a.textContent = text;
    return a;
  }

  const more = (n) => n ? [row([words.and_more.replace("{n}", n), "", "", ""])] : [];

  function differences(c) {
    const all = c.differences || [];
    element("compare-differences").tBodies[0].replaceChildren(...all.map((d) => row([
      link(d.from, dateTime(d.from)), length(seconds(d.to) - seconds(d.from)), words[d.class], d.candidate_right ? words.candidate : words.model_in_force,
    ])), ...more(c.differences_left_out));
    if (!all.length) element("compare-differences").tBodies[0].replaceChildren(row([words.no_difference, "", "", ""]));
  }

  function stretches(c) {
    const text = (s, of) => !s.seconds ? words.not_compared
      : s.class === "normal" ? words.false_alarms.replace("{n}", of.false_alarms || 0)
        : !of.found ? words.missed : of.delay_s === undefined ? words.found : words.found_after.replace("{delay}", inSeconds(of.delay_s));
    element("compare-stretches").tBodies[0].replaceChildren(...(c.stretches || []).map((s) => row([
      link(s.from, dateTime(s.from)), words[s.class], text(s, s.in_force), text(s, s.candidate),
    ])), ...more(c.stretches_left_out));
  }

  element("compare-cancel").onclick = cancel;
  ask();
  result();
  return { stop() { ended = true; clearTimeout(timer); } };
}
