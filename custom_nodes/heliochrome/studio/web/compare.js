// Before and after in one picture, with a slider between them.
import { pictureOf } from "./api.js";
import { $, setText } from "./dom.js";
import { t } from "./texts.js";

const MIDDLE = 50;

function show(percent) {
  const at = Math.min(100, Math.max(0, Math.round(percent)));
  $("compare-at").value = at;
  $("compare-at").setAttribute("aria-valuetext", t("compare.value", { before: at, after: 100 - at }));
  $("views").style.setProperty("--at", `${at}%`);
}

export function openComparison(photo, made) {
  const preview = photo.result.kind === "preview";
  setText($("compare-name"), photo.name);
  setText($("compare-made"), made);
  $("compare-preview").hidden = !preview;
  for (const which of ["before", "after"]) {
    const picture = $(`view-${which}`);
    picture.width = photo.width;
    picture.height = photo.height;
    picture.src = pictureOf(photo, which);
    const key = preview && which === "after" ? "preview" : which;
    picture.alt = t(`compare.alt.${key}`, { name: photo.name });
  }
  $("views").style.setProperty("--shape", photo.width / photo.height);
  $("compare-download").href = pictureOf(photo, "result");
  setText($("compare-download"), t(preview ? "card.download.preview" : "card.download"));
  show(MIDDLE);
  $("compare").showModal();
  $("compare-at").focus();
}

export function startComparing() {
  const dialog = $("compare");
  const views = $("views");
  $("compare-at").addEventListener("input", ({ target }) => show(Number(target.value)));
  $("compare-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  const drag = ({ clientX }) => {
    const { left, width } = views.getBoundingClientRect();
    show((100 * (clientX - left)) / width);
  };
  views.addEventListener("pointerdown", (event) => {
    views.setPointerCapture(event.pointerId);
    drag(event);
  });
  views.addEventListener("pointermove", (event) => {
    if (views.hasPointerCapture(event.pointerId)) drag(event);
  });
}
