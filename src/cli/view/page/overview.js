// The overview: flows by how they ended, packets and bytes, over all of the time; and the part that the chart shows.

import { fit } from "./marks.js";

const BAR = 4;
const GRIP = 7;
const INVALID = 3;

// Bins of the coarse scale, whatever lies in them. Rows of one bin stand together, and there may be many.
export function binned({ coarse, levels }) {
  const [time, packets, bytes] = [[], [], []];
  for (let row = 0; row < (coarse?.time.length ?? 0); row++) {
    if (row === 0 || coarse.time[row] !== coarse.time[row - 1]) {
      time.push(coarse.time[row]);
      packets.push(0);
      bytes.push(0);
    }
    packets[packets.length - 1] += coarse.count ? coarse.count[row] : 1;
    bytes[bytes.length - 1] += coarse.bytes[row];
  }
  return { time, packets, bytes, width: coarse?.level ? levels[coarse.level].width : 0 };
}

export class Overview {
  #bins;
  #counted = 0;

  constructor(page) {
    this.page = page;
    this.canvas = document.getElementById("overview");
    this.behind = document.createElement("canvas");
    this.#bins = binned(page.scene);
    this.#pointer();
  }

  resize() {
    // Above the chart, so that the same time is in the same place while all is shown.
    const { left, plot } = this.page.chart;
    if (!plot) return;
    this.width = plot;
    this.height = 92;
    this.canvas.style.marginLeft = `${left}px`;
    if (this.#counted !== this.width) this.#count();
    this.#counted = this.width;
    this.#paint();
    this.page.redraw();
  }

  get #full() {
    return this.page.full;
  }
  x(time) {
    const { from, to } = this.#full;
    return ((time - from) / (to - from)) * this.width;
  }
  time(x) {
    const { from, to } = this.#full;
    return from + (Math.max(0, Math.min(this.width, x)) / this.width) * (to - from);
  }

  #count() {
    const { flows, endings } = this.page.scene;
    const n = Math.max(1, Math.floor(this.width / BAR));
    const bin = (time) => Math.max(0, Math.min(n - 1, Math.floor(this.x(time) / BAR)));
    this.bars = endings.map(() => new Float64Array(n));
    for (let flow = 0; flow < flows.start.length; flow++) this.bars[flows.ending[flow]][bin(flows.start[flow])]++;
    this.packets = new Float64Array(n);
    this.bytes = new Float64Array(n);
    // A bin that is wider than a bar is shared among those it covers.
    const { time, packets, bytes, width } = this.#bins;
    const wide = this.x(width) - this.x(0);
    time.forEach((begin, of) => {
      const [first, last] = [bin(begin), bin(begin + width)];
      const [left, right] = [this.x(begin), this.x(begin + width)];
      for (let at = first; at <= last; at++) {
        const share = first === last ? 1 : (Math.max(at * BAR, Math.min((at + 1) * BAR, right)) - Math.max(at * BAR, Math.min((at + 1) * BAR, left))) / wide;
        this.packets[at] += packets[of] * share;
        this.bytes[at] += bytes[of] * share;
      }
    });
  }

  // What does not change until the size does.
  #paint() {
    const { colours } = this.page;
    const context = fit(this.behind, this.width, this.height);
    context.fillStyle = colours.faint;
    context.fillRect(0, 0, this.width, this.height);
    const base = Math.round(this.height * 0.74);
    const up = this.bars.map((bars, ending) => (ending === INVALID ? null : bars)).filter(Boolean);
    let most = 1;
    for (let at = 0; at < this.packets.length; at++) {
      most = Math.max(most, up.reduce((sum, bars) => sum + bars[at], 0), this.bars[INVALID][at]);
    }
    const scale = (n, room) => (n ? Math.max(2, Math.sqrt(n / most) * room) : 0);
    for (let at = 0; at < this.packets.length; at++) {
      const sum = up.reduce((sum, bars) => sum + bars[at], 0);
      const whole = scale(sum, base - 6);
      let top = base;
      [0, 1, 2, 4].forEach((ending) => {
        const height = sum ? (this.bars[ending][at] / sum) * whole : 0;
        context.fillStyle = colours.endings[ending];
        context.fillRect(at * BAR, top - height, BAR - 1, height);
        top -= height;
      });
      context.fillStyle = colours.endings[INVALID];
      context.fillRect(at * BAR, base + 1, BAR - 1, scale(this.bars[INVALID][at], this.height - base - 2));
    }
    context.fillStyle = colours.muted;
    context.fillRect(0, base, this.width, 1);
    this.#line(context, this.bytes, base, colours.bytes);
    this.#line(context, this.packets, base, colours.ink);
  }

  #line(context, values, base, colour) {
    const most = values.reduce((a, b) => Math.max(a, b), 1);
    context.strokeStyle = colour;
    context.lineWidth = 1.4;
    context.beginPath();
    values.forEach((value, at) => {
      context.lineTo((at + 0.5) * BAR, base - Math.sqrt(value / most) * (base - 6));
    });
    context.stroke();
  }

  draw() {
    if (!this.width) return;
    const { colours, view } = this.page;
    const context = fit(this.canvas, this.width, this.height);
    context.drawImage(this.behind, 0, 0, this.width, this.height);
    const [left, right] = [this.x(view.from), this.x(view.to)];
    if (left <= 1 && right >= this.width - 1) return;
    context.fillStyle = colours.panel;
    context.globalAlpha = 0.62;
    context.fillRect(0, 0, left, this.height);
    context.fillRect(right, 0, this.width - right, this.height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.strokeRect(left, 0.75, Math.max(2, right - left), this.height - 1.5);
    context.fillStyle = colours.accent;
    for (const x of [left, right]) context.fillRect(x - 2, this.height / 2 - 10, 4, 20);
  }

  #pointer() {
    const { canvas, page } = this;
    const place = (event) => event.clientX - canvas.getBoundingClientRect().left;
    let held = null;
    const kind = (x) => {
      const [left, right] = [this.x(page.view.from), this.x(page.view.to)];
      if (Math.abs(x - left) <= GRIP && left > 1) return "left";
      if (Math.abs(x - right) <= GRIP && right < this.width - 1) return "right";
      return x > left && x < right && (left > 1 || right < this.width - 1) ? "move" : "new";
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const x = place(event);
      held = { kind: kind(x), x, ...page.view };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const x = place(event);
      if (!held) {
        canvas.style.cursor = { left: "ew-resize", right: "ew-resize", move: "grab", new: "crosshair" }[kind(x)];
        return;
      }
      const time = this.time(x);
      if (held.kind === "left") page.show(Math.min(time, held.to - 1), held.to);
      else if (held.kind === "right") page.show(held.from, Math.max(time, held.from + 1));
      else if (held.kind === "move") {
        const by = time - this.time(held.x);
        page.show(held.from + by, held.to + by);
      } else if (Math.abs(x - held.x) > 3) {
        const other = this.time(held.x);
        page.show(Math.min(time, other), Math.max(time, other));
      }
    });
    const end = (event) => {
      const click = held && held.kind === "new" && Math.abs(place(event) - held.x) <= 3;
      held = null;
      // A click outside moves the part there.
      const { from, to } = page.view;
      const middle = this.time(place(event));
      if (click && (from > page.full.from || to < page.full.to)) page.show(middle - (to - from) / 2, middle + (to - from) / 2);
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", () => (held = null));
    canvas.addEventListener("dblclick", () => page.show(page.full.from, page.full.to));
  }
}
