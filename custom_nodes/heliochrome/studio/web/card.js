// One photograph of a job: how far it is, what became of it, what is to be known about it.
import { pictureOf } from "./api.js";
import { openComparison } from "./compare.js";
import { el, setText, thumbnail } from "./dom.js";
import { lang, notice, place, reason, t } from "./texts.js";

export const isPreview = (photo) => photo.result?.kind === "preview";

/** In words, with what it was made by. */
export function provenance({ result }) {
  if (result.kind === "preview") return t("made.preview");
  const extent = (result.network_extent ?? "").replace("x", " × ");
  return t(extent ? "made.colour" : "made.colour.plain", { model: result.model, extent });
}

export class Card {
  constructor(photo, order) {
    this._order = order;
    this._state = el("p", { class: "state" });
    this._bar = el("progress", { max: 1, "aria-label": t("card.bar", { name: photo.name }) });
    this.element = el("li", { class: "card" });
    this.update(photo);
  }

  update(photo) {
    const { state, progress, position } = photo;
    setText(this._state, this._words(state, progress, position));
    this._bar.hidden = state !== "running";
    this._bar.value = progress;
    if (this._shown === state) return;
    this._shown = state; // the rest changes with it alone, and must not take the focus away
    this.element.dataset.state = state;
    const name = el("h4", { text: photo.name });
    const parts = state === "done" ? done(photo) : state === "failed" ? failed(photo.error) : [];
    this.element.replaceChildren(this._picture(photo), name, this._state, this._bar, ...parts);
  }

  _words(state, progress, position) {
    if (state === "queued") return position ? place(position) : t("state.queued");
    if (state === "running") {
      const percent = Math.floor(100 * progress);
      if (!percent) return t("state.prepared");
      return t(this._order.preview ? "state.running.preview" : "state.running", { percent });
    }
    if (state === "done" && this._order.preview) return t("state.previewed");
    return t(`state.${state}`);
  }

  _picture(photo) {
    if (photo.state === "done") {
      const open = () => openComparison(photo, provenance(photo));
      return el(
        "button",
        { type: "button", class: "thumb", on: { click: open } },
        thumbnail(pictureOf(photo, "after"), photo.name),
        isPreview(photo) ? el("span", { class: "badge", text: t("preview.badge") }) : null,
        el("span", { class: "over-thumb" }, t("card.compare"), unseen(photo.name)),
      );
    }
    this._before ??= el("div", { class: "thumb" }, thumbnail(pictureOf(photo, "before"), photo.name));
    return this._before;
  }
}

/** What tells one card's link from another's without seeing the card. */
const unseen = (text) => el("span", { class: "unseen", text: ` ${text}` });

function failed({ code, message }) {
  const detail = message ? el("p", { class: "quiet", lang: "en", text: message }) : null;
  return [el("p", { class: "error", text: reason(code) }), detail].filter(Boolean);
}

function done(photo) {
  const { result } = photo;
  const notices = result.notices.filter(({ code }) => code !== "preview"); // the badge says it
  return [
    el("p", { class: "quiet", text: provenance(photo) }),
    notices.length ? el("ul", { class: "notices" }, ...notices.map(noticeLine)) : "",
    el(
      "p",
      { class: "foot" },
      el(
        "a",
        { class: "button", href: pictureOf(photo, "result") },
        t(isPreview(photo) ? "card.download.preview" : "card.download"),
        unseen(result.name),
      ),
    ),
  ];
}

function noticeLine(told) {
  const said = notice(told);
  const [page, anchor] = told.help.split("#");
  const address = `/help/${lang()}/${page}${anchor ? `#${anchor}` : ""}`;
  return el(
    "li",
    {},
    el("span", { lang: said.lang, text: said.text }),
    " ",
    el(
      "a",
      { href: address, target: "_blank", rel: "noopener" },
      t("notice.help"),
      unseen(t("notice.about", { text: said.text })),
    ),
  );
}
