// "Probe" on the page "Set up": what the meters and the camera in force give, asked beside the watch.
import { element, words, get, post, row, facts, number, dateTime, gate, deny } from "./page.js";

const often = 500, seldom = 5000; // milliseconds between questions, while one runs and otherwise
const shapes = { ok: "●", warn: "▲", fail: "■", skip: "○" };

export function startProbe() {
  let ended = false, timer = null, drawn = "", asked = 0;
  const say = (text) => { if (element("probe-status").textContent !== text) element("probe-status").textContent = text; };

  async function ask() {
    clearTimeout(timer);
    const number = ++asked, status = await get("/api/probe");
    if (ended || number !== asked) return;
    show(status);
    timer = setTimeout(ask, status.running ? often : seldom);
  }

  function show(status) {
    deny(element("probe-start"), status.error || (status.running ? words.probe_runs : ""));
    element("probe-cancel").hidden = !status.running;
    gate();
    if (status.error) { say(status.error); return; }
    const one = status.running || status.last;
    if (!one) { say(words.probe_never); return; }
    const parts = one.parts || [];
    if (status.running) say(words.probe_running.replace("{part}", words["part_" + (parts.length ? "camera" : "meters")]).replace("{by}", one.by));
    else say(words.probe_done.replace("{time}", dateTime(one.began)).replace("{by}", one.by) + (one.fault ? " " + words.probe_ended.replace("{why}", one.fault) : ""));
    draw(parts);
  }

  // draw draws the rows anew only if they have changed: a reader must not lose the place.
  function draw(parts) {
    const now = JSON.stringify(parts);
    if (now === drawn) return;
    drawn = now;
    const rows = parts.flatMap((p) => [...p.findings.map((f) => finding(p.part, f.status, (f.key ? f.key + ": " : "") + f.detail)), ...watch(p)]);
    element("probe-rows").hidden = !rows.length;
    element("probe-rows").tBodies[0].replaceChildren(...rows);
    facts(element("probe-facts"), parts.flatMap((p) => [...readings(p.readings), ...stream(p.stream)]));
    const yaml = parts.map((p) => p.stream && p.stream.yaml).filter(Boolean).join("");
    element("probe-yaml").hidden = !yaml;
    element("probe-yaml").textContent = yaml;
  }

  function finding(part, status, text) {
    const shape = document.createElement("span"), cell = document.createElement("span");
    shape.setAttribute("aria-hidden", "true");
    shape.textContent = (shapes[status] || "") + " ";
    cell.append(shape, words["probe_" + status]);
    return row([cell, words["part_" + part], text]);
  }

  // watch tells what the second connection did to that of the watch.
  function watch(p) {
    if (p.watch === "lost") return [finding(p.part, "warn", words.watch_lost)];
    if (p.watch === "again") return [finding(p.part, "warn", words.watch_again)];
    const all = p.findings.every((f) => f.status === "skip");
    return p.watch === "reads" && !p.answered && !all ? [finding(p.part, "ok", words.watch_reads)] : [];
  }

  function readings(r) {
    if (!r) return [];
    const amps = (v) => number(v, 0) + " " + words.unit_a;
    return [
      [words.currents + " (" + r.meter + ")", [r.current_a, r.current_b, r.current_c].map((v) => number(v, 0)).join(" / ") + " " + words.unit_a],
      [words.set_point, r.set_point ? amps(r.set_point) : words.unknown], [words.verdict, words["verdict_" + r.verdict]],
    ];
  }

  function stream(s) {
    if (!s || !s.video.codec) return [];
    const v = s.video, apart = v.key_frame_s || v.key_frame_at_least_s;
    return [
      [words.codec, [v.codec, v.profile].filter(Boolean).join(" ")],
      [words.size, v.width ? `${v.width} × ${v.height}` : words.unknown],
      [words.rate, v.rate ? number(v.rate) + " " + words.per_second : words.unknown],
      [words.key_frames, apart ? (v.key_frame_s ? "" : "≥ ") + number(apart) + " " + words.unit_s : words.unknown],
      [words.picture, words["sense_" + s.picture] || s.picture],
    ];
  }

  async function act(path) {
    const status = await post(path, {});
    if (ended) return;
    if (status.error) say(status.error); else show(status);
    if (status.running) element("probe-cancel").focus();
    clearTimeout(timer);
    timer = setTimeout(ask, often);
  }
  element("probe-start").onclick = () => act("/api/probe");
  element("probe-cancel").onclick = () => act("/api/probe/cancel");
  ask();
  return { stop() { ended = true; clearTimeout(timer); } };
}
