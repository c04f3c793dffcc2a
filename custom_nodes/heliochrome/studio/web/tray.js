// The photographs that are chosen and not yet sent.
import { $, el, MANY, setText, thumbnail } from "./dom.js";
import { joined, reason, size, t } from "./texts.js";

/**
 * Items: {file, path, state, progress, error, id, url}; state: waiting, sending, sent (in no job
 * yet), or refused. limits: the answer of /me.
 */
export class Tray {
  constructor(changed) {
    this.items = [];
    this.locked = false;
    this._rows = new Map();
    this._changed = changed;
  }

  add(photographs, limits) {
    const known = new Set(this.items.map(key));
    for (const found of photographs.filter((each) => !known.has(key(each)))) {
      const item = { ...found, state: "waiting", progress: 0, error: null, id: null };
      item.url = URL.createObjectURL(item.file);
      if (item.file.size > limits.max_photo_bytes) {
        Object.assign(item, { state: "refused", error: { code: "photo_too_large", message: "" } });
      }
      this.items.push(item);
    }
    this.show();
  }

  /** Those that a press of the button would send. */
  get ready() {
    return this.items.filter(({ state }) => state === "waiting" || state === "sent");
  }

  remove(items) {
    this.items = this.items.filter((each) => !items.includes(each));
    for (const item of items) {
      URL.revokeObjectURL(item.url);
      this._rows.get(item)?.element.remove();
      this._rows.delete(item);
    }
    this.show();
  }

  lock(locked) {
    this.locked = locked;
    this.show();
  }

  /** All anew, in another language. */
  redraw() {
    this._rows.clear();
    $("tray").replaceChildren();
    this.show();
  }

  show() {
    const { items, ready } = this;
    $("chosen").hidden = items.length === 0;
    $("clear").hidden = this.locked;
    $("tray").classList.toggle("many", items.length >= MANY);
    const bytes = ready.reduce((sum, { file }) => sum + file.size, 0);
    const told = ready.length
      ? t("tray.chosen", { n: ready.length, size: size(bytes) })
      : t("tray.none_left", { n: items.length });
    setText($("chosen-title"), told);
    for (const item of items) this.showOne(item);
    this._changed();
  }

  showOne(item) {
    let row = this._rows.get(item);
    if (!row) {
      row = this._row(item);
      this._rows.set(item, row);
      $("tray").append(row.element);
    }
    const { state, error } = item;
    row.element.classList.toggle("refused", state === "refused");
    row.remove.hidden = this.locked;
    row.bar.hidden = state !== "sending";
    row.bar.value = item.progress;
    setText(row.state, joined([t(`tray.${state}`), error && reason(error.code)]));
    row.state.hidden = state === "waiting" && !error;
    setText(row.detail, error?.message ?? "");
  }

  _row(item) {
    const { name } = item.file;
    const state = el("p", { class: "state" });
    const detail = el("p", { class: "quiet", lang: "en" });
    const bar = el("progress", { max: 1, value: 0, "aria-label": t("tray.bar", { name }) });
    const remove = el(
      "button",
      { type: "button", class: "plain", on: { click: () => this._removeOne(item) } },
      t("tray.remove"),
      el("span", { class: "unseen", text: ` ${name}` }),
    );
    const element = el(
      "li",
      {},
      el("span", { class: "small-thumb" }, thumbnail(item.url, name)),
      el(
        "div",
        { class: "told" },
        el("p", {}, item.path, " ", el("span", { class: "quiet", text: size(item.file.size) })),
        state,
        detail,
        bar,
      ),
      remove,
    );
    return { element, state, detail, bar, remove };
  }

  _removeOne(item) {
    const at = this.items.indexOf(item);
    this.remove([item]);
    const next = this.items[at] ?? this.items[at - 1];
    (next ? this._rows.get(next).remove : $("files")).focus();
  }
}

const key = ({ file, path }) => `${path}|${file.size}|${file.lastModified}`;
