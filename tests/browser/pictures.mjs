// A picture of the studio for the manual: argv[2] is JSON {url, headers, language, photos, folder,
// shows: "choose" or "compare"}.
import path from "node:path";
import { launch } from "./launch.mjs";

const LIMIT_MS = 60_000;
const SETTLED_MS = 600; // what fades in has done so
const SIZE = { width: 1000, height: 760 };

const order = JSON.parse(process.argv[2]);
const browser = await launch();
try {
  const context = await browser.newContext({
    locale: order.language, viewport: SIZE, extraHTTPHeaders: order.headers,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  await page.goto(order.url);
  await page.locator("#user").filter({ hasText: /./ }).waitFor();
  await page.locator("input[type=file]:not([webkitdirectory])").setInputFiles(order.photos);
  if (order.shows === "choose") {
    await page.evaluate(() => document.querySelector("main h2").scrollIntoView());
  } else {
    await page.locator("#go").click();
    await page.waitForSelector("[data-state=done]");
    await page.locator("[data-state=done] button").first().click();
    await page.locator("dialog[open] img").first().waitFor();
    await page.waitForLoadState("networkidle");
  }
  await page.waitForTimeout(SETTLED_MS);
  await page.screenshot({
    path: path.join(order.folder, `studio-${order.shows}-${order.language.slice(0, 2)}.jpg`),
    type: "jpeg",
    quality: 85,
  });
} finally {
  await browser.close();
}
process.stdout.write("{}\n");
