// One job: its heading, how far it is, what can be done with it, its photographs.
import { zipOf } from "./api.js";
import { Card } from "./card.js";
import { el, keepFocus, MANY, setText } from "./dom.js";
import { day, joined, moment, t } from "./texts.js";

export const isOpen = (job) => job.state === "queued" || job.state === "running";
const OVER = ["done", "failed", "cancelled"];

export class JobView {
  /** act(name): cancel, retry or delete. canAct: whether this person may. urls: by photograph. */
  constructor(job, { act, canAct, urls }) {
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
    this._cards = new Map();
    const cards = job.photos.map((photo) => {
      const card = new Card(photo, job, urls.get(photo.id));
      this._cards.set(photo.id, card);
      return card.element;
    });
    this.element = el(
      "section",
      { class: "job", "aria-labelledby": id },
      this.heading,
      this._sum,
      this._bar,
      el("p", { class: "actions" }, this._zip, ...Object.values(this._buttons)),
      el("ul", { class: cards.length < MANY ? "cards" : "cards many" }, ...cards),
    );
    this.update(job);
  }

  update(job) {
    this.job = job;
    const focused = this.element.contains(document.activeElement); // hiding it may take the focus
    const { counts, photos } = job;
    const count = (state) => counts[state] ?? 0;
    const all = photos.length;
    const over = OVER.reduce((sum, state) => sum + count(state), 0);
    const told = [
      isOpen(job) ? t("job.so_far", { n: all, over }) : t("job.over", { n: count("done"), all }),
      count("failed") ? t("job.failed", { n: count("failed") }) : "",
      count("cancelled") ? t("job.cancelled", { n: count("cancelled") }) : "",
      t("job.expires", { when: day(job.expires) }),
    ];
    setText(this._sum, joined(told));
    this._bar.hidden = !isOpen(job);
    this._bar.value = all ? photos.reduce((sum, photo) => sum + share(photo), 0) / all : 1;
    this._zip.hidden = !count("done");
    setText(this._zip, t(job.preview ? "job.download.preview" : "job.download", { n: count("done") }));
    this._buttons.cancel.hidden = !this._canAct || !isOpen(job);
    this._buttons.retry.hidden = !this._canAct || isOpen(job) || !(count("failed") + count("cancelled"));
    this._buttons.delete.hidden = !this._canAct || isOpen(job);
    for (const photo of photos) this._cards.get(photo.id)?.update(photo);
    if (focused) keepFocus(this.heading);
  }
}

const share = ({ state, progress }) => (OVER.includes(state) ? 1 : state === "running" ? progress : 0);
