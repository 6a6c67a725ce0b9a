// Which hosts have a row: busy ones and those that a filter finds, and all others one together, the first.

import { count, things } from "./text.js";

// Hosts that a filter can tell apart where bins do not: they are named in a query.
const MOST_FOUND = 1000;
// Of bins that do not tell to whom.
const NOBODY = 4294967295;

export class Rows {
  #scene;
  #source;
  #names;
  #busy;
  #untold = false;

  constructor(scene, source) {
    this.#scene = scene;
    this.#source = source;
    // How bins call the others.
    this.others = scene.hosts.length;
    this.#names = scene.hosts.map((name) => name.toLowerCase());
    this.#busy = new Uint8Array(this.others);
    for (const host of scene.order.subarray(0, scene.busy)) this.#busy[host] = 1;
    this.filter("");
  }

  // Rows for hosts whose name holds one of the words, and for those they talk with.
  filter(text) {
    const { hosts, order, told } = this.#scene;
    this.words = text.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const all = this.words.length === 0;
    this.matched = new Uint8Array(hosts.length + 1).fill(all ? 1 : 0);
    const found = [];
    if (!all) {
      this.#names.forEach((name, host) => {
        if (this.words.some((word) => name.includes(word))) found.push(host);
      });
    }
    for (const host of found) this.matched[host] = 1;
    const hidden = found.filter((host) => !this.#busy[host]).length;
    const few = found.length <= MOST_FOUND;
    // Packets one by one tell all; bins may not.
    const exact = told === "pairs" || (this.#source.offline && this.#source.has(0));
    const needed = hidden > 0 || told === "senders";
    this.wantsPackets = !all && exact && told !== "pairs" && needed;
    const asks = !all && !exact && few && !this.#source.offline && needed;
    // The hosts whose packets are to be asked for.
    this.asked = asks ? found.join(",") : "";
    const apart = few && (exact || asks);
    // Then they are somewhere among the others.
    if (!exact && !asks && hidden > 0) this.matched[this.others] = 1;
    this.#untold = !all && !exact && !asks && told === "senders";

    const shown = this.#withPeers(all);
    const own = (host) => this.#busy[host] || (apart && !all && this.matched[host]);
    let together = 0;
    this.list = [];
    for (const host of order) {
      if (!own(host)) together++;
      else if (shown[host]) this.list.push(host);
    }
    this.together = together;
    const anyOther = together > 0 && (shown[this.others] || order.some((host) => shown[host] && !own(host)));
    if (anyOther) this.list.unshift(this.others);
    this.of = new Int32Array(hosts.length + 1).fill(anyOther ? 0 : -1);
    for (const host of order) if (own(host)) this.of[host] = -1;
    this.list.forEach((host, row) => (this.of[host] = row));
    this.note = this.#noted(found, hidden, apart);
  }

  // Packets in no flow are in bins alone, and whom bins do not tell apart, flows do.
  #withPeers(all) {
    const { matched } = this;
    const { coarse, flows } = this.#scene;
    const shown = matched.slice();
    if (all) return shown;
    for (const [one, other] of [[coarse?.src ?? [], coarse?.dst ?? []], [flows.initiator, flows.responder]]) {
      for (let at = 0; at < one.length; at++) {
        if (matched[one[at]]) shown[other[at]] = 1;
        if (matched[other[at]]) shown[one[at]] = 1;
      }
    }
    return shown;
  }

  // Whether a packet, or a bin, has to do with what was looked for.
  shows(src, dst) {
    return this.matched[src] || this.matched[dst] || (this.#untold && dst === NOBODY);
  }

  name(host) {
    if (host === this.others) return this.together === 1 ? "another host" : `${count(this.together)} other hosts`;
    return this.#scene.hosts[host] ?? (host === NOBODY && this.#scene.told === "senders" ? "not told at this scale" : "?");
  }

  #noted(found, hidden, apart) {
    const { busy } = this.#scene;
    if (this.#untold) return "At this scale it is not told to whom packets go, so all that are sent are shown; closer up, those of the hosts found.";
    if (busy === this.others || (this.words.length > 0 && (hidden === 0 || apart))) return "";
    const rest = things(this.others - busy, "other host");
    if (this.words.length === 0) {
      const rows = busy === 1 ? "The busiest host has a row of its own" : `The ${count(busy)} busiest hosts have a row each`;
      return `${rows}; the ${rest} share the first row. “Hosts” finds any of them.`;
    }
    const where = `${count(hidden)} of the hosts found ${hidden === 1 ? "is" : "are"} among the ${rest}, which share the first row`;
    return found.length > MOST_FOUND ? `${where}; at most ${count(MOST_FOUND)} found have a row each.` : `${where}: this file does not tell them apart.`;
  }
}
