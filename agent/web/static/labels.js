// The form of "Back" that labels a stretch, or changes a label: by cursor, by its fields, or
// by its handles on the timeline.
import { element, words, post, row, button, dateTime, seconds, local, fromLocal, gate } from "./page.js";

const names = ["from", "onset", "to"];
const grasp = 10; // pixels to both sides of a handle

// start returns the form over a view with a cursor. changed is called when a stretch is to
// be drawn again, saved when the journal has changed.
export function start(view, { changed, saved, move }) {
  const empty = () => ({ id: "", alarm: "", from: null, to: null, onset: null });
  let label = empty(), dragged = null;

  function set(name, t) {
    label[name] = t;
    element("label-" + name).value = t === null ? "" : local(t);
    changed();
  }

  function reset(to = empty(), chosen = "abnormal", note = "") {
    label = to;
    for (const name of names) element("label-" + name).value = label[name] === null ? "" : local(label[name]);
    element("label-class").value = chosen;
    element("label-note").value = note;
    element("label-editing").textContent = label.id ? words.editing.replace("{time}", dateTime(label.from * 1000)) : words.label;
    element("label-cancel").hidden = !label.id;
    changed();
  }

  function edit(l) {
    const onset = l.onset ? seconds(l.onset) : null;
    reset({ id: l.id, alarm: l.alarm || "", from: seconds(l.from), to: seconds(l.to), onset }, l.class, l.note || "");
    move(onset === null ? seconds(l.from) : onset);
    element("timeline").focus();
  }

  async function put(list) {
    const kept = await post("/api/labels", list);
    element("label-said").textContent = kept.error || words.saved;
    if (!kept.error) saved();
    return !kept.error;
  }

  const stamp = (t) => new Date(Math.round(t * 1000));
  async function save(event) {
    if (event) event.preventDefault();
    const submit = element("label-save");
    if (submit.disabled) { element("label-said").textContent = submit.title; return; }
    if (label.id && (label.from === null || label.to === null)) { element("label-said").textContent = words.stretch_missing; return; }
    const chosen = element("label-class").value, from = label.from ?? view.cursor;
    const stretch = { id: label.id, alarm: label.alarm, class: chosen, from: stamp(from), to: stamp(label.to ?? Math.max(view.cursor, from) + 1), note: element("label-note").value };
    if (chosen === "abnormal" && label.onset !== null) stretch.onset = stamp(label.onset);
    if (await put([stretch])) reset(empty(), chosen);
  }

  async function remove(l) {
    if (await put([{ ...l, removed: true }]) && label.id === l.id) reset();
  }

  function list(labels) {
    element("labels").tBodies[0].replaceChildren(...labels.map((l) => {
      const buttons = document.createElement("span"), about = dateTime(l.from);
      buttons.className = "buttons";
      for (const [name, act] of [[words.edit, () => edit(l)], [words.remove, () => remove(l)]]) {
        const b = button(name, act);
        b.dataset.write = "";
        b.setAttribute("aria-label", name + " " + about);
        buttons.append(b);
      }
      return row([about, l.onset ? dateTime(l.onset) : "", dateTime(l.to), words[l.class], l.by || "", l.note || "", buttons]);
    }));
    gate();
  }

  // near is the handle that a pointer is over.
  function near(t, perPixel) {
    const away = (name) => label[name] === null ? Infinity : Math.abs(label[name] - t) / perPixel;
    const best = names.reduce((a, b) => away(b) < away(a) ? b : a);
    return away(best) <= grasp ? best : null;
  }

  for (const name of names) {
    element("set-" + name).onclick = () => set(name, view.cursor);
    element("label-" + name).oninput = (e) => { label[name] = fromLocal(e.target.value); changed(); };
  }
  element("label-form").onsubmit = save;
  element("label-cancel").onclick = () => { reset(); element("timeline").focus(); };
  element("label-said").textContent = "";
  element("label-editing").textContent = words.label;
  for (const name of names) element("label-" + name).value = "";
  element("label-cancel").hidden = true;

  return {
    list, edit, save, set,
    handles: () => names.filter((name) => label[name] !== null).map((name) => [name, label[name]]),
    grab(t, perPixel) { dragged = near(t, perPixel); return dragged !== null; },
    drag(t) { if (dragged) set(dragged, t); return dragged !== null; },
    release() { dragged = null; },
    choose(name) { element("label-class").value = name; },
  };
}
