// Opens the page of a timeline in a browser and does what a person would: zooms, brushes, chooses a flow, saves, opens what was saved.
// node check.mjs BROWSER URL SAVED EXPECTED; ends with 0 and one line of JSON, or says what is not as it should be.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { fitting } from "../../src/cli/view/page/marks.js";
import { duration } from "../../src/cli/view/page/text.js";
import { Browser } from "./browser.mjs";

const [program, url, saved, expected] = process.argv.slice(2);
const want = JSON.parse(expected);

// No part of a time is as long as the next.
const lengths = [[119.7e6, "119.7 s"], [179.7e6, "3 min 0 s"], [10781e6, "3 h 0 min"], [9000e6, "2 h 30 min"]];
for (const [us, said] of lengths) assert.equal(duration(us), said);

// A name is cut where its room ends, however long it is, and little of it is measured for that.
let measured = 0;
const ruler = { measureText: (text) => ((measured += text.length), { width: [...text].length }) };
for (const [name, room, said] of [["host", 4, "host"], ["hosts", 4, "hos…"], ["hosts", 0, "h…"], ["", 0, ""], ["🂡🂢🂣🂤", 3, "🂡🂢…"], ["x".repeat(200), 200, "x".repeat(200)]]) {
  assert.equal(fitting(ruler, name, room), said);
}
measured = 0;
assert.equal(fitting(ruler, "x".repeat(1e6), 40), `${"x".repeat(39)}…`);
assert.ok(measured < 2000, `${measured} characters are measured`);

const text = (page, id) => page.is(`document.getElementById("${id}").textContent`);
const view = async (page) => {
  const { from, to } = await page.is("({...document.getElementById('chart').dataset})");
  return [Number(from), Number(to)];
};
const sections = (page) =>
  page.is("[...document.querySelectorAll('#detail h3')].map((head) => [head.firstChild.textContent, parseInt(head.querySelector('small').textContent.replaceAll(',', ''))])");
const table = (page) => page.is("[...document.querySelectorAll('#detail tbody tr')].map((row) => row.textContent)");

// The first in the list when the flows of most packets come first, by keys alone.
async function chooseByKeys(page) {
  await page.is("(() => { const sort = document.getElementById('f-sort'); sort.value = 'packets'; sort.dispatchEvent(new Event('input')); })()");
  if ((await page.is("document.getElementById('f-order').getAttribute('aria-pressed')")) !== "true") await page.is("document.getElementById('f-order').click()");
  await page.is("document.getElementById('f-order').focus()");
  for (let n = 0; n < 5 && (await page.is("document.activeElement.id")) !== "list"; n++) await page.key("Tab");
  assert.equal(await page.is("document.activeElement.id"), "list", "Tab leads to the list");
  await page.key("ArrowDown");
  await page.key("Home");
  await page.key("Enter");
  await page.until("!document.getElementById('detail').hidden", "the flow opens");
  await page.settled();
}

function checkFlow(found) {
  assert.deepEqual(Object.fromEntries(found), want.sections, "the sections of the flow");
}

async function checkEmpty(page) {
  assert.equal(await page.is("document.getElementById('empty').hidden"), false);
  assert.match(await text(page, "summary"), /^0 packets and 0 flows of 0 hosts/);
  assert.equal(await page.is("document.getElementById('scroller').hidden"), true);
}

