// The page: what is shown, what is chosen, and what keys do.

import { Chart } from "./chart.js";
import { Tiles, source } from "./data.js";
import { Detail } from "./detail.js";
import { List, ends } from "./list.js";
import { fit, palette, shape } from "./marks.js";
import { tellOrigin } from "./origin.js";
import { Overview } from "./overview.js";
import { Clock, count, duration, element, things } from "./text.js";

const get = (id) => document.getElementById(id);
// The shortest time that fills the chart, in microseconds.
const CLOSEST = 20;
// Windows in which everything is below one another, as in style.css.
const narrow = matchMedia("(max-width: 1020px)");

class Page {
  chosen = null;
  packets = null;
  pointed = null;
  #opener = get("list");
  #due = false;
  #drawn = false;
  #told = 0;

  async start() {
    this.source = source();
    const scene = (this.scene = await this.source.scene());
    this.clock = new Clock(scene.first);
    const { coarse } = scene;
    if (coarse) {
      // How many packets there are in front of each row.
      const sums = (scene.sums = new Float64Array(coarse.time.length + 1));
      for (let row = 0; row < coarse.time.length; row++) sums[row + 1] = sums[row] + (coarse.count ? coarse.count[row] : 1);
    }
    const margin = Math.max(scene.span * 0.02, scene.span ? 1 : 500000);
    this.full = { from: -margin, to: scene.span + margin };
    this.view = { ...this.full };
    this.colours = palette();
    this.tiles = new Tiles(this.source, scene, (error) => (error ? this.fail(error) : this.redraw()));
    this.#head();
    tellOrigin(scene.origin);
    get("empty").hidden = scene.packets > 0;
    get("scroller").hidden = get("overview").hidden = get("key").hidden = scene.packets === 0;
    this.detail = new Detail(this);
    this.chart = new Chart(this);
    this.overview = new Overview(this);
    this.list = new List(this);
    this.#legend();
    this.#listen();
    this.#resize();
    document.documentElement.dataset.ready = "yes";
  }

