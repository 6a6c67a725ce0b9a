// Colours, and the shapes that say the same without them.

const CLASS_COLOURS = ["--syn", "--synack", "--ack", "--data", "--fin", "--rst", "--other"];
const ENDING_COLOURS = ["--fin", "--rst", "--data", "--synack", "--syn"];

// The colours of now, light or dark.
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    classes: CLASS_COLOURS.map(of), endings: ENDING_COLOURS.map(of), ink: of("--ink"), muted: of("--muted"), line: of("--line"),
    faint: of("--faint"), panel: of("--panel"), accent: of("--accent"), bytes: of("--other"), chosen: of("--chosen"),
  };
}

// Characters of a name that are measured: more have no room beside rows, and a browser lays out all of a text to measure it.
const MOST_MEASURED = 200;

export const beginning = (text) => (text.length > MOST_MEASURED ? text.slice(0, MOST_MEASURED) : text);

// As much of a text as `room` holds, one letter at least, and `…` in place of the rest.
export function fitting(context, text, room) {
  const start = beginning(text);
  if (start === text && context.measureText(text).width <= room) return text;
  const letters = [...start];
  const cut = (length) => `${letters.slice(0, length).join("")}…`;
  let [fits, over] = [1, letters.length + 1];
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (context.measureText(cut(middle)).width <= room) fits = middle;
    else over = middle;
  }
  return cut(fits);
}

// A packet of a class, as a path about x, y.
export function shape(context, kind, x, y, r) {
  switch (kind) {
    case 0: // SYN: up
      context.moveTo(x - r, y + r * 0.8);
      context.lineTo(x, y - r);
      context.lineTo(x + r, y + r * 0.8);
      context.closePath();
      break;
    case 1: // SYN+ACK: down
      context.moveTo(x - r, y - r * 0.8);
      context.lineTo(x, y + r);
      context.lineTo(x + r, y - r * 0.8);
      context.closePath();
      break;
    case 4: // FIN: a square
      context.rect(x - r * 0.8, y - r * 0.8, r * 1.6, r * 1.6);
      break;
    case 5: // RST: a cross
      // One outline: where two bars of opposite turns cross, a hole would be.
      [[0, 0.35], [0.65, 1], [1, 0.65], [0.35, 0], [1, -0.65], [0.65, -1], [0, -0.35], [-0.65, -1], [-1, -0.65], [-0.35, 0], [-1, 0.65], [-0.65, 1]].forEach(
        ([dx, dy], at) => (at ? context.lineTo(x + dx * r, y + dy * r) : context.moveTo(x + dx * r, y + dy * r)),
      );
      context.closePath();
      break;
    case 6: // other: a diamond
      context.moveTo(x - r, y);
      context.lineTo(x, y - r);
      context.lineTo(x + r, y);
      context.lineTo(x, y + r);
      context.closePath();
      break;
    default: {
      const radius = kind === 2 ? r * 0.62 : r * 0.85;
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
  }
}

// A canvas as large as its place, sharp on every screen; its context in CSS pixels.
export function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// An arc from one row to another at a time; it bends right when it goes down, left when it goes up.
export function arc(context, x, from, to) {
  const bend = Math.sign(to - from) * Math.min(70, 10 + Math.abs(to - from) * 0.3);
  if (from === to) {
    context.moveTo(x, from);
    context.bezierCurveTo(x + 18, from - 16, x + 18, from + 16, x, to);
    return;
  }
  context.moveTo(x, from);
  context.quadraticCurveTo(x + bend, (from + to) / 2, x, to);
  // The head: along the curve's end.
  const [dx, dy] = [-bend, (to - from) / 2];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = [(dx / length) * 6, (dy / length) * 6];
  context.moveTo(x - ux - uy * 0.55, to - uy + ux * 0.55);
  context.lineTo(x, to);
  context.lineTo(x - ux + uy * 0.55, to - uy - ux * 0.55);
}
