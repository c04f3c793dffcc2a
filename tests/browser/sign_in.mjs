// A person signs in with the keyboard, gets the password wrong, waits, gets in, signs out:
// argv[2] is JSON {url, language, name, password, free}. Prints one line of JSON.
import { launch } from "./launch.mjs";

const LIMIT_MS = 20_000;
const PHONE = { width: 360, height: 640 };

const order = JSON.parse(process.argv[2]);
const violations = [];
const hosts = new Set();

async function submit(page, password) {
  const name = page.locator("#name");
  await name.fill(order.name);
  await name.press("Tab");
  await page.keyboard.type(password);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

async function seen(page) {
  return page.evaluate(() => ({
    path: location.pathname + location.search,
    language: document.documentElement.lang,
    alert: document.querySelector("[role=alert]")?.innerText ?? "",
    name: document.querySelector("#name")?.value,
    focused: document.activeElement?.id,
    styled: getComputedStyle(document.body).display === "grid",
    wide: document.documentElement.scrollWidth > innerWidth,
    text: document.body.innerText,
  }));
}

/** A form on another site that posts to ours, as an attacker's page would. */
async function fromElsewhere(context, path) {
  const page = await context.newPage();
  await page.goto(`data:text/html,<form method="post" action="${order.url}${path}"></form>`);
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate(() => document.forms[0].submit()),
  ]);
  await page.close();
}

/** A link in a mail or on another site. */
async function followLink(context, path) {
  const page = await context.newPage();
  await page.goto(`data:text/html,<a href="${order.url}${path}">photo</a>`);
  await page.click("a");
  const arrived = ({ pathname, search }) => pathname !== "/login" || search.includes("again=");
  await page.waitForURL((url) => url.protocol === "https:" && arrived(url));
  const found = await seen(page);
  await page.close();
  return found;
}

async function signOut(page) {
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate(() => {
      const form = document.createElement("form");
      form.method = "post";
      form.action = "/logout";
      document.body.append(form);
      form.submit();
    }),
  ]);
}

const browser = await launch();
try {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, locale: order.language, viewport: PHONE,
  });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) violations.push(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:") hosts.add(url.origin);
  });
  const found = {};
  await page.goto(`${order.url}/photo?n=1`);
  found.first = await seen(page);
  for (let guess = 0; guess < order.free; guess += 1) {
    await submit(page, `wrong ${guess}`);
    found.wrong = await seen(page);
  }
  await submit(page, order.password);
  found.locked = await seen(page);
  await page.waitForTimeout(order.wait);
  await submit(page, order.password);
  found.inside = await seen(page);
  found.cookies = await context.cookies();
  await fromElsewhere(context, "/logout");
  await page.goto(`${order.url}/photo?n=2`);
  found.after = await seen(page);
  found.followed = await followLink(context, "/photo?n=4");
  await signOut(page);
  found.out = await seen(page);
  await page.goto(`${order.url}/photo?n=3`);
  found.again = await seen(page);
  found.followedOut = await followLink(context, "/photo?n=5");
  process.stdout.write(JSON.stringify({ ...found, violations, hosts: [...hosts] }) + "\n");
} finally {
  await browser.close();
}
