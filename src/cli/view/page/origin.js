// Where a timeline is from: a line, which opens to what became of packets, and to what was wrong.

import { bytes, count, element, things } from "./text.js";

export function tellOrigin({ summary, warnings, ledger, facts }) {
  const box = document.getElementById("origin");
  box.querySelector("summary").replaceChildren(summary, warnings.length ? element("strong", `; ${things(warnings.length, "warning")}`) : "");
  const parts = [];
  if (warnings.length) {
    const list = element("ul", "", "warnings");
    list.append(...warnings.map((line) => element("li", line)));
    parts.push(list);
  }
  if (ledger.length) {
    const table = element("table");
    table.setAttribute("aria-label", "What became of packets");
    for (const { name, packets, bytes: size, part } of ledger) {
      const row = table.insertRow();
      row.append(element("td", name, part ? "part" : ""), element("td", count(packets), "n"), element("td", size === null ? "" : bytes(size), "n"));
    }
    parts.push(table);
  }
  if (facts.length) {
    const list = element("dl");
    for (const [of, what] of facts) list.append(element("dt", of), element("dd", what));
    parts.push(list);
  }
  box.lastElementChild.replaceChildren(...parts);
  box.hidden = false;
}
