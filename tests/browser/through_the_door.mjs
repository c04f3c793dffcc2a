// A person signs in at the gateway and colours a photograph in ComfyUI behind it: argv[2] is JSON
// {url, name, password, photo, workflowFile, shot}. Prints one line of JSON.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { launch } from "./launch.mjs";

const LIMIT_MS = 60_000;

const order = JSON.parse(process.argv[2]);
const found = { refused: [], violations: [], errors: [], elsewhere: [] };

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  page.setDefaultTimeout(LIMIT_MS);
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^(http|ws)/.test(url.protocol) && url.origin !== new URL(order.url).origin) {
      found.elsewhere.push(url.href);
    }
  });
  page.on("response", (response) => {
    if (response.status() >= 400) {
      found.refused.push(
        `${response.status()} ${response.request().method()} ${new URL(response.url()).pathname}`,
      );
    }
  });
  page.on("console", (message) => {
    const text = message.text();
    if (/Content.Security.Policy/i.test(text)) found.violations.push(text);
  });
  page.on("pageerror", (error) => found.errors.push(String(error)));
  await page.goto(order.url);
  await page.fill("input[name=name]", order.name);
  await page.fill("input[name=password]", order.password);
  await page.press("input[name=password]", "Enter");
  await page.waitForFunction(() => window.app?.graph && window.app.extensionManager);
  await page.waitForSelector("canvas#graph-canvas");
  await page.waitForTimeout(1500);
  found.address = new URL(page.url()).pathname;
  found.nodes = await page.evaluate(() => Object.keys(window.LiteGraph.registered_node_types));

  const text = await readFile(order.workflowFile, "utf-8");
  const bytes = [...(await readFile(order.photo))];
  found.result = await page.evaluate(
    async ([workflow, photo, name]) => {
      await window.app.loadGraphData(JSON.parse(workflow));
      const form = new FormData();
      form.append("image", new File([new Uint8Array(photo)], name, { type: "image/png" }));
      const sent = await window.app.api.fetchApi("/upload/image", { method: "POST", body: form });
      const taken = await sent.json();
      const loader = window.app.graph.nodes.find((node) => node.type === "LoadImage");
      const value = `${taken.subfolder}/${taken.name}`;
      loader.widgets.find((each) => each.name === "image").value = value;
      const ended = new Promise((resolve) => {
        for (const kind of ["execution_success", "execution_error"]) {
          window.app.api.addEventListener(kind, () => resolve(kind));
        }
      });
      let progress = 0;
      window.app.api.addEventListener("progress", () => (progress += 1));
      await window.app.queuePrompt(0, 1);
      const outcome = await ended;
      return { outcome, progress, value };
    },
    [text, bytes, path.basename(order.photo)],
  );
  await page.waitForFunction(() =>
    window.app.graph.nodes.some(
      (node) => /Save/.test(node.type) && node.imgs?.[0]?.naturalWidth > 0,
    ),
  );
  found.picture = await page.evaluate(() => {
    const node = window.app.graph.nodes.find((each) => /Save/.test(each.type));
    const picture = node.imgs[0];
    return [picture.naturalWidth, picture.naturalHeight, new URL(picture.src).pathname];
  });
  if (order.shot) await page.screenshot({ path: order.shot });
  process.stdout.write(JSON.stringify(found) + "\n");
} catch (error) {
  process.stderr.write(JSON.stringify(found) + "\n");
  throw error;
} finally {
  await browser.close();
}
