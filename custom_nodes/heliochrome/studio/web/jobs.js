// The list of jobs, kept up to date while there is something to see.
import { ApiError, ask } from "./api.js";
import { $, keepFocus, setText } from "./dom.js";
import { isOpen, isOver, JobView, total } from "./job.js";
import { announce, banner, patiently } from "./telling.js";
import { joined, reason, t } from "./texts.js";

const EVERY_MS = 1000;
// The longest pause after failures.
const LONGEST_MS = 15_000;
// Photographs are asked for this far outside the window.
const NEAR = "1000px 0px";
// So many endings are named one by one; of more, their number is said.
const NAMED = 3;

export class Jobs {
  /** failed(error): told of what only the page can help (the session is over). */
  constructor(failed) {
    this.canAct = false;
    this._views = new Map();
    this.stopped = false; // the session was over when this last asked
    this._failed = failed;
    this._due = new Set(); // what is to be asked for: "list", "all" (older ones too), "photos"
    this._failures = 0; // in a row
    this._edition = 0; // goes up with whatever is done here: what was asked for before is older
    this._more = false;
    this._near = new IntersectionObserver((entries) => this._moved(entries), { rootMargin: NEAR });
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    addEventListener("focus", () => this.refresh());
    $("older").addEventListener("click", () => this._showOlder());
  }

  get open() {
    return [...this._views.values()].map(({ job }) => job).filter(isOpen);
  }

  /** Ask for all of them, and go on asking while any is open. */
  refresh() {
    return this._look("list", "all");
  }

  /** Its heading. */
  add(job) {
    this._changed(job);
    return this._views.get(job.id).heading;
  }

  /** All anew, in another language. */
  redraw() {
    const views = this._inOrder();
    this._views.clear();
    this._near.disconnect();
    $("job-list").replaceChildren();
    for (const { job, seen, all } of views) {
      this._make(seen, $("job-list").lastElementChild, all);
      this._views.get(job.id).update({ ...job, photos: null });
    }
  }

  _inOrder() {
    return [...$("job-list").children].map(({ dataset }) => this._views.get(dataset.job));
  }

  /** What is asked for while an answer is waited for is asked for after it. */
  _look(...due) {
    for (const each of due) this._due.add(each);
    this._looking ??= this._askAll().finally(() => {
      this._looking = null;
      this._later();
    });
    return this._looking;
  }

  async _askAll() {
    clearTimeout(this._timer);
    this.stopped = false;
    try {
      while (this._due.size) {
        const due = new Set(this._due);
        this._due.clear();
        if (due.has("list")) await this._askList(due.has("all"));
        await this._askPhotos();
      }
      this._failures = 0;
      banner("jobs", null);
    } catch (error) {
      this._failures += 1;
      this.stopped = error.code === "session_over";
      this._failed(error);
    }
  }

  _later() {
    clearTimeout(this._timer);
    if (this.stopped || this._looking || !(this.open.length || this._failures)) return;
    const pause = Math.min(EVERY_MS * 2 ** this._failures, LONGEST_MS);
    this._timer = setTimeout(() => this._look("list"), pause);
  }

  /** The newest ones; of the older ones on the page those that are open, or all. */
  async _askList(all) {
    const known = new Set();
    let last = null;
    do {
      const edition = this._edition;
      const answer = await patiently(() => ask("GET", older(last)));
      if (edition !== this._edition) return this._due.add("list").add(all ? "all" : "list");
      last = this._putList(answer, last, known);
    } while (last && this._after(last).some(({ job }) => all || isOpen(job)));
  }

  /** jobs follow the section `last`. The section they end with; null at the end of all. */
  _putList({ jobs, more }, last, known) {
    for (const job of jobs) {
      known.add(job.id);
      this._put(job, last);
      last = this._views.get(job.id).element;
    }
    const followed = more ? this._after(last) : [];
    for (const view of this._inOrder()) {
      if (!known.has(view.job.id) && !followed.includes(view)) this._drop(view.job.id);
    }
    if (!followed.length) this._more = more;
    this._tell();
    return more ? last : null;
  }

  _after(element) {
    const views = this._inOrder();
    return views.slice(views.findIndex((view) => view.element === element) + 1);
  }

  async _showOlder() {
    const last = $("job-list").lastElementChild;
    try {
      const answer = await patiently(() => ask("GET", older(last)));
      this._putList(answer, last, new Set(this._views.keys()));
      (last.nextElementSibling?.querySelector("h3") ?? $("jobs-title")).focus();
      banner("action", null);
    } catch (error) {
      this._tellFailure(error);
      if (error.code === "not_found") this.refresh(); // the last one is gone meanwhile
    }
  }

