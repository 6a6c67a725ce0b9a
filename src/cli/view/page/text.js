// Numbers, times and flags as text.

const US = 1;
const MS = 1000;
const S = 1e6;
const DAY = 86400e6;
const STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * US), ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * MS),
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((n) => n * S),
  ...[1, 2, 7, 14, 28, 91, 182, 365, 730, 1825, 3650, 7300, 18250, 36500, 365000, 3650000, 36500000].map((n) => n * DAY),
];

export const count = (n) => Math.round(n).toLocaleString("en-US");
export const things = (n, thing) => `${count(n)} ${thing}${n === 1 ? "" : "s"}`;

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let at = 0;
  while (Math.abs(n) >= 999.5 && at + 1 < units.length) {
    n /= 1000;
    at++;
  }
  return `${at === 0 || Math.abs(n) >= 99.95 ? Math.round(n) : n.toFixed(1)} ${units[at]}`;
}

// How long `us` microseconds are.
export function duration(us) {
  if (us < MS) return `${Math.round(us)} µs`;
  if (us < S) return `${+(us / MS).toPrecision(4)} ms`;
  if (us < 120 * S) return `${+(us / S).toPrecision(4)} s`;
  const [seconds, minutes] = [Math.round(us / S), Math.round(us / 60 / S)];
  if (us < 7200 * S) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (us < 2 * DAY) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return us < 1000 * DAY ? `${(us / DAY).toFixed(1)} days` : `${(us / DAY / 365.25).toFixed(1)} years`;
}

// Date and time, UTC, with `digits` behind the second; microseconds since 1970 for what no calendar here reaches.
function calendar(us, digits) {
  const fraction = ((us % 1000000n) + 1000000n) % 1000000n;
  const date = new Date(Number((us - fraction) / 1000000n) * 1000);
  if (Number.isNaN(date.getTime())) return ["", `${us} µs`];
  const [day, time] = date.toISOString().split("T");
  return [day, time.slice(0, 8) + (digits ? `.${String(fraction).padStart(6, "0").slice(0, digits)}` : "")];
}

// Clock time of offsets from the first packet.
export class Clock {
  #first;

  constructor(first) {
    this.#first = BigInt(first);
  }

  parts(offset, digits = 6) {
    return calendar(this.#first + BigInt(Math.round(offset)), digits);
  }
  full(offset, digits) {
    return this.parts(offset, digits).join(" ").trim();
  }

  // Where an axis has its marks, and what stands there: exact, also where times are beyond what a number counts.
  ticks(from, to, most) {
    const step = STEPS.find((step) => (to - from) / step <= most) ?? STEPS[STEPS.length - 1] * 10;
    const phase = this.#first % BigInt(step);
    const digits = step >= S ? 0 : Math.min(6, Math.ceil(6 - Math.log10(step) - 1e-9));
    const place = (n) => n * step - Number(phase);
    const ticks = [];
    for (let n = Math.ceil((from + Number(phase)) / step); place(n) <= to && ticks.length < 100; n++) {
      const [day, time] = calendar(this.#first - phase + BigInt(n) * BigInt(step), digits);
      ticks.push({ at: place(n), text: !day ? time : step >= DAY ? day : step >= 60 * S ? time.slice(0, 5) : time });
    }
    return ticks;
  }
}

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

export function flags(mask) {
  if (mask < 0) return "?";
  const names = FLAGS.filter((_, bit) => mask & (1 << bit));
  return names.length ? names.join(" ") : mask === 0 ? "none" : `0x${mask.toString(16)}`;
}

export const STEP_TEXT = {
  syn: "asks to connect", syn_ack: "accepts", ack: "completes it", data: "data", ack_data: "acknowledges",
  fin: "closes its side", ack_close: "acknowledges", rst: "resets",
};

export const REASON_TEXT = {
  invalid_synack: "the SYN+ACK acknowledges something else", invalid_ack: "the handshake's last packet has other numbers",
  rst_during_handshake: "it was reset in the handshake", incomplete_no_synack: "no SYN+ACK came",
  incomplete_no_ack: "nothing completed the handshake",
};

// An element with text in it, which is never read as markup.
export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
