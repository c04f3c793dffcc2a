// What the page says of itself: banners that stay, and sentences for screen readers.
import { ask } from "./api.js";
import { $, el } from "./dom.js";
import { t } from "./texts.js";

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;
const banners = new Map();

/** content: a list of nodes or sentences; null takes the banner away. */
export function banner(name, content) {
  const text = content?.map((each) => each.textContent ?? each).join(" ") ?? "";
  const shown = banners.get(name);
  if ((shown?.text ?? "") === text) return;
  shown?.element.remove();
  banners.delete(name);
  if (!content) return;
  const element = el("p", { class: "banner" });
  for (const each of content) element.append(each, " ");
  $("banners").append(element);
  banners.set(name, { element, text });
}

export function announce(text) {
  $("announcer").textContent = text;
}

/** keep: there is something here that a new page would lose. */
export function sessionOver(keep) {
  const link = el("a", { href: "/login?next=/", text: t("session.sign_in") });
  if (keep) Object.assign(link, { target: "_blank", rel: "noopener" });
  banner("session", [t("session.over"), link, ...(keep ? [t("session.kept")] : [])]);
}

export function sessionBack() {
  banner("session", null);
}

/** Like work(), but a lost connection is told and waited for, with growing pauses. */
export async function patiently(work, signal) {
  for (let pause = FIRST_MS; ; pause = Math.min(2 * pause, LONGEST_MS)) {
    try {
      const found = await work();
      banner("connection", null);
      return found;
    } catch (error) {
      if (!error.transient) {
        if (error.code) banner("connection", null); // there was an answer
        throw error;
      }
      banner("connection", [t("connection.lost")]);
      await rest(pause, signal);
      if (signal?.aborted) throw error;
    }
  }
}

/** Until the studio can be reached again. */
export const reachable = (signal) => patiently(() => ask("GET", "/me"), signal);

function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      removeEventListener("online", over);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    addEventListener("online", over);
    signal?.addEventListener("abort", over);
  });
}
