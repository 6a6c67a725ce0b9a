// How long a page takes to its first picture, and how many frames a second it draws while it pans, at a few scales.
// node speed.mjs BROWSER URL

import { Browser } from "./browser.mjs";

const [program, url] = process.argv.slice(2);
const browser = await Browser.start(program);
try {
  const page = await browser.page();
  await page.open(url);
  const first = await page.is("Math.round(performance.getEntriesByName('first picture')[0].startTime)");
  const scales = [];
  for (const zooms of [0, 2, 4, 7, 10]) {
    await page.is("document.getElementById('all').click()");
    for (let n = 0; n < zooms; n++) await page.is("document.getElementById('in').click()");
    await page.until("document.getElementById('chart').dataset.waiting === 'false'");
    await page.settled();
    // A pan at every frame, forth and back.
    const told = await page.is(`new Promise((done) => {
      const chart = document.getElementById("chart"), box = chart.getBoundingClientRect(), begin = performance.now();
      let frames = 0, waiting = 0, worst = 0, last = begin;
      const frame = (now) => {
        frames++;
        worst = Math.max(worst, now - last);
        last = now;
        if (chart.dataset.waiting === "true") waiting++;
        if (now - begin > 2000) {
          const { level, marks, from, to } = chart.dataset;
          return done({ fps: Math.round(frames / (now - begin) * 1000), worstMs: Math.round(worst), waitingFrames: waiting, level, marks, spanSeconds: (to - from) / 1e6 });
        }
        const deltaX = Math.floor((now - begin) / 500) % 2 ? -12 : 12;
        chart.dispatchEvent(new WheelEvent("wheel", { deltaX, clientX: box.x + 300, clientY: box.y + 50, cancelable: true }));
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    })`);
    scales.push({ zooms, ...told });
  }
  const heap = (await page.send("Runtime.getHeapUsage")).usedSize;
  console.log(JSON.stringify({ firstPictureMs: first, heapMB: Math.round(heap / 1e6), scales, complaints: page.complaints }));
} finally {
  await browser.end();
}
