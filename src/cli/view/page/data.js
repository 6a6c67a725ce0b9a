// Where a timeline comes from: the server, or the file that this page is. Columns are typed arrays.

// The last time that a query can name.
const LATEST = 18446744073709549568;
const KINDS = { f64: Float64Array, u32: Uint32Array, u8: Uint8Array };

// JSON with every column in place of its base64.
function decode(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(decode);
  const keys = Object.keys(value);
  const Kind = keys.length === 1 ? KINDS[keys[0]] : undefined;
  if (Kind && typeof value[keys[0]] === "string") {
    const text = atob(value[keys[0]]);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
    return new Kind(bytes.buffer);
  }
  return Object.fromEntries(keys.map((key) => [key, decode(value[key])]));
}

// The first place in an ascending column whose value is not below `value`.
export function lowerBound(column, value) {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (column[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Server {
  // A saved page has only some scales; here, there are all.
  offline = false;
  mostPackets = 0;

  async #get(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(await answer.text());
    return decode(await answer.json());
  }
  scene() {
    return this.#get("scene");
  }
  bins(level, from, to, hosts) {
    return this.#get(`bins?level=${level}&from=${from}&to=${to}${hosts && `&hosts=${hosts}`}`);
  }
  packets(flow) {
    return this.#get(`packets?flow=${flow}`);
  }
  has() {
    return true;
  }
}

class Embedded {
  offline = true;
  #data;

  constructor(text) {
    this.#data = decode(JSON.parse(text));
    this.mostPackets = this.#data.mostPackets;
  }
  async scene() {
    return this.#data.scene;
  }
  async bins(level, from, to) {
    const all = this.#data.bins;
    const width = this.#data.scene.levels[level].width;
    const first = lowerBound(all.time, Math.floor(from / width) * width);
    const upto = lowerBound(all.time, to);
    return Object.fromEntries(Object.entries(all).map(([name, column]) => [name, column.subarray?.(first, upto) ?? column]));
  }
  // Nothing where the packets of flows were left out.
  async packets(flow) {
    const { packets, listed } = this.#data;
    if (!packets) return null;
    const [first, upto] = listed[flow];
    return Object.fromEntries(Object.entries(packets).map(([name, column]) => [name, column.subarray(first, upto)]));
  }
  has(level) {
    return this.#data.bins?.level === level;
  }
}

export function source() {
  const data = document.getElementById("data");
  return data ? new Embedded(data.textContent) : new Server();
}

// The rows of a span at a scale, by tiles that are kept for a while.
export class Tiles {
  #source;
  #scene;
  #kept = new Map();
  #arrived;

  constructor(source, scene, arrived) {
    this.#source = source;
    this.#scene = scene;
    this.#arrived = arrived;
  }

  // The coarsest scale that columns of `width` microseconds cannot tell from packets, or packets themselves where they are few, or wanted.
  level(from, to, width, packetsWanted = false) {
    const { levels, coarse } = this.#scene;
    if (packetsWanted) return 0;
    const packets = this.estimate(from, to);
    let best = 0;
    if (packets > 20000) {
      levels.forEach((level, at) => {
        if (level.width <= width) best = at;
      });
    }
    if (best >= coarse.level) return coarse.level;
    // A saved page has two scales; the finer one says more, as long as it is quickly added up.
    if (!this.#source.has(best) && packets < 300000) while (best > 0 && !this.#source.has(best)) best--;
    while (best < coarse.level && !this.#source.has(best)) best++;
    return best;
  }

  // How many packets there are in a span, about.
  estimate(from, to) {
    const { coarse, sums, levels } = this.#scene;
    const width = levels[coarse.level].width;
    return sums[lowerBound(coarse.time, to)] - sums[lowerBound(coarse.time, from - width + 1)];
  }

  // All rows between, in parts, or those of some hosts; nothing yet where some are on their way.
  rows(level, from, to, hosts = "") {
    const { coarse, span } = this.#scene;
    if (level >= coarse.level && !hosts) return [coarse];
    const size = 2 ** Math.ceil(Math.log2(Math.max(to - from, 16)));
    const first = Math.max(0, Math.floor(from / size));
    const last = Math.min(Math.floor(to / size), Math.floor(span / size));
    const parts = [];
    let complete = true;
    for (let at = first - 1; at <= last + 1; at++) {
      if (at < 0 || at * size > span) continue;
      const tile = this.#tile(level, size, at, hosts);
      if (at < first || at > last) continue;
      if (tile) parts.push(tile);
      else complete = false;
    }
    return complete ? parts : null;
  }

  #tile(level, size, at, hosts) {
    const key = `${level} ${size} ${at} ${hosts}`;
    let tile = this.#kept.get(key);
    if (!tile) {
      tile = { rows: null };
      this.#source.bins(level, at * size, Math.min((at + 1) * size, LATEST), hosts).then(
        (rows) => {
          // A bin that begins before the tile is also in the one before.
          const first = lowerBound(rows.time, at * size);
          tile.rows = first === 0 ? rows : Object.fromEntries(Object.entries(rows).map(([n, c]) => [n, c.subarray?.(first) ?? c]));
          this.#arrived();
        },
        (error) => {
          this.#kept.delete(key);
          this.#arrived(error);
        },
      );
    }
    // The one that was asked for last is kept longest.
    this.#kept.delete(key);
    this.#kept.set(key, tile);
    if (this.#kept.size > 24) this.#kept.delete(this.#kept.keys().next().value);
    return tile.rows;
  }
}