async function checkLive(page) {
  assert.match(await text(page, "summary"), new RegExp(`^${want.packets} packets? and ${want.flows} flows?.* of ${want.hosts} hosts?`));
  assert.equal(await text(page, "f-count"), `${want.flows} flow${want.flows === "1" ? "" : "s"}`);
  const marks = Number(await page.is("document.getElementById('chart').dataset.marks"));
  assert.ok(marks > 0, "marks are drawn");

  // The brush.
  const whole = await view(page);
  const overview = await page.box("overview");
  const at = (share) => [overview.x + overview.width * share, overview.y + overview.height / 2];
  await page.drag(at(0.25), at(0.75));
  const part = await view(page);
  const span = whole[1] - whole[0];
  assert.ok(Math.abs(part[0] - (whole[0] + span * 0.25)) < span * 0.01 && Math.abs(part[1] - (whole[0] + span * 0.75)) < span * 0.01, `the brush shows its part: ${part} of ${whole}`);
  await page.drag(at(0.5), at(0.6));
  const moved = await view(page);
  assert.ok(moved[0] > part[0] && Math.abs(moved[1] - moved[0] - (part[1] - part[0])) <= 2 + span * 1e-9, "a drag inside moves it");

  // Keys, wheel, drag.
  await page.is("document.getElementById('chart').focus()");
  await page.key("Home");
  assert.deepEqual(await view(page), whole, "Home shows all");
  await page.key("+");
  const near = await view(page);
  assert.ok(Math.abs((near[1] - near[0]) * 2 - span) <= 4 + span * 1e-9, "+ halves the time");
  await page.key("ArrowRight");
  assert.ok((await view(page))[0] > near[0], "an arrow moves on");
  await page.key("-");
  const chart = await page.box("chart");
  const middle = [chart.x + chart.width * 0.6, chart.y + 100];
  const before = await view(page);
  await page.send("Input.dispatchMouseEvent", { type: "mouseWheel", x: middle[0], y: middle[1], deltaX: 0, deltaY: -240 });
  await page.settled();
  await page.settled();
  const wheeled = await view(page);
  assert.ok(wheeled[1] - wheeled[0] < (before[1] - before[0]) * 0.9, "the wheel zooms");
  await page.drag(middle, [middle[0] - 80, middle[1]]);
  assert.ok((await view(page))[0] > wheeled[0], "a drag pans");
  await page.key("Home");

  await page.key("+");
  const nearAgain = await view(page);
  await page.key("End");
  const latest = await view(page);
  assert.equal(latest[1], whole[1], "End goes to the latest packets");
  assert.ok(Math.abs(latest[1] - latest[0] - (nearAgain[1] - nearAgain[0])) <= 2 + span * 1e-9, "and keeps the scale");
  await page.key("Home");

  // Where it is from is told, and more of it when it is asked for.
  assert.match(await text(page, "origin"), new RegExp(want.origin));
  await page.is("document.querySelector('#origin summary').click()");
  await page.settled();
  assert.ok(await page.is("document.querySelector('#origin > div').getBoundingClientRect().height > 10"));
  await page.is("document.querySelector('#origin summary').click()");
  await page.settled();

  // Nothing to show is told.
  const hosts = (value) => page.is(`(() => { const hosts = document.getElementById('hosts'); hosts.value = ${JSON.stringify(value)}; hosts.dispatchEvent(new Event('input')); })()`);
  assert.equal(await page.is("document.getElementById('none').hidden"), true);
  await hosts("no.such.host");
  assert.equal(await text(page, "none"), "No host has “no.such.host” in its name.");
  assert.equal(await page.is("document.getElementById('none').hidden"), false);
  await hosts("");
  assert.equal(await page.is("document.getElementById('none').hidden"), true);

  // What the pointer is on is told.
  await page.until(
    `(() => {
      const chart = document.getElementById("chart"), box = chart.getBoundingClientRect();
      for (let y = box.y + 4; y < box.bottom - 24; y += 8) for (let x = box.x + 90; x < box.right; x += 3) {
        chart.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y }));
        if (!document.getElementById("tip").hidden) return document.getElementById("tip").textContent.includes("→");
      }
      return false;
    })()`,
    "a mark tells of itself",
  );

  await chooseByKeys(page);
  checkFlow(await sections(page));
  const arcs = Number(await page.is("document.getElementById('overlay').dataset.arcs"));
  if (want.listed > 0) assert.ok(arcs > 0, "arcs of the flow");
  assert.equal(await page.is("document.querySelector('.flow[aria-selected=true]') !== null"), true, "it is chosen in the list");
  const rows = await table(page);
  assert.equal(rows.length, Math.min(want.listed, rows.length));

  // Filters.
  await page.is("(() => { const text = document.getElementById('f-text'); text.value = ':65000 nobody'; text.dispatchEvent(new Event('input')); })()");
  assert.match(await text(page, "f-count"), /^0 of /);
  await page.is("(() => { const text = document.getElementById('f-text'); text.value = ''; text.dispatchEvent(new Event('input')); })()");
  await page.key("Escape");
  assert.equal(await page.is("document.getElementById('detail').hidden"), true, "Esc closes the flow");
  return rows;
}

