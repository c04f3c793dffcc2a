// From files to jobs: two at a time, nothing twice, nothing lost.
import { ask, upload } from "./api.js";
import { patiently, reachable } from "./telling.js";

const LINES = 2;
// After one of these the next file would fare no better.
const FOR_ALL = new Set(["session_over", "quota_exceeded", "output_failed", "internal_error"]);

/**
 * Send the waiting `items` (see tray.js), then begin a job for each `most` of them.
 * changed(item) after each step; begun(job, items) for each job. What could not be sent stays
 * "waiting" or is "refused", with its error. Throws what stopped all.
 */
export async function send(items, order, most, signal, { changed, begun }) {
  const left = items.filter(({ state }) => state === "waiting");
  let stopped = null;
  const line = async () => {
    while (left.length && !signal.aborted && !stopped) {
      const item = left.shift();
      const error = await sendOne(item, signal, changed);
      if (error && FOR_ALL.has(error.code)) stopped ??= error;
    }
  };
  await Promise.all(Array.from({ length: LINES }, line));
  const sent = items.filter(({ state }) => state === "sent");
  if (signal.aborted) return await takeBack(sent, changed);
  if (stopped?.code === "session_over") throw stopped;
  for (let first = 0; first < sent.length; first += most) {
    const some = sent.slice(first, first + most);
    begun(await begin(some, order, changed), some);
  }
  if (stopped) throw stopped;
}

/** The error it ended with, if any. */
async function sendOne(item, signal, changed) {
  const set = (state, error = null) => {
    Object.assign(item, { state, error, progress: 0 });
    changed(item);
    return error;
  };
  set("sending");
  for (let again = false; ; again = true) {
    try {
      const photo = await upload(item.file, item.path, signal, (progress) => {
        item.progress = progress;
        changed(item);
      });
      item.id = photo.id;
      return set("sent");
    } catch (error) {
      if (signal.aborted) return set("waiting");
      if (!error.transient) return set(FOR_ALL.has(error.code) ? "waiting" : "refused", error);
      if (again) return set("waiting", error);
    }
    try {
      await reachable(signal);
    } catch (error) {
      return set("waiting", signal.aborted ? null : error);
    }
  }
}

async function begin(some, order, changed) {
  try {
    return await patiently(() => ask("POST", "/jobs", { photos: some.map(({ id }) => id), ...order }));
  } catch (error) {
    // A first try may have arrived although its answer did not.
    if (error.code === "not_ready") return null;
    if (error.code === "not_found") {
      for (const item of some) {
        Object.assign(item, { state: "waiting", id: null });
        changed(item);
      }
    }
    throw error;
  }
}

async function takeBack(sent, changed) {
  for (const item of sent) {
    try {
      await ask("DELETE", `/photos/${item.id}`);
    } catch {} // it expires by itself
    Object.assign(item, { state: "waiting", id: null });
    changed(item);
  }
}
