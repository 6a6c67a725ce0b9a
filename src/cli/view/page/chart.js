// The chart: a row a host, packets in the row of who sent them; arcs to who gets them on a layer above.

import { lowerBound } from "./data.js";
import { arc, beginning, fit, fitting, shape } from "./marks.js";
import { Rows } from "./rows.js";
import { bytes, count, duration, things } from "./text.js";

const AXIS = 24;
const COLUMN = 5;
const CLASSES = 7;
// More packets than these in sight are stacked.
const MOST_SHAPES = 2500;
const MOST_ARCS = 400;

export class Chart {
  // `page`: scene, clock, tiles, view, colours, chosen; and what to call.
  constructor(page) {
    this.page = page;
    this.canvas = document.getElementById("chart");
    this.overlay = document.getElementById("overlay");
    this.scroller = document.getElementById("scroller");
    this.spacer = document.getElementById("spacer");
    this.tip = document.getElementById("tip");
    this.hidden = new Set();
    this.hover = null;
    this.rows = new Rows(page.scene, page.source);
    // What stands beside rows, by host: as much of its name as there is room for.
    this.labels = new Map();
    this.filter("");
    this.scroller.addEventListener("scroll", () => page.redraw());
    this.#pointer();
  }

  // Rows for hosts that the words find, and for those they talk with.
  filter(text) {
    this.rows.filter(text);
    // What the pointer was on is elsewhere.
    this.#hide();
    const { words, list, note } = this.rows;
    const none = document.getElementById("none");
    none.hidden = words.length === 0 || list.length > 0;
    none.textContent = none.hidden ? "" : `No host has “${words.join("” or “")}” in its name.`;
    const fold = document.getElementById("fold");
    fold.hidden = !note;
    fold.textContent = note;
    this.scroller.scrollTop = 0;
    this.resize();
    this.page.overview?.resize();
  }

  resize() {
    const width = this.scroller.clientWidth;
    const height = this.scroller.clientHeight;
    if (!width || !height) return;
    this.width = width;
    this.height = height;
    const context = this.canvas.getContext("2d");
    context.font = this.#font();
    // The date stands below the names.
    let widest = 94;
    for (const host of this.rows.list.slice(0, 2000)) widest = Math.max(widest, context.measureText(beginning(this.rows.name(host))).width);
    this.labels.clear();
    this.left = Math.ceil(Math.min(widest + 18, 250, width * 0.4));
    this.plot = Math.max(50, width - this.left - 12);
    const fitting = (height - AXIS) / Math.max(1, this.rows.list.length);
    this.rowHeight = Math.floor(Math.max(18, Math.min(96, fitting)));
    this.spacer.style.height = `${Math.max(0, this.rows.list.length * this.rowHeight + AXIS - 2)}px`;
    this.page.redraw();
  }

