// The list of flows: filtered, sorted, and only those in sight made.

import { bytes, count, duration, element, things } from "./text.js";

const HEIGHT = 46;
// Some browsers draw nothing taller than 17,895,697 pixels, others 33,554,428; of more rows than this has room for, the bar goes over several
// at once.
const TALLEST = 15_000_000;
const SORTS = {
  start: (flows) => flows.start,
  duration: (flows) => flows.end.map((end, at) => end - flows.start[at]),
  packets: (flows) => flows.packets,
  bytes: (flows) => flows.bytes,
  state: (flows) => flows.state.places,
  close: (flows) => flows.ending,
  initiator: (flows) => flows.initiator,
  "responder's port": (flows) => flows.responderPort,
};

export class List {
  constructor(page) {
    this.page = page;
    this.box = document.getElementById("list");
    this.rows = document.getElementById("rows");
    this.told = document.getElementById("f-count");
    this.inputs = Object.fromEntries(["text", "ending", "state", "sort", "order", "view"].map((name) => [name, document.getElementById(`f-${name}`)]));
    const { endings, flows } = page.scene;
    const option = (select, value, text) => {
      const made = element("option", text);
      made.value = value;
      select.append(made);
    };
    endings.forEach((name, at) => option(this.inputs.ending, at, name));
    flows.state.names.map((name, at) => [name, at]).sort().forEach(([name, at]) => option(this.inputs.state, at, name.replace("_", " ")));
    Object.keys(SORTS).forEach((name) => option(this.inputs.sort, name, name));
    for (const name of ["text", "ending", "state", "sort", "view"]) this.inputs[name].addEventListener("input", () => this.update());
    this.inputs.order.addEventListener("click", () => {
      const down = this.inputs.order.getAttribute("aria-pressed") !== "true";
      this.inputs.order.setAttribute("aria-pressed", down);
      this.inputs.order.textContent = down ? "descending" : "ascending";
      this.update();
    });
    this.box.addEventListener("scroll", () => this.#scrolled());
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest(".flow");
      if (!row) return;
      this.active = Number(row.dataset.place);
      page.choose(this.shown[this.active]);
    });
    this.active = 0;
    // Where the box stands among all rows, and what its bar said of it last.
    this.at = 0;
    this.bar = 0;
    this.update();
  }

  // Whether a flow has the host and port that the words ask for; a host may be a part of a name.
  #wanted() {
    const { flows, hosts } = this.page.scene;
    const words = this.inputs.text.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const tests = words.map((word) => {
      const [, name, port] = word.match(/^(.*?)(?::(\d+))?$/);
      const lone = /^\d+$/.test(word) ? Number(word) : null;
      const named = hosts.map((host) => host.toLowerCase().includes(name));
      const whole = hosts.map((host) => host.toLowerCase().includes(word));
      return (host, at) =>
        lone !== null ? at === lone || whole[host] : port !== undefined ? (named[host] && at === Number(port)) || whole[host] : whole[host];
    });
    return (flow) =>
      tests.every((test) => test(flows.initiator[flow], flows.initiatorPort[flow]) || test(flows.responder[flow], flows.responderPort[flow]));
  }

  update() {
    const { flows } = this.page.scene;
    const { from, to } = this.page.view;
    const { ending, state, sort, order, view } = this.inputs;
    const wanted = this.#wanted();
    const shown = [];
    for (let flow = 0; flow < flows.start.length; flow++) {
      if (ending.value !== "" && flows.ending[flow] !== Number(ending.value)) continue;
      if (state.value !== "" && flows.state.places[flow] !== Number(state.value)) continue;
      if (view.checked && (flows.end[flow] < from || flows.start[flow] > to)) continue;
      if (wanted(flow)) shown.push(flow);
    }
    const by = SORTS[sort.value](flows);
    const sign = order.getAttribute("aria-pressed") === "true" ? -1 : 1;
    this.shown = Uint32Array.from(shown).sort((a, b) => sign * (by[a] - by[b]) || a - b);
    const all = flows.start.length;
    const none = shown.length ? "" : "; none is as the filters ask";
    this.told.textContent = shown.length === all ? things(all, "flow") : `${count(shown.length)} of ${things(all, "flow")}${none}`;
    this.rows.style.height = `${Math.min(TALLEST, this.shown.length * HEIGHT)}px`;
    this.active = Math.max(0, Math.min(this.active, this.shown.length - 1));
    this.#to(this.at);
  }

  // The view has changed.
  moved() {
    if (!this.inputs.view.checked) return;
    // Not at every frame of a drag: there may be many flows.
    clearTimeout(this.due);
    this.due = setTimeout(() => this.update(), 100);
  }

  // How far it can be scrolled, and how far that would be if all rows were there.
  #reach() {
    const all = this.shown.length * HEIGHT;
    const room = (height) => Math.max(0, height - this.box.clientHeight);
    return [room(Math.min(TALLEST, all)), room(all)];
  }

  // Stands at a place among all rows.
  #to(at) {
    const [reach, all] = this.#reach();
    this.at = Math.max(0, Math.min(all, at));
    this.box.scrollTop = all ? (this.at / all) * reach : 0;
    this.bar = this.box.scrollTop;
    this.draw();
  }

  // The bar was moved: by a short way, which passes over no row, or by one that leads to its part of all rows.
  #scrolled() {
    const [reach, all] = this.#reach();
    const bar = this.box.scrollTop;
    const way = bar - this.bar;
    const short = Math.abs(way) <= 2 * this.box.clientHeight && bar > 0 && bar < reach - 1;
    this.at = reach === all ? bar : short ? Math.max(0, Math.min(all, this.at + way)) : bar >= reach - 1 ? all : (bar / reach) * all;
    this.bar = bar;
    this.draw();
    // When it rests, the bar is put where it belongs after short ways.
    clearTimeout(this.rest);
    if (reach !== all) this.rest = setTimeout(() => Math.abs((this.at / all) * reach - this.bar) > 1 && this.#to(this.at), 200);
  }

  draw() {
    const [reach, all] = this.#reach();
    const at = reach === all ? this.box.scrollTop : Math.min(this.at, all);
    this.above = at - this.box.scrollTop;
    const first = Math.max(0, Math.floor(at / HEIGHT) - 3);
    const last = Math.min(this.shown.length, Math.ceil((at + this.box.clientHeight) / HEIGHT) + 3);
    const made = [];
    for (let place = first; place < last; place++) made.push(this.#row(place));
    this.rows.replaceChildren(...made);
    const active = this.shown.length ? `flow-${this.shown[this.active]}` : "";
    if (active && this.active >= first && this.active < last) this.box.setAttribute("aria-activedescendant", active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #row(place) {
    const { scene, clock, chosen } = this.page;
    const { flows } = scene;
    const flow = this.shown[place];
    const ending = scene.endings[flows.ending[flow]];
    const row = element("div", "", `flow ${ending}${place === this.active ? " active" : ""}`);
    row.id = `flow-${flow}`;
    row.dataset.place = place;
    row.style.top = `${place * HEIGHT - this.above}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", flow === chosen);
    row.setAttribute("aria-setsize", this.shown.length);
    row.setAttribute("aria-posinset", place + 1);
    const head = element("div");
    // A clock alone is enough where all is of one day.
    const days = clock.parts(0)[0] !== clock.parts(scene.span)[0];
    const start = days ? clock.full(flows.start[flow], 0) : clock.parts(flows.start[flow], 3)[1];
    head.append(element("span", ends(scene, flow), "ends"), element("span", start, "at"));
    const more = element("div", "", "more");
    const state = flows.state.names[flows.state.places[flow]].replace("_", " ");
    more.append(
      element("span", ending, `chip ${ending}`),
      ...(state === ending ? [] : [element("span", state, "state")]),
      ...(scene.origin.steps ? [element("span", `${flows.establishment[flow]}·${flows.data[flow]}·${flows.closing[flow]}`, "steps")] : []),
      element("span", `${things(flows.packets[flow], "packet")}, ${bytes(flows.bytes[flow])}, ${duration(flows.end[flow] - flows.start[flow])}`),
    );
    const steps = more.querySelector(".steps");
    if (steps) {
      steps.title = "steps: handshake · data · close";
      steps.setAttribute("aria-label", `steps: handshake ${flows.establishment[flow]}, data ${flows.data[flow]}, close ${flows.closing[flow]}`);
    }
    row.append(head, more);
    return row;
  }

  // Makes a flow the active one, and brings it in sight.
  reveal(flow) {
    const place = this.shown.indexOf(flow);
    if (place >= 0) this.#go(place);
    else this.draw();
  }

  #go(place) {
    this.active = Math.max(0, Math.min(this.shown.length - 1, place));
    const top = this.active * HEIGHT;
    const [reach, all] = this.#reach();
    const at = reach === all ? this.box.scrollTop : this.at;
    if (top < at) this.#to(top);
    else if (top + HEIGHT > at + this.box.clientHeight) this.#to(top + HEIGHT - this.box.clientHeight);
    else this.draw();
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / HEIGHT) - 1);
    const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page, Home: 0, End: Infinity }[event.key];
    if (to !== undefined) this.#go(to);
    else if ((event.key === "Enter" || event.key === " ") && this.shown.length) this.page.choose(this.shown[this.active]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// The ends of a flow, who began it first; where that was not seen, it is a guess.
export function ends(scene, flow) {
  const { flows, hosts } = scene;
  const end = (host, port) => {
    const name = hosts[host] ?? "?";
    return `${name.includes(":") ? `[${name}]` : name}:${port}`;
  };
  const arrow = flows.known[flow] ? "→" : "⇢";
  return `${end(flows.initiator[flow], flows.initiatorPort[flow])} ${arrow} ${end(flows.responder[flow], flows.responderPort[flow])}`;
}
