// A person at the studio's page: argv[2] is JSON {url, headers, language, phone, dark, visit,
// files, folder, downloads, shots}. Prints one line of JSON.
import { readFile } from "node:fs/promises";
import path from "node:path";
import axe from "axe-core";
import { launch } from "./launch.mjs";

const LIMIT_MS = 90_000;
const SOON_MS = 20_000;
const A_LOOK_MS = 1000; // the page's own pause between two looks at its jobs
const SMALLEST_PX = 16;
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 320, height: 640 } };

const order = JSON.parse(process.argv[2]);
const found = { violations: [], errors: [], hosts: [], axe: [], wide: [], small: [], bytes: 0 };
let shots = 0;

const texts = async (page, selector) =>
  (await page.locator(selector).allInnerTexts()).map((text) => text.trim());

/** Look at the page as it is now: its accessibility, its width, and a picture of it. */
async function look(page, name) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run());
  for (const { id, nodes } of violations) {
    found.axe.push(`${name}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }
  if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) {
    found.wide.push(name);
  }
  const small = await page.evaluate((least) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = new Set();
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode;
      const size = parseFloat(getComputedStyle(parentElement).fontSize);
      if (data.trim() && size < least) found.add(`${size} px: ${data.trim()}`);
    }
    return [...found];
  }, SMALLEST_PX);
  for (const text of small) found.small.push(`${name}: ${text}`);
  shots += 1;
  const file = `${order.visit}-${order.language}-${shots}-${name}.png`;
  await page.screenshot({ path: path.join(order.shots, file), fullPage: name !== "compare" });
}

/** Go on with the keyboard alone until `selector` has the focus. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`The keyboard does not reach ${selector}`);
}

async function download(page, link, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), link.press("Enter")]);
  await file.saveAs(path.join(order.downloads, name));
  return file.suggestedFilename();
}

async function open(page) {
  await page.goto(order.url);
  await page.locator("#jobs").waitFor();
  await page.locator("#user").filter({ hasText: /./ }).waitFor();
  await page.waitForLoadState("networkidle");
}

const ended = (page, count, timeout = LIMIT_MS) =>
  page.waitForFunction(
    (all) =>
      document.querySelectorAll("[data-state=done], [data-state=failed]").length === all &&
      ![...document.querySelectorAll(".job > progress")].some((bar) => !bar.hidden),
    count,
    { timeout },
  );

const focused = (page) => page.evaluate(() => document.activeElement.closest("[data-job]")?.dataset.job);
/** As when a person comes back to the window. */
const comeBack = (page) => page.evaluate(() => dispatchEvent(new Event("focus")));

/** Requests that are held until `release` is called. */
async function hold(page, address, { first = false } = {}) {
  let release;
  let arrived;
  const released = new Promise((resolve) => (release = resolve));
  const reached = new Promise((resolve) => (arrived = resolve));
  await page.route(
    address,
    async (route) => {
      const response = await route.fetch();
      arrived();
      await released;
      await route.fulfill({ response });
    },
    first ? { times: 1 } : {},
  );
  return { reached, release };
}

/** Which pictures of the cards are there. */
async function pictures(page) {
  const found = [];
  for (const thumb of await page.locator(".card .thumb").all()) {
    await thumb.scrollIntoViewIfNeeded();
    found.push(
      await thumb.evaluate(async (element) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        const picture = element.querySelector("img");
        return Boolean(picture && (await picture.decode().then(() => true, () => false)));
      }),
    );
  }
  return found;
}

async function chooseAndGo(page) {
  await page.setInputFiles("#files", order.files);
  await tabTo(page, "#go");
  await page.keyboard.press("Enter");
}

const visits = {
  async whole(page) {
    await open(page);
    found.firstBytes = found.bytes;
    found.names = [];
    page.on("request", (request) => {
      const name = new URL(request.url()).searchParams.get("name");
      if (name) found.names.push(name);
    });
    found.first = {
      language: await page.evaluate(() => document.documentElement.lang),
      disabled: await page.locator("#go").isDisabled(),
      chosen: await page.locator("input[name=preset]:checked").inputValue(),
      links: await page.locator("nav a:visible").allInnerTexts(),
    };
    await look(page, "start");
    await page.setInputFiles("#files", order.files);
    await page.setInputFiles("#folder", order.folder);
    found.chosen = {
      title: await page.locator("#chosen-title").innerText(),
      leftOut: await page.locator("#left-out").innerText(),
      files: await texts(page, "#tray li .told"),
    };
    await look(page, "chosen");
    await page.evaluate(() => {
      window.said = [];
      const seen = () => window.said.push(document.getElementById("announcer").textContent);
      new MutationObserver(seen).observe(document.getElementById("announcer"), { childList: true });
      window.states = new Set();
      const states = () => {
        for (const each of document.querySelectorAll(".card .state")) window.states.add(each.textContent);
        if (!document.getElementById("sending").hidden) {
          window.states.add(document.getElementById("sending-text").textContent);
        }
      };
      new MutationObserver(states).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await page.focus("#files");
    await tabTo(page, "#go");
    await page.keyboard.press("Enter");
    await page.locator(".job").waitFor();
    found.focused = await page.evaluate(() => document.activeElement.tagName);
    await look(page, "running");
    await ended(page, order.good);
    found.states = await page.evaluate(() => [...window.states]);
    found.said = await page.evaluate(() => window.said);
    found.refused = await texts(page, "#tray li .told");
    found.sum = await texts(page, ".job .sum");
    found.until = await texts(page, ".job .actions .until");
    found.promise = await page.locator("#promise").innerText();
    found.cards = await texts(page, ".card");
    found.help = await page.locator(".notices a").first().getAttribute("href");
    await look(page, "done");

    await page.locator(".thumb").first().press("Enter");
    await page.waitForFunction(() => document.getElementById("view-after").complete);
    const slider = () =>
      page.evaluate(() => [
        getComputedStyle(document.getElementById("view-after")).clipPath,
        document.getElementById("compare-at").getAttribute("aria-valuetext"),
        document.activeElement.id,
      ]);
    const picture = async () => (await page.locator("#views").screenshot()).toString("base64");
    const [middle, middlePicture] = [await slider(), await picture()];
    for (let presses = 0; presses < 20; presses += 1) await page.keyboard.press("ArrowRight");
    const [right, rightPicture] = [await slider(), await picture()];
    await page.keyboard.press("Home");
    found.slider = { middle, right, all: await slider(), changed: middlePicture !== rightPicture };
    await look(page, "compare");
    await page.keyboard.press("Escape");
    found.focusBack = await page.evaluate(() => document.activeElement.className);

    found.one = await download(page, page.locator(".card .button").first(), "one");
    found.all = await download(page, page.locator(".job .actions .button"), "all.zip");

    await page.locator("#language").press("Enter");
    await page.waitForFunction((was) => document.documentElement.lang !== was, found.first.language);
    found.switched = await page.locator("#go").innerText();
    await look(page, "switched");
    await open(page);
    found.kept = await page.evaluate(() => document.documentElement.lang);

    const remove = page.locator(".job .actions button:visible").last();
    await remove.press("Enter");
    await look(page, "sure");
    await page.keyboard.press("Enter"); // "keep it" has the focus
    found.keptJobs = await page.locator(".job").count();
    await remove.evaluate((button) => {
      // Asked, kept and asked again before the browser tells that it has closed.
      button.click();
      document.getElementById("sure").close("no");
      button.click();
    });
    await page.locator("#sure button[value=yes]").press("Enter");
    await page.locator(".job").waitFor({ state: "detached" });
    found.focusAfter = await page.evaluate(() => document.activeElement.id);
    await look(page, "deleted");
  },

  async fetch(page) {
    await open(page);
    await chooseAndGo(page);
    await ended(page, 1);
    const link = page.locator(".card .button");
    found.one = await download(page, link, "one");
    found.id = (await link.getAttribute("href")).split("/")[4];
  },

  async queue(page) {
    await open(page);
    await chooseAndGo(page);
    await page.locator(".job").waitFor();
    found.positions = await texts(page, ".card .state");
    found.sumQueued = await page.locator(".sum").innerText();
    found.pictures = await pictures(page);
    found.title = await page.title();
    await look(page, "queued");
    const button = (nth) => page.locator(".job .actions button:visible").nth(nth);
    await button(0).press("Enter");
    await page.locator("[data-state=cancelled]").last().waitFor();
    found.cancelled = await texts(page, ".card .state");
    found.focused = await page.evaluate(() => document.activeElement.tagName);
    await look(page, "cancelled");
    await open(page);
    await page.locator(".card").first().waitFor();
    found.picturesAgain = await pictures(page);
    await button(0).press("Enter");
    await page.locator("[data-state=queued]").last().waitFor();
    found.again = await texts(page, ".card .state");
  },

  async limits(page) {
    await open(page);
    await page.setInputFiles("#files", order.files);
    await page.locator(".refused").waitFor();
    found.requests = 0;
    page.on("request", (request) => {
      if (request.url().includes("/photos?")) found.requests += 1;
    });
    await page.locator("#go").press("Enter");
    await page.locator(".job").nth(1).waitFor();
    found.jobs = await page.locator(".job").evaluateAll((all) =>
      all.map((job) => job.querySelectorAll(".card").length),
    );
    found.refused = await texts(page, "#tray li .told");
    found.said = await page.locator("#announcer").textContent();
  },

  async viewer(page) {
    await open(page);
    found.shown = {
      new: await page.locator("#new").isVisible(),
      told: await page.locator("#viewer").innerText(),
      jobs: await page.locator("#jobs").isVisible(),
    };
    await look(page, "viewer");
  },

  async preview(page) {
    await open(page);
    found.banner = await page.locator("#banners").innerText();
    found.button = await page.locator("#go").innerText();
    await look(page, "no-model");
    await chooseAndGo(page);
    await ended(page, order.files.length);
    found.card = (await texts(page, ".card"))[0];
    await page.locator(".thumb").first().press("Enter");
    found.compare = await page.locator("#compare").innerText();
    await look(page, "compare");
    await page.keyboard.press("Escape");
    await look(page, "preview");
  },

  /** One photograph after another in the big picture, on a slow line and on a broken one. */
  async compare(page) {
    await open(page);
    await chooseAndGo(page);
    await ended(page, order.files.length);
    const views = ["#view-before", "#view-after"];
    const seen = () => Promise.all(views.map((view) => page.locator(view).isVisible()));
    const there = () =>
      page.waitForFunction((all) => all.every((view) => document.querySelector(view).naturalWidth), views);
    const picture = (name) =>
      page.locator("#views").screenshot({ path: path.join(order.downloads, `${name}.png`) });
    await page.locator(".thumb").first().press("Enter");
    await there();
    await picture("first");
    found.first = await seen();
    await page.keyboard.press("Escape");
    const gone = (all) => all.every((view) => !document.querySelector(view).hasAttribute("src"));
    await page.waitForFunction(gone, views, { timeout: SOON_MS });

    const one = await hold(page, "**/after", { first: true });
    await page.locator(".thumb").nth(1).press("Enter");
    await one.reached;
    await page.waitForTimeout(300);
    found.loading = { seen: await seen(), name: await page.locator("#compare-name").innerText() };
    await picture("loading");
    found.loading.text = await page.locator("#compare").innerText();
    await look(page, "compare");
    one.release();
    await page.locator(views[1]).waitFor();
    found.loaded = await seen();
    found.told = await page.locator("#compare-told").textContent();
    await picture("second");
    await page.keyboard.press("Escape");

    await page.route("**/before", (route) => route.fulfill({ status: 500 }));
    await page.locator(".thumb").first().press("Enter");
    await page.locator("#compare-told").filter({ hasText: order.failed }).waitFor({ timeout: SOON_MS });
    found.failed = await seen();
  },

  /** Some requests fail, one is slow: the list still ends as the studio's own. */
  async polling(page) {
    await open(page);
    let failures = 2;
    await page.route("**/api/v1/jobs**", async (route) => {
      if (route.request().method() !== "GET" || failures === 0) return route.continue();
      failures -= 1;
      return route.fulfill({ status: 500, json: { error: { code: "internal_error", message: "It failed." } } });
    });
    await chooseAndGo(page);
    await page.locator("#banners .banner").waitFor();
    found.banner = await page.locator("#banners").innerText();
    await ended(page, 1);
    await page.waitForFunction(() => !document.getElementById("banners").textContent);
    await page.unroute("**/api/v1/jobs**");

    const slow = await hold(page, "**/api/v1/jobs", { first: true });
    await comeBack(page);
    await slow.reached;
    // Meanwhile in another tab.
    const data = await readFile(order.files[0]);
    const headers = { "Content-Type": "application/octet-stream" };
    const brought = await page.request.post(`${order.url}/api/v1/photos?name=other.jpg`, { data, headers });
    const photos = [(await brought.json()).id];
    await page.request.post(`${order.url}/api/v1/jobs`, { data: { photos, preset: "auto" } });
    await comeBack(page);
    slow.release();
    await page.locator(".job").nth(1).waitFor({ timeout: SOON_MS });
    await ended(page, 2);

    // A list that is older than what was done here changes nothing.
    const late = await hold(page, "**/api/v1/jobs", { first: true });
    await comeBack(page);
    await late.reached;
    await page.locator(".job .actions button:visible").first().press("Enter");
    await page.locator("#sure button[value=yes]").press("Enter");
    await page.locator(".job").nth(1).waitFor({ state: "detached" });
    late.release();
    await page.waitForTimeout(2 * A_LOOK_MS);
    found.left = await page.locator(".job").count();
  },

  /** What a card says of a photograph that is being worked on. */
  async words(page) {
    await open(page);
    let progress = 0;
    await page.route("**/api/v1/jobs/*", async (route) => {
      const response = await route.fetch();
      const job = await response.json();
      Object.assign(job.photos[0], { state: "running", progress });
      await route.fulfill({ response, json: job });
    });
    await chooseAndGo(page);
    const state = page.locator("[data-state=running] .state");
    await state.waitFor();
    found.prepared = await state.innerText();
    await look(page, "prepared");
    progress = 0.42;
    await state.filter({ hasText: "42" }).waitFor();
    found.running = await state.innerText();
  },

  /** More jobs than one answer has. */
  async older(page) {
    await open(page);
    await page.locator(".card").first().waitFor();
    const jobs = page.locator(".job");
    found.firstJobs = await jobs.count();
    await page.locator("#older").press("Enter");
    await jobs.nth(order.jobs - 1).waitFor();
    found.focusedJob = await focused(page);
    found.order = await jobs.evaluateAll((all) => all.map(({ dataset }) => dataset.job));
    found.olderHidden = await page.locator("#older").isHidden();
    await jobs.last().scrollIntoViewIfNeeded();
    await jobs.last().locator(".card").waitFor();
    await look(page, "older");
    await jobs.last().locator(".actions button:visible").last().press("Enter");
    await page.locator("#sure button[value=yes]").press("Enter");
    await jobs.nth(order.jobs - 1).waitFor({ state: "detached" });
    await comeBack(page);
    await page.waitForTimeout(A_LOOK_MS);
    found.leftJobs = await jobs.count();
    await page.locator("#language").press("Enter");
    await page.waitForFunction(() => document.documentElement.lang === "zh-Hans");
    found.orderAgain = await jobs.evaluateAll((all) => all.map(({ dataset }) => dataset.job));
  },

  /** A job of very many photographs, and another that is still open. */
  async many(page) {
    await open(page);
    const job = page.locator(`[data-job="${order.job}"]`);
    await job.locator(".card").first().waitFor();
    await page.waitForTimeout(A_LOOK_MS);
    found.cards = await job.locator(".card").count();
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.waitForTimeout(3 * A_LOOK_MS);
    found.asked = [...new Set(asked)].filter((each) => each.includes("/jobs")).sort();
    const button = job.getByRole("button", { name: order.all });
    await button.press("Enter");
    await job.locator(".card").nth(order.photos - 1).waitFor({ state: "attached" });
    found.allCards = await job.locator(".card").count();
    found.focusedCard = await page.evaluate(() =>
      [...document.activeElement.parentElement.children].indexOf(document.activeElement),
    );
    found.buttonHidden = await button.isHidden();
    await look(page, "many");
    await page.waitForTimeout(2 * A_LOOK_MS);
    found.stillAll = await job.locator(".card").count();
  },

  async promise(page) {
    await open(page);
    found.promise = await page.locator("#promise").innerText();
  },

  /** The network comes and goes, the session ends; what was chosen stays. */
  async trouble(page) {
    await open(page);
    await page.setInputFiles("#files", order.files);
    await page.route("**/api/v1/**", (route) => route.abort());
    await tabTo(page, "#go");
    await page.keyboard.press("Enter");
    await page.locator("#banners .banner").waitFor();
    found.lost = await page.locator("#banners").innerText();
    await look(page, "lost");
    await page.unroute("**/api/v1/**");
    await page.locator(".job").waitFor();
    await page.waitForFunction(() => !document.getElementById("banners").textContent);
    found.sent = await page.locator(".card").count();

    await page.setInputFiles("#files", order.files);
    const held = [];
    await page.route("**/api/v1/photos?*", (route) => void held.push(route)); // never answered
    await page.locator("#go").press("Enter");
    await page.locator("#tray progress:visible").first().waitFor();
    found.asksBeforeLeaving = await page.evaluate(() => {
      const event = new Event("beforeunload", { cancelable: true });
      dispatchEvent(event);
      return event.defaultPrevented;
    });
    await page.locator("#stop").press("Enter");
    await page.locator("#go:visible").waitFor();
    found.stopped = await page.locator("#chosen-title").innerText();
    await Promise.all(held.map((route) => route.abort().catch(() => {}))); // else they go on now
    await page.unroute("**/api/v1/photos?*");

    await page.route("**/api/v1/**", (route) => route.fulfill({ status: 401, body: "Sign in" }));
    await page.locator("#go").press("Enter");
    await page.locator("#banners a").waitFor();
    found.over = await page.locator("#banners").innerText();
    found.signIn = await page.locator("#banners a").getAttribute("href");
    await page.locator("#go:visible").waitFor();
    found.stillChosen = await page.locator("#chosen-title").innerText();
    await look(page, "signed-out");
    await page.unroute("**/api/v1/**");
    await page.locator("#go").press("Enter");
    await page.locator(".job").nth(1).waitFor();
    await page.waitForFunction(() => !document.getElementById("banners").textContent);
  },

  /** Through the real gateway: signed in, coloured, and the session ended in another tab. */
  async door(page) {
    await page.goto(order.url);
    await page.fill("input[name=name]", order.name);
    await page.fill("input[name=password]", order.password);
    await page.press("input[name=password]", "Enter");
    await page.locator("#user").filter({ hasText: order.name }).waitFor();
    found.policy = (await page.request.get(`${order.url}/`)).headers()["content-security-policy"];
    await chooseAndGo(page);
    await ended(page, order.files.length);
    await look(page, "done");
    found.one = await download(page, page.locator(".card .button").first(), "one");
    await page.setInputFiles("#files", order.files);
    await page.context().clearCookies();
    await page.locator("#go").press("Enter");
    await page.locator("#banners a").waitFor();
    const [signIn] = await Promise.all([
      page.context().waitForEvent("page"),
      page.locator("#banners a").press("Enter"),
    ]);
    await signIn.fill("input[name=name]", order.name);
    await signIn.fill("input[name=password]", order.password);
    await signIn.press("input[name=password]", "Enter");
    await signIn.locator("#user").filter({ hasText: order.name }).waitFor();
    await signIn.close();
    await page.bringToFront();
    await page.locator("#go").press("Enter");
    await page.locator(".job").nth(1).waitFor();
    await page.waitForFunction(() => !document.getElementById("banners").textContent);
    await ended(page, 2 * order.files.length);
    await page.locator("#sign-out button").press("Enter");
    await page.waitForURL("**/login**");
  },

  /** Dropped files, and names that would be markup. */
  async drop(page) {
    await open(page);
    const bytes = [...(await readFile(order.files[0]))];
    const transfer = await page.evaluateHandle((content) => {
      const data = new DataTransfer();
      const file = (name) => new File([new Uint8Array(content)], name, { type: "image/jpeg" });
      data.items.add(file("<img src=x onerror=alert(1)>.jpg"));
      data.items.add(new File(["text"], "notes.txt", { type: "text/plain" }));
      return data;
    }, bytes);
    for (const kind of ["dragenter", "dragover", "drop"]) {
      await page.dispatchEvent("body", kind, { dataTransfer: transfer });
    }
    await page.locator("#tray li").waitFor();
    found.leftOut = await page.locator("#left-out").innerText();
    await page.locator("#clear").press("Enter");

    // A folder, as the system's own file manager drops it.
    const network = await page.context().newCDPSession(page);
    const { x, y } = await page.locator("#drop").boundingBox();
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      const data = { items: [], files: [order.folder], dragOperationsMask: 1 };
      await network.send("Input.dispatchDragEvent", { type, x: x + 9, y: y + 9, data });
    }
    await page.locator("#tray li").waitFor();
    found.folder = await texts(page, "#tray li .told p:first-child");
    await page.locator("#clear").press("Enter");

    for (const kind of ["dragenter", "dragover", "drop"]) {
      await page.dispatchEvent("body", kind, { dataTransfer: transfer });
    }
    await page.locator("#tray li").waitFor();
    await page.locator("#go").press("Enter");
    await ended(page, 1);
    found.name = await page.locator(".card h4").innerText();
  },
};

const browser = await launch();
try {
  const context = await browser.newContext({
    locale: order.language,
    viewport: SIZES[order.phone ? "phone" : "desktop"],
    hasTouch: order.phone,
    isMobile: order.phone,
    colorScheme: order.dark ? "dark" : "light",
    extraHTTPHeaders: order.headers,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  network.on("Network.loadingFinished", ({ encodedDataLength }) => {
    found.bytes += encodedDataLength;
  });
  page.on("console", (message) => {
    const text = message.text();
    if (/Content.Security.Policy/i.test(text)) found.violations.push(text);
    else if (["error", "warning"].includes(message.type())) found.errors.push(text);
  });
  page.on("pageerror", (error) => found.errors.push(error.stack));
  const hosts = new Set();
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:") hosts.add(origin);
  });
  await visits[order.visit](page).catch(async (error) => {
    await page.screenshot({ path: path.join(order.shots, `failed-${order.visit}.png`), fullPage: true });
    throw error;
  });
  found.hosts = [...hosts];
  process.stdout.write(JSON.stringify(found) + "\n");
} catch (error) {
  process.stderr.write(JSON.stringify(found, null, 1) + "\n");
  throw error;
} finally {
  await browser.close();
}