  /** One job after the other; what is far outside the window can wait. */
  async _askPhotos() {
    const asked = new Set();
    const wanted = ({ job, near, seen, stale }) =>
      !asked.has(job.id) && ((stale && (near || isOpen(seen))) || (near && isOpen(job)));
    let failure = null;
    for (let view; (view = this._inOrder().find(wanted)); ) {
      asked.add(view.job.id);
      try {
        await this._askOne(view.job.id);
      } catch (error) {
        if (error.code === "session_over") throw error;
        failure ??= error; // of this job: the others go on
      }
    }
    if (failure) throw failure;
  }

  async _askOne(id) {
    const edition = this._edition;
    try {
      const job = await patiently(() => ask("GET", `/jobs/${id}`));
      if (edition === this._edition) this._put(job);
      else this._due.add("list");
    } catch (error) {
      if (error.code !== "not_found") throw error;
      if (this._views.has(id)) this._drop(id); // deleted in another tab, or expired
    }
  }

  _moved(entries) {
    for (const { target, isIntersecting } of entries) {
      const view = this._views.get(target.dataset.job);
      if (view?.element === target) view.near = isIntersecting;
    }
    if ([...this._views.values()].some(({ near, stale }) => near && stale)) this._look("photos");
  }

  /** After something was done here. */
  _changed(job) {
    this._edition += 1;
    this._put(job);
    this._later();
  }

  /** A new one comes after the section `last`, or first of all. */
  _put(job, last = null) {
    const view = this._views.get(job.id);
    if (view) {
      if (job.photos) tellEndings(view.seen, job);
      view.update(job);
    } else {
      this._make(job, last);
    }
    this._tell();
  }

  _make(job, last, all = false) {
    const act = (name) => this._act(name, job.id);
    const view = new JobView(job, { act, canAct: this.canAct, all });
    this._views.set(job.id, view);
    if (last) last.after(view.element);
    else $("job-list").prepend(view.element);
    this._near.observe(view.element);
  }

  _drop(id) {
    const { element } = this._views.get(id);
    this._near.unobserve(element);
    const focused = element.contains(document.activeElement);
    element.remove();
    this._views.delete(id);
    if (focused) keepFocus($("jobs-title"));
    this._tell();
  }

  _tell() {
    $("no-jobs").hidden = this._views.size > 0;
    $("older").hidden = !this._more;
    const open = this.open;
    const sum = (count) => open.reduce((so_far, job) => so_far + count(job), 0);
    document.title = open.length ? `${sum(isOver)}/${sum(total)} · Heliochrome` : "Heliochrome";
  }

  async _act(name, id) {
    if (name === "delete" && !(await sure(this._views.get(id).job))) return;
    try {
      if (name === "delete") {
        await patiently(() => ask("DELETE", `/jobs/${id}`)).catch(unlessGone);
        this._edition += 1;
        if (this._views.has(id)) this._drop(id);
        announce(t("delete.done"));
        keepFocus($("jobs-title"));
        if (this._more) this.refresh(); // there is room for an older one
      } else {
        this._changed(await patiently(() => ask("POST", `/jobs/${id}/${name}`)));
      }
      banner("action", null);
    } catch (error) {
      this._tellFailure(error);
    }
  }

  _tellFailure(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "session_over") this._failed(error);
    else banner("action", [reason(error.code)]);
  }
}

const older = (section) => (section ? `/jobs?before=${section.dataset.job}` : "/jobs");

function unlessGone(error) {
  if (error.code !== "not_found") throw error;
}

/** before: as it was when its photographs were last asked for; at first it has none. */
function tellEndings(before, after) {
  const states = new Map(before.photos?.map(({ id, state }) => [id, state]));
  const ended = (state) =>
    after.photos.filter((each) => each.state === state && states.has(each.id) && states.get(each.id) !== state);
  const done = ended("done");
  const failed = ended("failed");
  const names = done.length + failed.length <= NAMED;
  const each = (photos, key) => photos.map(({ name }) => t(key, { name }));
  const told = names
    ? [...each(done, "tell.done"), ...each(failed, "tell.failed")]
    : [t("tell.many", { n: done.length, failed: failed.length })];
  const over = isOpen(before) && !isOpen(after);
  if (over) told.push(t("tell.over"));
  if (done.length + failed.length || (over && !before.photos)) announce(joined(told));
}

let answer = null;

function sure(job) {
  const dialog = $("sure");
  const told = () => answer?.(dialog.returnValue === "yes");
  told(); // of the last question, where its closing is not told yet
  setText($("sure-text"), t("delete.text", { n: total(job) }));
  dialog.returnValue = "no";
  dialog.showModal();
  dialog.onclose = () => dialog.open || told();
  return new Promise((resolve) => {
    answer = resolve;
  });
}