// In a narrow window everything is below one another, and the window scrolls.
async function checkNarrow(page) {
  const top = (id) => page.is(`document.getElementById("${id}").getBoundingClientRect().top`);
  const scrolled = () => page.is("scrollY");
  assert.ok(await page.is("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window");
  await page.key("PageDown");
  await page.until("scrollY > 0", "a key that nothing has the focus for is the window's");
  // Browsers take their time for that.
  for (let before = -1; before !== (await scrolled()); await new Promise((done) => setTimeout(done, 300))) before = await scrolled();
  await page.is("scrollTo(0, 0)");
  await page.is("document.getElementById('chart').focus({ preventScroll: true })");
  const rows = () => page.is("document.getElementById('scroller').scrollTop");
  await page.key("PageDown");
  const down = await rows();
  assert.ok(down > 0, "Page Down goes through the hosts");
  assert.equal(await scrolled(), 0);
  await page.key("PageUp");
  assert.equal(await rows(), 0, "Page Up goes back");
  await chooseByKeys(page);
  assert.equal(await page.is("document.activeElement.id"), "detail", "the flow has the focus");
  assert.ok((await top("detail")) < 640 && (await top("detail")) > -10, "and is in sight");
  await page.key("Escape");
  assert.equal(await page.is("document.activeElement.id"), "list", "the focus goes back");
}

// A saved page whose flows are made so many that no element is as tall as their list.
function long(saved, n) {
  const [head, rest] = readFileSync(saved, "utf8").split('id="data">');
  const end = rest.indexOf("</script>");
  const data = JSON.parse(rest.slice(0, end));
  const repeat = (column) => {
    const [[kind, text]] = Object.entries(column);
    const bytes = Buffer.from(text, "base64");
    return { [kind]: Buffer.alloc(n * { f64: 8, u32: 4, u8: 1 }[kind], bytes).toString("base64") };
  };
  for (const [name, column] of Object.entries(data.scene.flows)) {
    if (name === "state" || name === "reason") column.places = repeat(column.places);
    else if (name !== "unexplained") data.scene.flows[name] = repeat(column);
  }
  data.packets = data.listed = null;
  const path = `${saved}.long.html`;
  writeFileSync(path, `${head}id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}${rest.slice(end)}`);
  return path;
}

async function checkLong(page, n) {
  const inSight = () =>
    page.is(`(() => {
      const list = document.getElementById("list").getBoundingClientRect();
      const rows = [...document.querySelectorAll(".flow")].map((row) => [Number(row.getAttribute("aria-posinset")), row.getBoundingClientRect()]);
      return rows.filter(([, { top, bottom }]) => top >= list.top - 1 && bottom <= list.bottom + 1).map(([place]) => place);
    })()`);
  const scroll = async (expression) => {
    await page.is(`(() => { const list = document.getElementById("list"); list.scrollTop = ${expression}; })()`);
    await page.settled();
    return inSight();
  };
  assert.equal((await inSight())[0], 1);
  assert.equal((await scroll("list.scrollHeight")).at(-1), n, "the end of the list is the last flow");
  const [middle] = await scroll("list.scrollHeight / 2");
  assert.ok(Math.abs(middle - n / 2) < n / 100, `the middle of the bar is the middle of the list: ${middle}`);
  // Row by row, nothing is passed over, also when the bar rests between.
  for (let step = 1; step <= 3; step++) {
    assert.equal((await scroll("list.scrollTop + 46"))[0], middle + step, "a row down is a row down");
    await new Promise((done) => setTimeout(done, 300));
    assert.equal((await inSight())[0], middle + step, "and stays where it is");
  }
  await page.is("document.getElementById('list').focus()");
  await page.key("End");
  assert.equal((await inSight()).at(-1), n, "End leads to the last flow");
  await page.key("Home");
  assert.equal((await inSight())[0], 1);
}

const browser = await Browser.start(program);
try {
  const live = await browser.page();
  await live.open(url);
  const rows = want.packets === "0" ? await checkEmpty(live) : await checkLive(live);
  // What names say is never markup.
  assert.equal(await live.is("document.querySelectorAll('img, script:not([type=module])').length + (window.boom ?? 0)"), 0);
  assert.deepEqual(live.complaints, [], "nothing on the console");
  for (const request of live.requests) assert.ok(request.startsWith(url) || request.startsWith("data:"), `a request to ${request}`);

  const href = await live.is("document.getElementById('save').href");
  const file = await fetch(href);
  assert.equal(file.headers.get("content-disposition"), 'attachment; filename="timeline.html"');
  writeFileSync(saved, Buffer.from(await file.arrayBuffer()));
  await live.close();
  if (want.packets !== "0" && want.hosts >= 20) {
    const narrow = await browser.page({ width: 420, height: 640 });
    await narrow.open(url);
    await checkNarrow(narrow);
    assert.deepEqual(narrow.complaints, [], "nothing on the console, narrow");
    await narrow.close();
  }

  const offline = await browser.page({ dark: true });
  await offline.send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 });
  const address = pathToFileURL(saved).href;
  await offline.open(address);
  if (want.packets === "0") await checkEmpty(offline);
  else {
    assert.match(await text(offline, "summary"), new RegExp(`^${want.packets} packets?`));
    assert.match(await text(offline, "origin"), new RegExp(want.origin));
    await chooseByKeys(offline);
    checkFlow(await sections(offline));
    assert.deepEqual(await table(offline), rows, "the saved page lists the same packets");
    await offline.key("Escape");
    await offline.is("document.getElementById('in').click()");
    await offline.settled();
  }
  assert.equal(await offline.is("document.querySelectorAll('img').length + (window.boom ?? 0)"), 0);
  assert.deepEqual(offline.complaints, [], "nothing on the console, offline");
  for (const request of offline.requests) assert.ok(request === address || request.startsWith("data:"), `a request to ${request}`);
  await offline.close();
  if (want.limited) {
    const limited = await browser.page();
    await limited.open(pathToFileURL(want.limited).href);
    assert.match(await text(limited, "note"), /^This file holds at most 500 packets/);
    assert.match(await text(limited, "summary"), new RegExp(`^${want.packets} packets?`));
    await chooseByKeys(limited);
    assert.match(await text(limited, "detail"), /Its packets are not in this file/);
    assert.equal(await limited.is("document.querySelectorAll('#detail table').length"), 0);
    assert.deepEqual(limited.complaints, [], "nothing on the console, limited");
    await limited.close();
    const [n, page] = [720000, await browser.page()];
    await page.open(pathToFileURL(long(want.limited, n)).href);
    await checkLong(page, n);
    assert.deepEqual(page.complaints, [], "nothing on the console, long");
  }
  console.log(JSON.stringify({ rows: rows?.length ?? 0 }));
} finally {
  await browser.end();
}
