// The page's start: who is here, what they may do, and one button.
import { ApiError, ask } from "./api.js";
import { startComparing } from "./compare.js";
import { $, el, keepFocus, setText } from "./dom.js";
import { Jobs } from "./jobs.js";
import { fromInput, onDrop, sorted } from "./picking.js";
import { announce, banner, patiently, sessionBack, sessionOver } from "./telling.js";
import {
  applyTexts, joined, lang, loadTexts, otherLanguage, reason, size, switchLanguage, t,
} from "./texts.js";
import { Tray } from "./tray.js";
import { send } from "./uploading.js";

const ME_EVERY_MS = 10_000;
const NAMED = 5;
const OWN_NAMES = { en: "English", zh: "中文" };

let me = null;
let sending = null; // an AbortController meanwhile
let leftOut = null;
const tray = new Tray(showButton);
const jobs = new Jobs((error) => helpless(error, "jobs"));

function helpless(error, name = "trouble") {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "session_over") return sessionOver(tray.items.length > 0);
  banner(name, [reason(error.code), el("span", { class: "quiet", lang: "en", text: error.message })]);
}

async function refreshMe() {
  try {
    me = await patiently(() => ask("GET", "/me"));
  } catch (error) {
    return helpless(error);
  }
  sessionBack();
  banner("trouble", null);
  showMe();
  if (jobs.stopped) jobs.refresh();
}

/** Never longer than it is. */
function kept(days) {
  const hours = Math.floor(24 * days);
  if (days >= 1) return t("promise.kept", { n: Math.floor(days) });
  return hours ? t("promise.hours", { n: hours }) : t("promise.minutes", { n: Math.floor(1440 * days) });
}

const onlyPreview = () => me.model.available === false;

function showMe() {
  const viewer = me.role === "viewer";
  if (jobs.canAct === viewer) {
    jobs.canAct = !viewer;
    jobs.redraw();
  }
  setText($("user"), me.user);
  $("new").hidden = viewer;
  $("viewer").hidden = !viewer;
  $("comfyui").hidden = me.engine !== "comfyui" || viewer;
  $("presets").hidden = onlyPreview();
  const advice = el("span", { class: "quiet", lang: "en", text: me.model.advice ?? "" });
  banner("model", onlyPreview() && !viewer ? [t("model.missing"), advice] : null);
  const detail = el("span", { class: "quiet", lang: "en", text: me.waiting });
  banner("waiting", me.waiting ? [t("engine.waiting"), detail] : null);
  const room = { used: size(me.used_bytes), most: size(me.max_user_bytes) };
  setText($("promise"), joined([kept(me.keep_days), t("promise.room", room)]));
  showButton();
}

function showButton() {
  if (!me) return;
  setText($("go"), t(onlyPreview() ? "go.preview" : "go"));
  $("go").disabled = !tray.ready.length;
  $("go").parentElement.hidden = Boolean(sending);
  $("sending").hidden = !sending;
  $("presets").disabled = Boolean(sending);
  $("files").disabled = $("folder").disabled = Boolean(sending);
  if (!sending) return;
  const all = sending.items;
  const count = (wanted) => all.filter(({ state }) => state === wanted).length;
  const told = [
    t("send.so_far", { n: all.length, sent: count("sent") }),
    count("refused") ? t("send.not_taken", { n: count("refused") }) : "",
  ];
  setText($("sending-text"), joined(told));
  const done = ({ state, progress }) => (state === "sending" ? progress : state === "waiting" ? 0 : 1);
  $("sending-bar").value = all.reduce((sum, item) => sum + done(item), 0) / all.length;
}

function take(found) {
  if (!me || me.role === "viewer" || sending) return;
  leftOut = sorted(found);
  tray.add(leftOut.photographs, me);
  showLeftOut();
}

function showLeftOut() {
  const { photographs = [], others = [], hidden = 0 } = leftOut ?? {};
  const names = others.slice(0, NAMED).join(", ") + (others.length > NAMED ? ", …" : "");
  const told = [
    others.length ? t("pick.left_out", { n: others.length, names }) : "",
    hidden ? t("pick.hidden", { n: hidden }) : "",
    leftOut && !photographs.length ? t("pick.none") : "",
  ];
  setText($("left-out"), joined(told));
}

async function go(event) {
  event.preventDefault();
  if (sending || !tray.ready.length) return;
  const order = { preset: new FormData($("order")).get("preset") ?? "auto", preview: onlyPreview() };
  sending = Object.assign(new AbortController(), { items: tray.ready });
  tray.lock(true);
  $("stop").focus();
  banner("sending", null);
  const changed = (item) => {
    tray.showOne(item);
    showButton();
  };
  const begun = (job, items) => {
    const heading = job ? jobs.add(job) : $("jobs-title");
    if (!job) jobs.refresh();
    if ([$("stop"), document.body].includes(document.activeElement)) heading.focus();
    tray.remove(items);
  };
  try {
    await send(sending.items, order, me.max_job_photos, sending.signal, { changed, begun });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "session_over") sessionOver(true);
    else banner("sending", [reason(error.code), el("span", { class: "quiet", lang: "en", text: error.message })]);
  } finally {
    const refused = tray.items.filter(({ state }) => state === "refused").length;
    if (refused) announce(t("send.refused", { n: refused }));
    sending = null;
    tray.lock(false);
    keepFocus($("go").disabled ? $("new-title") : $("go"));
    refreshMe();
  }
}

function showLanguage() {
  applyTexts();
  const other = otherLanguage();
  Object.assign($("language"), { textContent: OWN_NAMES[other], lang: other });
  $("help").href = `/help/${lang()}`;
  tray.redraw();
  jobs.redraw();
  showLeftOut();
  if (me) showMe();
}

async function start() {
  try {
    await loadTexts();
  } catch {
    document.documentElement.classList.remove("loading");
    $("banners").textContent = "This page could not be loaded whole. Please reload it. 页面未能完整载入，请刷新。";
    return;
  }
  showLanguage();
  document.documentElement.classList.remove("loading");
  startComparing();
  $("language").addEventListener("click", async () => {
    await switchLanguage().then(showLanguage, () => banner("connection", [t("connection.lost")]));
  });
  $("pick-folder").hidden = !("webkitdirectory" in $("folder"));
  for (const input of [$("files"), $("folder")]) {
    input.addEventListener("change", () => take(fromInput(input)));
  }
  onDrop($("drop"), take);
  $("clear").addEventListener("click", () => {
    tray.remove(tray.items);
    leftOut = null;
    showLeftOut();
    $("files").focus();
  });
  $("order").addEventListener("submit", go);
  $("stop").addEventListener("click", () => sending?.abort());
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  await refreshMe();
  jobs.refresh();
  const again = () => document.hidden || sending || refreshMe();
  document.addEventListener("visibilitychange", again);
  addEventListener("focus", again);
  setInterval(() => (jobs.open.length || me?.waiting || !me) && again(), ME_EVERY_MS);
}

start();