  #head() {
    const { scene, clock, source } = this;
    document.title = `${scene.title}: TCP timeline`;
    get("title").textContent = scene.title;
    const digits = scene.span > 120e6 ? 0 : 3;
    const [[day, begin], [last, end]] = [clock.parts(0, digits), clock.parts(scene.span, digits)];
    const when = scene.packets ? `, ${day} ${begin} to ${last === day ? "" : `${last} `}${end} UTC (${duration(scene.span)})` : "";
    const ended = scene.endings.map((name, at) => [name, scene.flows.ending.reduce((n, of) => n + (of === at), 0)]).filter(([, n]) => n);
    const how = ended.length ? ` (${ended.map(([name, n]) => `${count(n)} ${name}`).join(", ")})` : "";
    get("summary").textContent = `${things(scene.packets, "packet")} and ${things(scene.flows.start.length, "flow")}${how} of ${things(scene.hosts.length, "host")}${when}`;
    if (source.offline) {
      get("save").hidden = true;
      if (scene.packets > source.mostPackets) {
        get("note").textContent = `This file holds at most ${count(source.mostPackets)} packets: marks are packets added up, and flows come without theirs.`;
        get("note").hidden = false;
      }
    }
  }

  fail(error) {
    get("note").textContent = `The server does not answer as it should: ${error.message}`;
    get("note").hidden = false;
  }

  // Shows a part of the time, inside what there is.
  show(from, to) {
    const most = this.full.to - this.full.from;
    const span = Math.max(Math.min(to - from, most), Math.min(CLOSEST, most));
    if (span > to - from) from -= (span - (to - from)) / 2;
    from = Math.max(this.full.from, Math.min(from, this.full.to - span));
    this.view = { from, to: from + span };
    this.list.moved();
    this.redraw();
    clearTimeout(this.#told);
    this.#told = setTimeout(() => (get("live").textContent = `Showing ${this.clock.full(this.view.from, 3)}, ${duration(span)}`), 600);
  }

  zoom(factor, about = (this.view.from + this.view.to) / 2) {
    const { from, to } = this.view;
    this.show(about - (about - from) * factor, about + (to - about) * factor);
  }

  zoomTo(flow) {
    const { start, end } = this.scene.flows;
    const margin = Math.max((end[flow] - start[flow]) * 0.08, 50);
    this.show(start[flow] - margin, end[flow] + margin);
  }

  // Opens a flow; nothing closes it.
  async choose(flow) {
    this.chosen = flow;
    this.packets = null;
    this.pointed = null;
    const { box } = this.detail;
    const inside = box.contains(document.activeElement);
    if (flow === null) {
      this.detail.close();
      this.list.draw();
      this.redraw();
      // What had the focus is gone; it goes back to where the flow was opened.
      if (inside) this.#opener.focus();
      return;
    }
    if (!inside) this.#opener = document.activeElement?.closest("#chart, #list") ?? get("list");
    this.list.reveal(flow);
    const { start, end } = this.scene.flows;
    if (end[flow] < this.view.from || start[flow] > this.view.to) {
      const half = (this.view.to - this.view.from) / 2;
      this.show(start[flow] - half, start[flow] + half);
    }
    try {
      const packets = await this.source.packets(flow);
      if (this.chosen !== flow) return;
      this.packets = packets;
      this.detail.show(flow, packets);
      this.list.reveal(flow);
      if (narrow.matches) {
        // It opens below, maybe out of sight.
        box.focus({ preventScroll: true });
        box.scrollIntoView({ block: "nearest" });
      }
      get("live").textContent = `Flow ${ends(this.scene, flow)} is open`;
    } catch (error) {
      this.fail(error);
    }
    this.redraw();
  }

  // The packet of the chosen flow that the pointer is on.
  point(place) {
    this.pointed = place;
    this.chart.drawOverlay();
  }

  redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (!this.overview || !this.list) return;
      this.chart.draw();
      this.overview.draw();
      if (!this.#drawn) performance.mark("first picture");
      this.#drawn = true;
    });
  }

  #legend() {
    const { classes, endings } = this.scene;
    const buttons = classes.map((name, kind) => {
      const button = element("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const icon = document.createElement("canvas");
      icon.setAttribute("aria-hidden", "true");
      button.append(icon, name);
      button.addEventListener("click", () => {
        const { hidden } = this.chart;
        if (!hidden.delete(kind)) hidden.add(kind);
        button.setAttribute("aria-pressed", !hidden.has(kind));
        this.redraw();
      });
      return button;
    });
    get("legend").replaceChildren(...buttons);
    this.#icons();
    const entry = (name, text, line) => {
      const span = element("span");
      span.append(element("i", "", line ? `line ${name}` : name), text);
      return span;
    };
    get("key").replaceChildren(
      element("span", "Flows by start:"), ...endings.map((name) => entry(name, name, false)), entry("packets", "packets", true), entry("bytes", "bytes", true),
    );
  }

  #icons() {
    get("legend").querySelectorAll("canvas").forEach((icon, kind) => {
      const context = fit(icon, 14, 14);
      context.clearRect(0, 0, 14, 14);
      context.fillStyle = this.colours.classes[kind];
      context.beginPath();
      shape(context, kind, 7, 7, 6);
      context.fill();
    });
  }

  #resize() {
    this.chart.resize();
    this.overview.resize();
    this.list.draw();
  }

  #listen() {
    new ResizeObserver(() => this.#resize()).observe(get("time"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = palette();
      this.#icons();
      this.#resize();
    });
    get("hosts").addEventListener("input", () => this.chart.filter(get("hosts").value));
    get("in").addEventListener("click", () => this.zoom(1 / 2));
    get("out").addEventListener("click", () => this.zoom(2));
    get("all").addEventListener("click", () => this.show(this.full.from, this.full.to));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (this.chosen !== null) this.choose(null);
      return;
    }
    if (event.target.closest?.("input, select, #detail, #origin")) return;
    // Where the window itself scrolls, keys that scroll are its own, unless the chart has the focus.
    const scrolls = document.documentElement.scrollHeight > innerHeight + 1;
    if (scrolls && !event.target.closest?.("#time canvas") && /^(Arrow(Up|Down)|Page|Home|End)/.test(event.key)) return;
    const { from, to } = this.view;
    const step = (to - from) * (event.shiftKey ? 0.9 : 0.2);
    const { scroller, rowHeight } = this.chart;
    const rows = (by) => {
      const before = scroller.scrollTop;
      scroller.scrollTop += by;
      return scroller.scrollTop !== before;
    };
    const page = Math.max(rowHeight, scroller.clientHeight - 24 - rowHeight);
    const acts = {
      ArrowLeft: () => this.show(from - step, to - step),
      ArrowRight: () => this.show(from + step, to + step),
      ArrowUp: () => rows(-3 * rowHeight),
      ArrowDown: () => rows(3 * rowHeight),
      PageUp: () => rows(-page),
      PageDown: () => rows(page),
      "+": () => this.zoom(1 / 2),
      "=": () => this.zoom(1 / 2),
      "-": () => this.zoom(2),
      Home: () => this.show(this.full.from, this.full.to),
      End: () => this.show(this.full.to - (to - from), this.full.to),
    };
    // What has come to its end leaves the key to the window.
    if (acts[event.key] && (acts[event.key]() !== false || !scrolls)) event.preventDefault();
  }
}

const page = new Page();
page.start().catch((error) => page.fail(error));
