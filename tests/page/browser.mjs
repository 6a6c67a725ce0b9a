// A browser, driven over a pipe by the protocol of its developer tools; nothing has to be installed for that but the browser.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Browser {
  #waiting = new Map();
  #listeners = [];
  #next = 1;

  static async start(program) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), "page-"));
    const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    const flags = [
      "--headless=new", "--remote-debugging-pipe", `--user-data-dir=${browser.profile}`, "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-default-browser-check",
      "--force-color-profile=srgb", "--hide-scrollbars=false", ...root, "about:blank",
    ];
    browser.process = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    browser.gone = new Promise((resolve) => browser.process.once("exit", resolve));
    browser.process.once("exit", (code) => {
      for (const { reject } of browser.#waiting.values()) reject(new Error(`the browser ended with ${code}`));
    });
    let rest = "";
    browser.process.stdio[4].setEncoding("utf8");
    browser.process.stdio[4].on("data", (piece) => {
      const messages = (rest + piece).split("\0");
      rest = messages.pop();
      for (const message of messages) browser.#received(JSON.parse(message));
    });
    await browser.send("Browser.getVersion");
    return browser;
  }

  #received({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      for (const listener of this.#listeners) if (listener.session === sessionId) listener.heard(method, params);
      return;
    }
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(`${error.message} ${error.data ?? ""}`));
    else resolve(result);
  }

  send(method, params = {}, sessionId) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  // A page; it notes what it asks for and what it complains of.
  async page({ width = 1400, height = 860, dark = false } = {}) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.#listeners.push({ session: sessionId, heard: (method, params) => page.heard(method, params) });
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    return page;
  }

  async end() {
    await Promise.race([this.send("Browser.close").catch(() => {}), this.gone]);
    await this.gone;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  requests = [];
  complaints = [];

  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
  }
  send(method, params) {
    return this.browser.send(method, params, this.session);
  }
  heard(method, params) {
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) {
      this.complaints.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
    }
    if (method === "Log.entryAdded" && params.entry.level !== "verbose" && params.entry.level !== "info") this.complaints.push(params.entry.text);
  }

  // What an expression is, as a value.
  async is(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }
  async until(expression, what = expression) {
    for (const end = Date.now() + 30000; Date.now() < end; await new Promise((done) => setTimeout(done, 30))) {
      // While a page is on its way there is none to ask.
      const value = await this.is(expression).catch(() => false);
      if (value) return value;
    }
    throw new Error(`waited in vain: ${what}`);
  }
  async open(url) {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.until("document.documentElement?.dataset.ready === 'yes' && (document.getElementById('scroller').hidden || document.getElementById('chart').dataset.marks !== undefined)", "the page is ready");
  }
  async settled() {
    await this.is("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))");
  }
  mouse(type, x, y, more = {}) {
    return this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons: type === "mouseMoved" ? (more.held ?? 0) : 1, clickCount: 1, ...more, held: undefined });
  }
  async drag([x, y], [toX, toY], steps = 6) {
    await this.mouse("mousePressed", x, y);
    for (let step = 1; step <= steps; step++) await this.mouse("mouseMoved", x + ((toX - x) * step) / steps, y + ((toY - y) * step) / steps, { held: 1 });
    await this.mouse("mouseReleased", toX, toY, { buttons: 0 });
    await this.settled();
  }
  async click(x, y) {
    await this.mouse("mouseMoved", x, y);
    await this.mouse("mousePressed", x, y);
    await this.mouse("mouseReleased", x, y, { buttons: 0 });
    await this.settled();
  }
  async key(key, code = key) {
    const text = key.length === 1 ? key : key === "Enter" ? "\r" : undefined;
    const numbers = { Enter: 13, Tab: 9, Escape: 27, PageUp: 33, PageDown: 34, End: 35, Home: 36, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 };
    const what = { key, code, text, windowsVirtualKeyCode: numbers[key] ?? key.toUpperCase().charCodeAt(0) };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...what });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...what, text: undefined });
    await this.settled();
  }
  box(id) {
    return this.is(`(({x, y, width, height}) => ({x, y, width, height}))(document.getElementById(${JSON.stringify(id)}).getBoundingClientRect())`);
  }
  async shot(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
  close() {
    return this.browser.send("Target.closeTarget", { targetId: this.target });
  }
}
