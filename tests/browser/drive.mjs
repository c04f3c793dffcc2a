// One visit to ComfyUI as a person makes it: argv[2] is JSON
// {url, template, photo, workflowFile, shots, language, step}. Prints one line of JSON.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { launch } from "./launch.mjs";

const OUR_SCRIPTS = "/extensions/heliochrome/";
const LIMIT_MS = 150_000; // a frontend of thousands of files, on two cores that also run its host
const LOAD_IMAGE = 1;
const LOADER = 2;
const COLORIZE = 3;
const RESULT = 5;

const order = JSON.parse(process.argv[2]);
const problems = [];
let shotNumber = 0;

async function shoot(page, name) {
  shotNumber += 1;
  const file = `${order.language}-${order.step}-${shotNumber}-${name}.png`;
  await page.screenshot({ path: path.join(order.shots, file) });
}

async function open(browser) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  page.setDefaultTimeout(LIMIT_MS);
  page.on("pageerror", ({ stack = "" }) => {
    if (stack.includes(OUR_SCRIPTS)) problems.push(stack); // the frontend has errors of its own
  });
  await page.goto(order.url);
  await page.waitForFunction(() => window.app?.graph && window.app.extensionManager);
  await page.waitForSelector("canvas#graph-canvas");
  await page.waitForTimeout(1500); // the frontend opens its first dialogs late
  return page;
}

async function openTemplate(page) {
  const card = page.getByTestId(`template-workflow-${order.template}`);
  if (!(await page.getByTestId("template-workflows-content").isVisible())) {
    await page.locator(".templates-tab-button").click();
    await page.getByTestId("template-workflows-content").waitFor();
  }
  await page.getByText("heliochrome", { exact: true }).first().click();
  await card.waitFor();
  await page.waitForTimeout(800);
  await shoot(page, "templates");
  await card.click();
  await graphIsThere(page);
}

async function dropWorkflow(page) {
  const text = await readFile(order.workflowFile, "utf-8");
  const name = path.basename(order.workflowFile);
  const transfer = await page.evaluateHandle(
    ([content, fileName]) => {
      const data = new DataTransfer();
      data.items.add(new File([content], fileName, { type: "application/json" }));
      return data;
    },
    [text, name],
  );
  const canvas = "canvas#graph-canvas";
  await page.dispatchEvent(canvas, "dragover", { dataTransfer: transfer });
  await page.dispatchEvent(canvas, "drop", { dataTransfer: transfer });
  await graphIsThere(page);
}

async function graphIsThere(page) {
  await page.waitForFunction((id) => window.app.graph.getNodeById(id), RESULT);
  await page.waitForTimeout(1500);
}

// Where a widget is drawn on the page; the canvas has no elements to click on.
async function widgetPoint(page, nodeId, widgetName) {
  return await page.evaluate(
    ([id, name]) => {
      const node = window.app.graph.getNodeById(id);
      const widget = node.widgets.find((each) => each.name === name);
      const { scale, offset } = window.app.canvas.ds;
      const box = window.app.canvas.canvas.getBoundingClientRect();
      const x = node.pos[0] + node.size[0] / 2;
      const y = node.pos[1] + widget.last_y + 10;
      return { x: box.x + (x + offset[0]) * scale, y: box.y + (y + offset[1]) * scale };
    },
    [nodeId, widgetName],
  );
}

// Slowly, as a hand does: the canvas looks at the pointer once a frame.
async function clickWidget(page, nodeId, widgetName) {
  const point = await widgetPoint(page, nodeId, widgetName);
  await page.mouse.move(point.x, point.y, { steps: 5 });
  await page.waitForTimeout(200);
  await page.mouse.click(point.x, point.y, { delay: 150 });
}

async function uploadPhoto(page) {
  const chooser = page.waitForEvent("filechooser");
  await clickWidget(page, LOAD_IMAGE, "upload");
  await (await chooser).setFiles(order.photo);
  const name = path.basename(order.photo);
  await page.waitForFunction(
    ([id, file]) =>
      window.app.graph.getNodeById(id).widgets.find((each) => each.name === "image").value === file,
    [LOAD_IMAGE, name],
  );
}

async function run(page) {
  await page.getByTestId("queue-button").first().click();
  await page.waitForFunction(
    (id) => window.app.graph.getNodeById(id).imgs?.[0]?.naturalWidth > 0,
    RESULT,
  );
  await page.waitForTimeout(1500);
}

async function look(page) {
  return await page.evaluate(
    ([load, colorize, result]) => {
      const graph = window.app.graph;
      const widgets = (id) =>
        Object.fromEntries(graph.getNodeById(id).widgets.map((each) => [each.name, each.value]));
      const picture = graph.getNodeById(result).imgs?.[0];
      return {
        titles: graph.nodes.map((node) => node.title),
        tooNarrow: graph.nodes
          .filter((node) => {
            const [width, height] = node.computeSize();
            return width > node.size[0] || height > node.size[1];
          })
          .map((node) => [node.type, [...node.size], [...node.computeSize()]]),
        load: widgets(load),
        colorize: widgets(colorize),
        picture: picture && [picture.naturalWidth, picture.naturalHeight, picture.src],
        serialized: graph.serialize(),
      };
    },
    [LOADER, COLORIZE, RESULT],
  );
}

const steps = {
  async template(page) {
    await openTemplate(page);
    await shoot(page, "opened");
    await uploadPhoto(page);
    await run(page);
    await shoot(page, "result");
    return { ran: await look(page) };
  },
  async drop(page) {
    await page.keyboard.press("Escape");
    await page.waitForTimeout(500);
    await dropWorkflow(page);
    await shoot(page, "dropped");
    return { dropped: await look(page) };
  },
  async preview(page) {
    await page.keyboard.press("Escape");
    await page.waitForTimeout(500);
    await dropWorkflow(page);
    await uploadPhoto(page);
    await clickWidget(page, LOADER, "preview");
    await run(page);
    await shoot(page, "toast");
    const toasts = await page.locator(".p-toast-message").allInnerTexts();
    const onNode = await page.locator(".text-preview, [class*=text-preview]").allInnerTexts();
    await page.evaluate((id) => {
      const node = window.app.graph.getNodeById(id);
      const preset = node.widgets.find((each) => each.name === "preset");
      preset.value = "building";
      preset.callback("building");
    }, COLORIZE);
    return { toasts, onNode, preset: await look(page) };
  },
};

const browser = await launch();
try {
  const page = await open(browser);
  const found = await steps[order.step](page).catch(async (error) => {
    await shoot(page, "failed");
    throw error;
  });
  process.stdout.write(JSON.stringify({ ...found, problems }) + "\n");
} finally {
  await browser.close();
}
