// The list of jobs, kept up to date while there is something to see.
import { ApiError, ask } from "./api.js";
import { $, keepFocus, setText } from "./dom.js";
import { isOpen, JobView } from "./job.js";
import { announce, banner, patiently } from "./telling.js";
import { joined, reason, t } from "./texts.js";

const EVERY_MS = 1000;
// More open jobs than this are asked for in one go, with all the others.
const ONE_BY_ONE = 3;
// So many endings are named one by one; of more, their number is said.
const NAMED = 3;

export class Jobs {
  /** failed(error): told of what only the page can help (the session is over). */
  constructor(failed) {
    this.canAct = false;
    this._views = new Map();
    this._urls = new Map();
    this._failed = failed;
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    addEventListener("focus", () => this.refresh());
  }

  get open() {
    return [...this._views.values()].map(({ job }) => job).filter(isOpen);
  }

  /** Ask for all of them, and go on asking while any is open. */
  async refresh() {
    await this._ask(true);
  }

  /** Its heading. items: of the tray, which have the photographs' pictures. */
  add(job, items) {
    job.photos.forEach((photo) => {
      const item = items.find(({ id }) => id === photo.id);
      if (item) this._urls.set(photo.id, item.url);
    });
    this._put(job);
    this._later();
    return this._views.get(job.id).heading;
  }

  /** All anew, in another language. */
  redraw() {
    const jobs = [...this._views.values()].map(({ job }) => job);
    this._views.clear();
    $("job-list").replaceChildren();
    jobs.reverse().forEach((job) => this._put(job));
  }

  async _ask(all) {
    if (this._asking) return;
    this._asking = true;
    clearTimeout(this._timer);
    const open = this.open;
    try {
      if (all || open.length > ONE_BY_ONE) {
        const { jobs } = await patiently(() => ask("GET", "/jobs"));
        const known = new Set(jobs.map(({ id }) => id));
        for (const id of this._views.keys()) if (!known.has(id)) this._drop(id);
        jobs.reverse().forEach((job) => this._put(job));
        this._tell();
      } else {
        for (const { id } of open) await this._askOne(id);
      }
      this._later();
    } catch (error) {
      this._failed(error);
    } finally {
      this._asking = false;
    }
  }

  async _askOne(id) {
    try {
      this._put(await patiently(() => ask("GET", `/jobs/${id}`)));
    } catch (error) {
      if (error.code !== "not_found") throw error;
      this._drop(id); // deleted in another tab, or expired
    }
  }

  _later() {
    clearTimeout(this._timer);
    if (this.open.length) this._timer = setTimeout(() => this._ask(false), EVERY_MS);
  }

  _put(job) {
    const view = this._views.get(job.id);
    if (view) {
      tellEndings(view.job, job);
      view.update(job);
    } else {
      const act = (name) => this._act(name, job.id);
      const made = new JobView(job, { act, canAct: this.canAct, urls: this._urls });
      this._views.set(job.id, made);
      $("job-list").prepend(made.element);
    }
    this._tell();
  }

  _drop(id) {
    const view = this._views.get(id);
    for (const photo of view.job.photos) {
      URL.revokeObjectURL(this._urls.get(photo.id));
      this._urls.delete(photo.id);
    }
    view.element.remove();
    this._views.delete(id);
    this._tell();
  }

  _tell() {
    $("no-jobs").hidden = this._views.size > 0;
    const photos = this.open.flatMap((job) => job.photos);
    const over = photos.filter(({ state }) => state !== "queued" && state !== "running").length;
    document.title = photos.length ? `${over}/${photos.length} · Heliochrome` : "Heliochrome";
  }

  async _act(name, id) {
    if (name === "delete" && !(await sure(this._views.get(id).job))) return;
    try {
      if (name === "delete") {
        await patiently(() => ask("DELETE", `/jobs/${id}`)).catch(unlessGone);
        this._drop(id);
        announce(t("delete.done"));
        keepFocus($("jobs-title"));
      } else {
        this._put(await patiently(() => ask("POST", `/jobs/${id}/${name}`)));
        this._later();
      }
      banner("action", null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "session_over") this._failed(error);
      else banner("action", [reason(error.code)]);
    }
  }
}

function unlessGone(error) {
  if (error.code !== "not_found") throw error;
}

function tellEndings(before, after) {
  const states = new Map(before.photos.map(({ id, state }) => [id, state]));
  const ended = (state) => after.photos.filter((each) => each.state === state && states.get(each.id) !== state);
  const done = ended("done");
  const failed = ended("failed");
  const names = done.length + failed.length <= NAMED;
  const each = (photos, key) => photos.map(({ name }) => t(key, { name }));
  const told = names
    ? [...each(done, "tell.done"), ...each(failed, "tell.failed")]
    : [t("tell.many", { n: done.length, failed: failed.length })];
  if (isOpen(before) && !isOpen(after)) told.push(t("tell.over"));
  if (done.length + failed.length) announce(joined(told));
}

function sure(job) {
  setText($("sure-text"), t("delete.text", { n: job.photos.length }));
  const dialog = $("sure");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
