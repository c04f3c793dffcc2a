// Elements made from values; whatever comes from outside goes in as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** props: `text`, `class`, `on` ({event: listener}); all else becomes an attribute. */
export function el(tag, { text, on = {}, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  if (text != null) made.textContent = text;
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Only where it differs: screen readers read again what is set again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A picture; where there is none, or none that the browser can show (TIFF), the kind of file. */
export function thumbnail(source, name) {
  const ending = /\.(\w{1,4})$/.exec(name)?.[1] ?? "";
  const instead = el("span", { class: "kind", "aria-hidden": "true", text: ending.toUpperCase() });
  if (!source) return instead;
  const picture = el("img", { src: source, alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.replaceWith(instead));
  return picture;
}

/** If the keyboard's place has vanished or is hidden, put it here. */
export function keepFocus(fallback) {
  const active = document.activeElement;
  if (!active || active === document.body || active.closest("[hidden]") || active.disabled) {
    fallback.focus();
  }
}

/** From so many on, a list's rows are laid out only as they come into view. */
export const MANY = 60;
