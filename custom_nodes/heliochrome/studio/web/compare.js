// Before and after in one picture, with a slider between them.
import { pictureOf } from "./api.js";
import { $, setText } from "./dom.js";
import { t } from "./texts.js";

const MIDDLE = 50;
const SIDES = ["before", "after"];
let opened = 0;

function show(percent) {
  const at = Math.min(100, Math.max(0, Math.round(percent)));
  $("compare-at").value = at;
  $("compare-at").setAttribute("aria-valuetext", t("compare.value", { before: at, after: 100 - at }));
  $("views").style.setProperty("--at", `${at}%`);
}

/** A picture shows its last one until the next has come: under another one's name. */
function clear() {
  opened += 1;
  $("views").classList.remove("here");
  for (const which of SIDES) $(`view-${which}`).removeAttribute("src");
}

export async function openComparison(photo, made) {
  clear();
  const own = opened;
  const preview = photo.result.kind === "preview";
  setText($("compare-name"), photo.name);
  setText($("compare-made"), made);
  $("compare-preview").hidden = !preview;
  setText($("compare-told"), t("compare.loading"));
  const loaded = SIDES.map((which) => {
    const picture = $(`view-${which}`);
    picture.width = photo.width;
    picture.height = photo.height;
    picture.src = pictureOf(photo, which);
    const key = preview && which === "after" ? "preview" : which;
    picture.alt = t(`compare.alt.${key}`, { name: photo.name });
    return picture.decode();
  });
  $("views").style.setProperty("--shape", photo.width / photo.height);
  $("compare-download").href = pictureOf(photo, "result");
  setText($("compare-download"), t(preview ? "card.download.preview" : "card.download"));
  show(MIDDLE);
  $("compare").showModal();
  $("compare-at").focus();
  const here = await Promise.all(loaded).then(() => true, () => false);
  if (own !== opened) return; // another one is shown meanwhile, or none
  $("views").classList.toggle("here", here);
  setText($("compare-told"), here ? "" : t("compare.failed"));
}

export function startComparing() {
  const dialog = $("compare");
  const views = $("views");
  $("compare-at").addEventListener("input", ({ target }) => show(Number(target.value)));
  $("compare-close").addEventListener("click", () => dialog.close());
  // It is told late: another one may be open by then.
  dialog.addEventListener("close", () => dialog.open || clear());
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
