// Shows what the nodes changed for the user, and lets a preset set the values beside it.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const NOTICE_EVENT = "heliochrome.notice"; // as in nodes/host.py
const OUR_NODES = /^(Heliochrome|DDColor-ddcolorize$)/;
const PRESET_NODE = "HeliochromeColorize";
const TOAST_MS = 8000;
const MANUAL = "/help"; // as in manual/addresses.py; behind the gateway the studio answers there
// The name the frontend gives to its text-on-node widget; it never takes the text away itself.
const TEXT_WIDGET = "$$node-text-preview";

let texts = {}; // {language: locales/<language>/main.json, with nodeDefs.json in it}
let hasManual = false;
const linesByNode = new Map(); // node id -> its notices

async function loadTexts() {
  const response = await api.fetchApi("/i18n");
  if (!response.ok) return;
  texts = await response.json();
}

// Without markdown-it-py nobody serves the manual, and an address would lead nowhere.
async function lookForManual() {
  const response = await fetch(`${MANUAL}/manual.css`, { method: "HEAD" }).catch(() => null);
  hasManual = response?.ok ?? false;
}

function language() {
  return app.extensionManager.setting.get("Comfy.Locale");
}

// "{asked}" in a translation stands for a value of the notice.
function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (name, key) => values?.[key] ?? name);
}

// Where the manual explains a notice; `help` is "page#heading".
function helpAddress(help) {
  const spoken = language()?.startsWith("zh") ? "zh" : "en";
  return `${location.origin}${MANUAL}/${spoken}/${help}`;
}

function showNotice({ detail: { node_id: nodeId, code, text, values, help } }) {
  const ours = (texts[language()] ?? texts.en)?.heliochrome;
  const template = ours?.notices?.[code];
  const line = template === undefined ? text : filled(template, values);
  const lines = [...(linesByNode.get(nodeId) ?? []), line];
  linesByNode.set(nodeId, lines);
  // The server has put the English text on the node; put the user's language there.
  api.dispatchCustomEvent("progress_text", { nodeId, text: lines.join("\n") });
  app.extensionManager.toast.add({
    severity: "warn",
    summary: ours?.title ?? "Heliochrome",
    detail: hasManual && help ? `${line} ${helpAddress(help)}` : line,
    life: TOAST_MS,
  });
}

// A node that runs again has nothing to say yet; one taken from the cache keeps its text.
function forgetNotices({ detail: nodeId }) {
  if (!linesByNode.delete(nodeId)) return;
  const node = app.graph.getNodeById(nodeId);
  const index = node?.widgets?.findIndex((widget) => widget.name === TEXT_WIDGET) ?? -1;
  if (index < 0) return;
  node.widgets[index].onRemove?.();
  node.widgets.splice(index, 1);
  node.setDirtyCanvas(true);
}

// The frontend translates the names of widgets but not the choices in them.
function translateChoices(node) {
  for (const widget of node.widgets ?? []) {
    if (widget.type !== "combo") continue;
    widget.options.getOptionLabel = (value) => {
      const inputs = texts[language()]?.nodeDefs?.[node.comfyClass]?.inputs;
      return inputs?.[widget.name]?.options?.[value] ?? value ?? "";
    };
  }
}

function letPresetSetValues(node) {
  const preset = node.widgets.find((widget) => widget.name === "preset");
  const values = node.constructor.nodeData.input.required.preset[1].heliochrome_presets;
  const chosen = preset.callback;
  preset.callback = function (name, ...rest) {
    chosen?.call(this, name, ...rest);
    for (const widget of node.widgets) {
      const value = values[name]?.[widget.name];
      if (value !== undefined) widget.value = value;
    }
    node.setDirtyCanvas(true);
  };
}

app.registerExtension({
  name: "heliochrome",
  async setup() {
    api.addEventListener(NOTICE_EVENT, showNotice);
    api.addEventListener("executing", forgetNotices);
    await Promise.all([loadTexts(), lookForManual()]);
  },
  nodeCreated(node) {
    if (OUR_NODES.test(node.comfyClass)) translateChoices(node);
    if (node.comfyClass === PRESET_NODE) letPresetSetValues(node);
  },
});
