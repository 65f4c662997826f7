// The change on trial, which every page shows, and how a change is proposed.
import { element, words, post, gate, length } from "./page.js";

let shown = 0; // revision of the trial that is shown

// trial shows what is on trial and how long it may still be confirmed, then what became of it.
export function trial(now) {
  const box = element("trial"), c = now.configuration, t = c.trial;
  if (t) {
    if (shown !== t.revision) {
      shown = t.revision;
      element("trial-text").textContent = words.on_trial.replace("{by}", t.by).replace("{revision}", t.revision);
    }
    element("trial-left").textContent = words.trial_left.replace("{length}", length(Math.ceil(t.left_s)));
  } else if (shown) {
    const o = c.outcome && c.outcome.revision === shown ? c.outcome : null;
    element("trial-text").textContent = o && o.status === "applied" ? words.change_kept : words.change_undone + " " + (o ? reasons(o.faults) : "");
    element("trial-left").textContent = "";
    shown = 0;
    setTimeout(() => { if (!shown) box.hidden = true; }, 20000);
  }
  if (t) box.hidden = false;
  for (const name of ["trial-confirm", "trial-undo"]) element(name).hidden = !t;
  gate();
}

export const reasons = (faults) => (faults || []).map((f) => (f.key ? f.key + ": " : "") + f.message).join("; ");

const decide = async (what) => {
  const answer = await post("/api/configuration/" + what, { revision: shown });
  if (answer.error) element("trial-left").textContent = answer.error;
};
element("trial-confirm").onclick = () => decide("confirm");
element("trial-undo").onclick = () => decide("withdraw");

// preview returns what a change would change, and over which configuration.
export const preview = (text) => post("/api/configuration/preview", { text });

// propose puts a change on trial.
export const propose = (text, over) => post("/api/configuration/propose", { text, over });
