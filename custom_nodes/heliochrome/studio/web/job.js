// One job: its heading, how far it is, what can be done with it, its photographs.
import { zipOf } from "./api.js";
import { Card } from "./card.js";
import { el, keepFocus, MANY, setText } from "./dom.js";
import { hour, joined, moment, t } from "./texts.js";

const OVER = ["done", "failed", "cancelled"];
const sum = (numbers) => numbers.reduce((so_far, each) => so_far + each, 0);

export const isOpen = (job) => job.state === "queued" || job.state === "running";
/** Of its photographs. */
export const total = ({ counts }) => sum(Object.values(counts));
export const isOver = ({ counts }) => sum(OVER.map((state) => counts[state] ?? 0));
const standing = ({ state, counts }) => JSON.stringify([state, Object.entries(counts).sort()]);

/**
 * A job without `photos` is one of the list; its photographs come later. near: it is in the window,
 * or almost. seen: the job when its photographs were last asked for.
 */
export class JobView {
  /** act(name): cancel, retry or delete. canAct: whether this person may. all: show all photographs. */
  constructor(job, { act, canAct, all }) {
    this.near = false;
    this.all = all;
    this.seen = job;
    this._canAct = canAct;
    const id = `job-${job.id}`;
    const order = job.preview ? t("preview.badge") : t(`preset.${job.preset}`);
    this.heading = el("h3", { id, tabindex: -1, text: t("job.title", { when: moment(job.created), order }) });
    this._sum = el("p", { class: "sum" });
    this._bar = el("progress", { max: 1, "aria-labelledby": id });
    const button = (name, kind) =>
      el("button", { type: "button", class: kind, hidden: true, on: { click: () => act(name) } }, t(`job.${name}`));
    this._buttons = {
      cancel: button("cancel"),
      retry: button("retry"),
      delete: button("delete", "plain"),
    };
    this._zip = el("a", { class: "button", href: zipOf(job), hidden: true });
    this._until = el("span", { class: "until", hidden: true });
    this._cards = new Map();
    this._list = el("ul", { class: "cards", "aria-labelledby": id });
    this._rest = el("button", { type: "button", hidden: true, on: { click: () => this._showAll() } });
    this.element = el(
      "article",
      { class: "job", "aria-labelledby": id, "data-job": job.id },
      this.heading,
      this._sum,
      this._bar,
      el("p", { class: "actions" }, this._zip, this._until, ...Object.values(this._buttons)),
      this._list,
      el("p", { class: "actions rest" }, this._rest),
    );
    this.update(job);
  }

  /** What its cards show is not how it stands. */
  get stale() {
    return !this.seen.photos || standing(this.seen) !== standing(this.job);
  }

  update(job) {
    if (job.photos) this.seen = job;
    this.job = { ...job, photos: this.seen.photos };
    const focused = this.element.contains(document.activeElement); // hiding it may take the focus
    const count = (state) => job.counts[state] ?? 0;
    const all = total(job);
    const when = job.expires && hour(job.expires);
    const toTake = when && !isOpen(job) && count("done");
    const told = [
      isOpen(job) ? t("job.so_far", { n: all, over: isOver(job) }) : t("job.over", { n: count("done"), all }),
      count("failed") ? t("job.failed", { n: count("failed") }) : "",
      count("cancelled") ? t("job.cancelled", { n: count("cancelled") }) : "",
      when && !toTake ? t("job.expires", { when }) : "",
    ];
    setText(this._sum, joined(told));
    this._bar.hidden = !isOpen(job);
    this._bar.value = job.progress;
    this._zip.hidden = !count("done");
    setText(this._zip, t(job.preview ? "job.download.preview" : "job.download", { n: count("done") }));
    this._until.hidden = !toTake;
    setText(this._until, toTake ? t("job.until", { n: count("done"), when }) : "");
    this._buttons.cancel.hidden = !this._canAct || !isOpen(job);
    this._buttons.retry.hidden = !this._canAct || isOpen(job) || !(count("failed") + count("cancelled"));
    this._buttons.delete.hidden = !this._canAct || isOpen(job);
    if (job.photos) this._showPhotos(job.photos);
    if (focused) keepFocus(this.heading);
  }

  _showPhotos(photos) {
    const shown = this.all ? photos : photos.slice(0, MANY);
    for (const photo of shown) {
      const card = this._cards.get(photo.id);
      if (card) {
        card.update(photo);
      } else {
        const made = new Card(photo, this.job);
        this._cards.set(photo.id, made);
        this._list.append(made.element);
      }
    }
    this._list.classList.toggle("many", shown.length > MANY);
    this._rest.hidden = shown.length === photos.length;
    setText(this._rest, t("job.show_all", { n: photos.length }));
  }

  _showAll() {
    this.all = true;
    const last = this._list.lastElementChild;
    this._showPhotos(this.job.photos);
    const next = last.nextElementSibling;
    next.tabIndex = -1;
    next.focus();
  }
}
