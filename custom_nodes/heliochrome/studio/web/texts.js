// The sentences in the reader's language.

const KEPT = "heliochrome-language";
const LANGUAGES = ["en", "zh"];
let texts = {};
let language = "en";

export const lang = () => language;
export const otherLanguage = () => LANGUAGES.find((each) => each !== language);

function preferred() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {} // a browser that keeps nothing
  const wanted = [kept, ...navigator.languages].filter(Boolean);
  const known = wanted.map((each) => each.slice(0, 2)).find((each) => LANGUAGES.includes(each));
  return known ?? "en";
}

export async function loadTexts(name = preferred()) {
  const answer = await fetch(`/static/texts/${name}.json`);
  if (!answer.ok) throw new Error(`texts: ${answer.status}`);
  texts = await answer.json();
  language = name;
  document.documentElement.lang = name === "zh" ? "zh-Hans" : name;
}

export async function switchLanguage() {
  await loadTexts(otherLanguage());
  try {
    localStorage.setItem(KEPT, language);
  } catch {}
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

/** values.n chooses between the forms of a sentence that has some. */
export function t(key, values = {}) {
  const found = texts[key] ?? key;
  if (typeof found === "string") return fill(found, values);
  const form = new Intl.PluralRules(language).select(values.n);
  return fill(found[form] ?? found.other, values);
}

export function place(n) {
  if (n === 1) return t("queue.next");
  const forms = texts["queue.nth"];
  const form = new Intl.PluralRules(language, { type: "ordinal" }).select(n);
  return fill(forms[form] ?? forms.other, { n });
}

/** Sentences one after the other; Chinese has no space between them. */
export const joined = (sentences) => sentences.filter(Boolean).join(language === "zh" ? "" : " ");

/** {text, lang}: some sentences about a file are English only. */
export function notice({ code, text, values = {} }) {
  const own = language === "en" ? null : texts.notices[code];
  return own ? { text: fill(own, values), lang: null } : { text, lang: "en" };
}

/** What an error means; its English detail is shown beside it. */
export function reason(code) {
  return texts[`error.${code}`] ? t(`error.${code}`) : t("error.unknown");
}

export function applyTexts(root = document) {
  for (const each of root.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const each of root.querySelectorAll("[data-label]")) {
    each.setAttribute("aria-label", t(each.dataset.label));
  }
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] =
    bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  const digits = value < 10 ? 1 : 0;
  return `${value.toLocaleString(language, { maximumFractionDigits: digits })} ${unit}`;
}

// Dates as the reader's own country writes them, where its language is the page's.
const locale = () => navigator.languages.find((each) => each.startsWith(language)) ?? language;
const format = (options) => (iso) => new Intl.DateTimeFormat(locale(), options).format(new Date(iso));
export const moment = format({ dateStyle: "medium", timeStyle: "short" });
const near = format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
/** Without the year where it is this one. */
export function hour(iso) {
  return new Date(iso).getFullYear() === new Date().getFullYear() ? near(iso) : moment(iso);
}
