// Opens the page of a scan of very many hosts, and looks for one of them.
// node scan.mjs BROWSER URL SAVED LIMITED HOSTS; ends with 0, or says what is not as it should be.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { binned } from "../../src/cli/view/page/overview.js";
import { Browser } from "./browser.mjs";

const [program, url, saved, limited, hosts] = process.argv.slice(2);

// Rows of one bin are one thing to the overview, however many they are.
const many = 100000;
const coarse = { level: 1, time: new Float64Array(many).fill(8, many / 2), count: new Uint32Array(many).fill(2), bytes: new Float64Array(many).fill(60) };
assert.deepEqual(binned({ coarse, levels: [{ width: 1 }, { width: 8 }] }), { time: [0, 8], packets: [many, many], bytes: [many * 30, many * 30], width: 8 });
assert.deepEqual(binned({ coarse: null, levels: [] }), { time: [], packets: [], bytes: [], width: 0 });

const chart = (page) => page.is("({...document.getElementById('chart').dataset})");
const fold = (page) => page.is("(({ hidden, textContent }) => (hidden ? '' : textContent))(document.getElementById('fold'))");
const rest = Number(hosts).toLocaleString("en-US");

// Seconds that scripts take for it, whatever else the machine does.
async function cost(page, act) {
  const taken = async () => (await page.send("Performance.getMetrics")).metrics.find(({ name }) => name === "ScriptDuration").value;
  const before = await taken();
  await act();
  return (await taken()) - before;
}

async function find(page, words) {
  const spent = await cost(page, () => page.is(`(() => { const hosts = document.getElementById("hosts"); hosts.value = ${JSON.stringify(words)}; hosts.dispatchEvent(new Event("input")); })()`));
  await page.until("document.getElementById('chart').dataset.waiting === 'false'");
  await page.settled();
  await page.settled();
  assert.ok(spent < 0.5, `a letter takes ${spent} s`);
  return chart(page);
}

// What the pointer finds in a row, from the left.
const told = (page, row) =>
  page.is(`(() => {
    const chart = document.getElementById("chart"), box = chart.getBoundingClientRect(), { left, row } = chart.dataset;
    for (let x = box.x + Number(left); x < box.right; x++) {
      chart.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: box.y + (${row} + 0.5) * row }));
      const tip = document.getElementById("tip");
      if (!tip.hidden) return tip.textContent;
    }
    return "";
  })()`);

async function check(page, address, finds) {
  await page.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.open(address);
  const open = await chart(page);
  assert.deepEqual([open.rows, open.waiting], ["2", "false"], "the scanner and all others");
  // Bins, of which the time has many, and not one bar.
  assert.ok(open.level > 0 && open.marks >= 64, `marks over time: ${JSON.stringify(open)}`);
  assert.equal(await fold(page), `The busiest host has a row of its own; the ${rest} other hosts share the first row. “Hosts” finds any of them.`);
  assert.match(await told(page, 1), new RegExp(`\\n10\\.0\\.0\\.1: [0-9,]+ packets?, .*\\nSYN [0-9,]+\\n→ ${rest} other hosts: `));

  const one = await find(page, "11.0.0.77");
  if (finds) {
    assert.deepEqual([one.rows, one.marks, await fold(page)], ["2", "1", ""], "who was found, and who talks with it");
    assert.match(await told(page, 0), /→ 11\.0\.0\.77/);
  } else {
    assert.equal(one.rows, "2");
    assert.equal(await fold(page), `1 of the hosts found is among the ${rest} other hosts, which share the first row: this file does not tell them apart.`);
  }
  const every = await find(page, "11.");
  assert.equal(every.rows, "2");
  // Columns of packets stand elsewhere than those of bins.
  const near = (marks) => Math.abs(marks - open.marks) <= 3;
  assert.ok(near(every.marks), `${every.marks} marks of ${open.marks}`);
  assert.match(await fold(page), new RegExp(`^${rest} of the hosts found are among the ${rest} other hosts`));
  const scanner = await find(page, "10.0.0.1");
  assert.deepEqual([scanner.rows, near(scanner.marks), await fold(page)], ["2", true, ""]);
  assert.equal((await find(page, "")).marks, open.marks);

  // Closer up, packets stand alone.
  if (finds) {
    for (let n = 0; n < 7; n++) await page.is("document.getElementById('in').click()");
    await page.settled();
    await page.until("document.getElementById('chart').dataset.waiting === 'false'");
    await page.settled();
    assert.equal((await chart(page)).level, "0");
    assert.match(await told(page, 1), /10\.0\.0\.1 → 11\.[0-9.]+\nSYN, /);
  }
  assert.deepEqual(page.complaints, [], "nothing on the console");
  await page.close();
}

const browser = await Browser.start(program);
try {
  await check(await browser.page(), url, true);
  await check(await browser.page(), pathToFileURL(saved).href, true);
  await check(await browser.page({ dark: true }), pathToFileURL(limited).href, false);
} finally {
  await browser.end();
}