  #font() {
    return `12px ${getComputedStyle(document.body).fontFamily}`;
  }
  x(time) {
    const { from, to } = this.page.view;
    return this.left + ((time - from) / (to - from)) * this.plot;
  }
  time(x) {
    const { from, to } = this.page.view;
    return from + ((x - this.left) / this.plot) * (to - from);
  }
  y(row) {
    return (row + 0.5) * this.rowHeight - this.scroller.scrollTop;
  }

  draw() {
    if (!this.width) return;
    const { scene, colours, view, clock, tiles } = this.page;
    const { list, words, matched, wantsPackets, asked } = this.rows;
    let level = scene.coarse ? tiles.level(view.from, view.to, ((view.to - view.from) / this.plot) * COLUMN * 0.5, wantsPackets) : 0;
    let parts = scene.coarse ? tiles.rows(level, view.from, view.to, level > 0 ? asked : "") : [];
    const waiting = !parts;
    if (waiting) {
      parts = [scene.coarse];
      level = scene.coarse.level;
    }
    const width = level === 0 ? 0 : scene.levels[level].width;
    const ranges = parts.map((rows) => [lowerBound(rows.time, view.from - width), lowerBound(rows.time, view.to)]);
    this.single = level === 0 && ranges.reduce((sum, [from, upto]) => sum + upto - from, 0) <= MOST_SHAPES;
    // Shapes are on the row's line, stacks stand on it.
    const room = Math.min(56, this.rowHeight * 0.84);
    const line = this.single ? 0 : room / 2;

    const context = fit(this.canvas, this.width, this.height);
    context.font = this.#font();
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, this.width, this.height);
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.rowHeight));
    const last = Math.min(this.rows.list.length, Math.ceil((this.scroller.scrollTop + this.height - AXIS) / this.rowHeight));

    context.save();
    context.beginPath();
    context.rect(0, 0, this.width, this.height - AXIS);
    context.clip();
    context.textBaseline = "middle";
    for (let row = first; row < last; row++) {
      const y = this.y(row);
      context.fillStyle = colours.faint;
      context.fillRect(this.left, Math.round(y + line), this.plot, 1);
      const host = list[row];
      context.fillStyle = (words.length > 0 && !matched[host]) || host === this.rows.others ? colours.muted : colours.ink;
      this.#label(context, host, y);
    }
    context.restore();

    const ticks = clock.ticks(view.from, view.to, Math.max(3, Math.floor(this.plot / 120)));
    context.textAlign = "center";
    for (const { at, text } of ticks) {
      const x = Math.round(this.x(at));
      context.fillStyle = colours.faint;
      context.fillRect(x, 0, 1, this.height - AXIS);
      context.fillStyle = colours.muted;
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.max(this.left + half, Math.min(this.width - half - 2, x)), this.height - AXIS / 2 + 2);
    }
    context.textAlign = "left";
    context.fillStyle = colours.muted;
    context.fillText(`${clock.parts(Math.max(0, view.from))[0]} UTC`.trim(), 2, this.height - AXIS / 2 + 2);
    context.fillStyle = colours.line;
    context.fillRect(this.left, this.height - AXIS, this.plot, 1);

    context.save();
    context.beginPath();
    context.rect(this.left - 6, 0, this.plot + 12, this.height - AXIS);
    context.clip();
    const marks = this.single ? this.#shapes(context, parts, ranges, first, last) : this.#stacks(context, parts, ranges, width, room, first, last);
    context.restore();
    Object.assign(this.canvas.dataset, { level, marks, waiting, rows: list.length, from: Math.round(view.from), to: Math.round(view.to), left: this.left, row: this.rowHeight });
    this.parts = parts;
    this.level = level;
    this.drawOverlay();
  }

  #label(context, host, y) {
    let text = this.labels.get(host);
    if (text === undefined) this.labels.set(host, (text = fitting(context, this.rows.name(host), this.left - 14)));
    context.textAlign = "right";
    context.fillText(text, this.left - 10, y);
    context.textAlign = "left";
  }

  // Draws what is in sight, and tells how many marks that was; the same below.
  #shapes(context, parts, ranges, first, last) {
    const { colours } = this.page;
    let marks = 0;
    const radius = Math.min(6, this.rowHeight * 0.28);
    for (let kind = 0; kind < CLASSES; kind++) {
      if (this.hidden.has(kind)) continue;
      context.fillStyle = colours.classes[kind];
      context.beginPath();
      parts.forEach((rows, at) => {
        for (let row = ranges[at][0]; row < ranges[at][1]; row++) {
          if (rows.class[row] !== kind || !this.rows.shows(rows.src[row], rows.dst[row])) continue;
          const place = this.rows.of[rows.src[row]];
          if (place < first || place >= last) continue;
          shape(context, kind, this.x(rows.time[row]), this.y(place), radius);
          marks++;
        }
      });
      context.fill();
    }
    return marks;
  }

  // Columns stand still while the chart moves under them: they begin at multiples of their own width, which is at least a bin's.
  #columns(width) {
    const { from, to } = this.page.view;
    const wide = Math.max(((to - from) / this.plot) * COLUMN, width);
    const first = Math.floor(from / wide);
    return { wide, first, n: Math.floor(to / wide) - first + 1, pixels: (wide / (to - from)) * this.plot };
  }

  #stacks(context, parts, ranges, width, room, first, last) {
    const { colours } = this.page;
    const { wide, first: before, n: columns, pixels } = this.#columns(width);
    const cells = (last - first) * columns;
    if (cells <= 0) return 0;
    if (!this.grid || this.grid.length < cells * CLASSES) this.grid = new Float32Array(cells * CLASSES);
    const grid = this.grid.fill(0, 0, cells * CLASSES);
    const all = this.rows.words.length === 0;
    parts.forEach((rows, at) => {
      const { time, src, dst, class: kinds, count: counts } = rows;
      for (let row = ranges[at][0]; row < ranges[at][1]; row++) {
        const place = this.rows.of[src[row]];
        if (place < first || place >= last) continue;
        if (!all && !this.rows.shows(src[row], dst[row])) continue;
        const column = Math.floor((time[row] + width / 2) / wide) - before;
        if (column < 0 || column >= columns) continue;
        grid[((place - first) * columns + column) * CLASSES + kinds[row]] += counts ? counts[row] : 1;
      }
    });
    let most = 1;
    const totals = (this.totals = this.totals?.length >= cells ? this.totals : new Float32Array(cells));
    for (let cell = 0; cell < cells; cell++) {
      let sum = 0;
      for (let kind = 0; kind < CLASSES; kind++) if (!this.hidden.has(kind)) sum += grid[cell * CLASSES + kind];
      totals[cell] = sum;
      if (sum > most) most = sum;
    }
    // Logarithms tell a single packet from none, and a thousand from ten.
    const unit = room / Math.log1p(most);
    const tops = (this.tops = this.tops?.length >= cells ? this.tops : new Float32Array(cells));
    tops.fill(0, 0, cells);
    let marks = 0;
    for (let kind = 0; kind < CLASSES; kind++) {
      if (this.hidden.has(kind)) continue;
      context.fillStyle = colours.classes[kind];
      for (let cell = 0; cell < cells; cell++) {
        const n = grid[cell * CLASSES + kind];
        if (n === 0) continue;
        const whole = Math.max(3, Math.log1p(totals[cell]) * unit);
        const height = Math.max(1.2, (whole * n) / totals[cell]);
        const y = this.y(first + Math.floor(cell / columns)) + room / 2 - tops[cell] - height;
        context.fillRect(this.x((before + (cell % columns)) * wide), y, pixels - 1, height);
        tops[cell] += height;
        marks++;
      }
    }
    return marks;
  }

  // Arcs of what the pointer is on, and of the chosen flow.
  drawOverlay() {
    const context = fit(this.overlay, this.width, this.height);
    context.clearRect(0, 0, this.width, this.height);
    context.save();
    context.beginPath();
    context.rect(this.left - 6, 0, this.plot + 18, this.height - AXIS);
    context.clip();
    this.#chosen(context);
    if (this.hover) this.#hovered(context);
    context.restore();
  }

  #chosen(context) {
    const { chosen, packets, scene, colours, view, pointed } = this.page;
    this.overlay.dataset.arcs = 0;
    if (chosen === null) return;
    const { flows } = scene;
    const ends = [flows.initiator[chosen], flows.responder[chosen]].map((host) => this.rows.of[host] ?? -1);
    if (ends[0] < 0 || ends[1] < 0) return;
    const [top, down] = ends.map((row) => this.y(row));
    const [left, right] = [this.x(flows.start[chosen]), this.x(flows.end[chosen])];
    context.strokeStyle = colours.accent;
    context.globalAlpha = 0.9;
    context.lineWidth = 1;
    // In the first row there is less room above.
    const above = Math.min(10, this.rowHeight / 2 - 1);
    context.strokeRect(left - 8, Math.min(top, down) - above, right - left + 16, Math.abs(down - top) + above * 2);
    if (!packets) return;
    const from = lowerBound(packets.time, view.from);
    const upto = lowerBound(packets.time, view.to + 1);
    const every = Math.max(1, Math.ceil((upto - from) / MOST_ARCS));
    let arcs = 0;
    for (let at = from; at < upto; at += every) {
      const kind = packets.class[at];
      const pair = packets.forward[at] ? [top, down] : [down, top];
      context.beginPath();
      arc(context, this.x(packets.time[at]), ...pair);
      context.strokeStyle = colours.classes[kind];
      context.lineWidth = at === pointed ? 3.5 : 1.6;
      context.globalAlpha = pointed === null || at === pointed ? 0.9 : 0.35;
      context.stroke();
      arcs++;
    }
    if (pointed !== null && pointed >= from && pointed < upto && (pointed - from) % every) {
      context.beginPath();
      arc(context, this.x(packets.time[pointed]), ...(packets.forward[pointed] ? [top, down] : [down, top]));
      context.strokeStyle = colours.classes[packets.class[pointed]];
      context.globalAlpha = 0.9;
      context.lineWidth = 3.5;
      context.stroke();
    }
    context.globalAlpha = 1;
    this.overlay.dataset.arcs = arcs;
  }

  #hovered(context) {
    const { colours } = this.page;
    const { x, row, peers } = this.hover;
    context.lineWidth = 1.8;
    for (const { dst, kind } of peers.slice(0, 40)) {
      const to = this.rows.of[dst] ?? -1;
      if (to < 0) continue;
      context.strokeStyle = colours.classes[kind];
      context.beginPath();
      arc(context, x, this.y(row), this.y(to));
      context.stroke();
    }
  }

  // What is drawn at a place, or nothing.
  hit(x, y) {
    if (!this.parts || x < this.left - 4 || y > this.height - AXIS) return null;
    const row = Math.floor((y + this.scroller.scrollTop) / this.rowHeight);
    const host = this.rows.list[row];
    if (host === undefined) return null;
    const width = this.level === 0 ? 0 : this.page.scene.levels[this.level].width;
    const { wide } = this.#columns(width);
    const begin = Math.floor(this.time(x) / wide) * wide;
    const [from, to] = this.single ? [this.time(x - 6), this.time(x + 6)] : [begin - width / 2, begin + wide - width / 2];
    let nearest = null;
    let packets = 0;
    let size = 0;
    const kinds = new Float64Array(CLASSES);
    const peers = new Map();
    for (const rows of this.parts) {
      for (let at = lowerBound(rows.time, from); at < rows.time.length && rows.time[at] < to; at++) {
        if (this.rows.of[rows.src[at]] !== row || this.hidden.has(rows.class[at]) || !this.rows.shows(rows.src[at], rows.dst[at])) continue;
        const n = rows.count ? rows.count[at] : 1;
        const away = Math.abs(this.x(rows.time[at]) - x);
        if (this.single && (!nearest || away <= nearest.away)) nearest = { away, rows, at };
        packets += n;
        size += rows.bytes[at];
        kinds[rows.class[at]] += n;
        const key = rows.dst[at];
        const peer = peers.get(key) ?? { dst: key, kind: rows.class[at], n: 0, top: 0 };
        if (n > peer.top) Object.assign(peer, { top: n, kind: rows.class[at] });
        peer.n += n;
        peers.set(key, peer);
      }
    }
    if (nearest) {
      const { rows, at } = nearest;
      const time = rows.time[at];
      return { single: true, row, x: this.x(time), time, packets, host: rows.src[at], flow: rows.flow[at] - 1, bytes: rows.bytes[at], peers: [{ dst: rows.dst[at], kind: rows.class[at] }] };
    }
    if (!packets) return null;
    const sorted = [...peers.values()].sort((a, b) => b.n - a.n || a.dst - b.dst);
    return { row, x: this.x(begin + wide / 2), from: begin, to: begin + wide, packets, host, bytes: size, kinds, peers: sorted };
  }

  #told(hit) {
    const { scene, clock } = this.page;
    const name = (host) => this.rows.name(host);
    if (hit.single) {
      const [{ dst, kind }] = hit.peers;
      const more = hit.packets > 1 ? `\n${hit.packets - 1} more here; zoom in` : "";
      const flow = hit.flow >= 0 ? `\nflow ${scene.flows.number[hit.flow]}: click opens it` : "\nin no flow";
      return `${clock.full(hit.time)}\n${name(hit.host)} → ${name(dst)}\n${scene.classes[kind]}, ${bytes(hit.bytes)}${flow}${more}`;
    }
    const kinds = scene.classes.map((name, kind) => (hit.kinds[kind] ? `${name} ${count(hit.kinds[kind])}` : "")).filter(Boolean);
    const peers = hit.peers.slice(0, 5).map(({ dst, n }) => `→ ${name(dst)}: ${count(n)}`);
    if (hit.peers.length > 5) peers.push(`and ${hit.peers.length - 5} more`);
    const wide = duration(hit.to - hit.from);
    return `${clock.full(Math.max(0, hit.from))}, ${wide}\n${name(hit.host)}: ${things(hit.packets, "packet")}, ${bytes(hit.bytes)}\n${kinds.join(", ")}\n${peers.join("\n")}\nclick zooms in`;
  }

  #show(event) {
    const box = this.canvas.getBoundingClientRect();
    this.hover = this.hit(event.clientX - box.left, event.clientY - box.top);
    this.tip.hidden = !this.hover;
    if (this.hover) {
      this.tip.textContent = this.#told(this.hover);
      const { offsetWidth, offsetHeight } = this.tip;
      this.tip.style.left = `${Math.min(event.clientX + 16, innerWidth - offsetWidth - 8)}px`;
      this.tip.style.top = `${Math.max(8, Math.min(event.clientY + 16, innerHeight - offsetHeight - 8))}px`;
    }
    this.canvas.style.cursor = this.hover ? "pointer" : "";
    this.drawOverlay();
  }

  #hide() {
    this.hover = null;
    this.tip.hidden = true;
    if (this.width) this.drawOverlay();
  }

  #pointer() {
    const { canvas, page } = this;
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held = { x: event.clientX, y: event.clientY, moved: false, ...page.view, top: this.scroller.scrollTop };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return this.#show(event);
      const dx = event.clientX - held.x;
      const dy = event.clientY - held.y;
      if (!held.moved && Math.hypot(dx, dy) < 4) return;
      held.moved = true;
      canvas.classList.add("held");
      this.#hide();
      const time = (-dx / this.plot) * (held.to - held.from);
      this.scroller.scrollTop = held.top - dy;
      page.show(held.from + time, held.to + time);
    });
    canvas.addEventListener("pointerup", (event) => {
      const click = held && !held.moved;
      held = null;
      canvas.classList.remove("held");
      if (!click) return;
      const box = canvas.getBoundingClientRect();
      const hit = this.hit(event.clientX - box.left, event.clientY - box.top);
      if (!hit) return;
      if (!hit.single) page.zoom(1 / 8, (hit.from + hit.to) / 2);
      else if (hit.flow >= 0) page.choose(hit.flow);
    });
    canvas.addEventListener("pointercancel", () => (held = null));
    canvas.addEventListener("pointerleave", () => this.#hide());
    canvas.addEventListener("dblclick", (event) => {
      if (!this.hover) page.zoom(1 / 4, this.time(event.clientX - canvas.getBoundingClientRect().left));
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        const { from, to } = page.view;
        const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          const time = ((across * unit) / this.plot) * (to - from);
          page.show(from + time, to + time);
        } else {
          const x = event.clientX - canvas.getBoundingClientRect().left;
          page.zoom(Math.exp(Math.max(-200, Math.min(200, event.deltaY * unit)) * 0.0025), this.time(x));
        }
        this.#hide();
      },
      { passive: false },
    );
  }
}
