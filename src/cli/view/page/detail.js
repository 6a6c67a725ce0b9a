// The chosen flow: what became of it, and its packets one by one.

import { ends } from "./list.js";
import { REASON_TEXT, STEP_TEXT, bytes, count, duration, element, flags, things } from "./text.js";

const SECTIONS = [
  [1, "Handshake"], [2, "Data"], [3, "Close"], [0, "No step"],
];
const AT_ONCE = 200;

export class Detail {
  constructor(page) {
    this.page = page;
    this.box = document.getElementById("detail");
  }

  close() {
    this.box.hidden = true;
    this.box.replaceChildren();
  }

  show(flow, packets) {
    const { scene, clock } = this.page;
    const { flows } = scene;
    const head = element("header");
    const title = element("h2", ends(scene, flow));
    title.id = "detail-title";
    const zoom = element("button", "Zoom to it");
    zoom.type = "button";
    zoom.addEventListener("click", () => this.page.zoomTo(flow));
    const close = element("button", "Close");
    close.type = "button";
    close.title = "Esc";
    close.addEventListener("click", () => this.page.choose(null));
    head.append(title, zoom, close);

    const ending = scene.endings[flows.ending[flow]];
    const reason = flows.reason.names[flows.reason.places[flow]];
    const facts = element("dl");
    const fact = (name, text) => facts.append(element("dt", name), element("dd", text));
    fact("flow", count(flows.number[flow]));
    fact("state", flows.state.names[flows.state.places[flow]].replace("_", " "));
    fact("start", clock.full(flows.start[flow]));
    fact("close", ending + (flows.byTimeout[flow] ? ", by timeout" : ""));
    fact("duration", duration(flows.end[flow] - flows.start[flow]));
    fact("size", `${things(flows.packets[flow], "packet")}, ${bytes(flows.bytes[flow])}`);
    const parts = [head, facts];
    if (reason) parts.push(element("p", `Invalid: ${REASON_TEXT[reason] ?? reason}.`));
    if (!flows.known[flow]) parts.push(element("p", "Who began it was not seen; the ports, or who sent first, say who stands first."));
    for (const [why, n] of flows.unexplained[flow] ?? []) parts.push(element("p", `${things(n, "packet")} without a step: ${why.replaceAll("_", " ")}.`));
    if (!packets) {
      parts.push(element("p", `Its packets are not in this file, which holds at most ${count(this.page.source.mostPackets)} packets.`));
    } else {
      const left = flows.packets[flow] - packets.time.length;
      if (left > 0) parts.push(element("p", `${things(left, "packet")} of it ${left === 1 ? "is" : "are"} not listed.`));
      // Some layouts say nothing of steps.
      for (const [phase, name] of scene.origin.steps ? SECTIONS : [[0, "Packets"]]) parts.push(...this.#section(flow, packets, phase, name));
    }
    this.box.replaceChildren(...parts);
    this.box.hidden = false;
    this.box.scrollTop = 0;
  }

  #section(flow, packets, phase, name) {
    const places = [];
    packets.phase.forEach((of, place) => {
      if (of === phase) places.push(place);
    });
    if (phase === 0 && places.length === 0) return [];
    const head = element("h3", name);
    head.append(element("small", things(places.length, "packet")));
    if (places.length === 0) return [head];
    const table = element("table");
    table.setAttribute("aria-label", `${name}: packets`);
    const titles = table.createTHead().insertRow();
    for (const [text, number] of [["time", 1], ["", 0], ["flags", 0], ["step", 0], ["length", 1], ["seq", 1], ["ack", 1]]) {
      const cell = element("th", text, number ? "n" : "");
      cell.scope = "col";
      titles.append(cell);
    }
    titles.children[1].append(element("span", "direction", "unseen"));
    const body = table.createTBody();
    const more = element("button", "");
    more.type = "button";
    let made = 0;
    const add = () => {
      const upto = Math.min(places.length, made + AT_ONCE);
      for (; made < upto; made++) body.append(this.#row(flow, packets, places[made]));
      more.textContent = `Show ${count(Math.min(AT_ONCE, places.length - made))} more of ${count(places.length - made)}`;
      more.hidden = made >= places.length;
    };
    more.addEventListener("click", add);
    add();
    return [head, table, more];
  }

  #row(flow, packets, place) {
    const { scene } = this.page;
    const row = element("tr", "", scene.flows.brokenBy[flow] === place ? "broken" : "");
    const kind = packets.class[place];
    const step = packets.phase[place] ? scene.steps[packets.step[place]] : "";
    const mark = element("td");
    mark.append(element("i", "", `c${kind}`), flags(packets.flags[place]));
    const direction = element("td", packets.forward[place] ? "→" : "←");
    direction.setAttribute("aria-label", packets.forward[place] ? "from the initiator" : "from the responder");
    const size = packets.payload[place] >= 0 ? `${packets.payload[place]} of ${packets.length[place]}` : `${packets.length[place]}`;
    row.append(
      element("td", `+${duration(packets.time[place] - scene.flows.start[flow])}`, "n"), direction, mark, element("td", STEP_TEXT[step] ?? step, "step"),
      element("td", size, "n"), element("td", `${packets.seq[place]}`, "n"), element("td", `${packets.ack[place]}`, "n"),
    );
    row.addEventListener("pointerenter", () => this.page.point(place));
    row.addEventListener("pointerleave", () => this.page.point(null));
    return row;
  }
}
