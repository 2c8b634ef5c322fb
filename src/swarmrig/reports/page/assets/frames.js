"use strict";
// Frames of one link, decoded. The capture has all of them; the page has those that matter and some from all the run.

const LINK_ROWS = 400;

class Frames {
  constructor(run) {
    this.run = run;
    this.chosen = document.getElementById("frame-link");
    this.filter = document.getElementById("frame-filter");
    this.status = document.getElementById("frame-status");
    this.body = document.querySelector("#frame-table tbody");
    run.links.forEach((link, index) => this.chosen.append(new Option(`${link.name} (${link.total})`, index)));
    this.chosen.addEventListener("change", () => this.draw());
    this.filter.addEventListener("input", () => this.draw());
    this.chosen.value = Math.max(0, run.links.findIndex((link) => link.frames.length));
    this.target = null;
    this.draw();
  }

  // To a frame of a link, as evidence names it; false when the page does not have it.
  show(name, number) {
    const index = this.run.links.findIndex((link) => link.name === name);
    if (index < 0 || !this.run.links[index].frames.some((frame) => frame[0] === number)) return false;
    this.chosen.value = index;
    this.filter.value = "";
    this.target = number;
    this.draw();
    const row = this.body.querySelector(".target");
    row.querySelector(".open").click();
    const box = row.closest(".scroll");
    box.scrollTop = row.offsetTop - box.clientHeight / 3;
    this.target = null;
    return true;
  }

  draw() {
    const link = this.run.links[this.chosen.value];
    if (!link) { this.status.textContent = "no captures"; return; }
    const wanted = this.filter.value.toLowerCase();
    const proofs = new Set(this.run.evidence[link.name] || []);
    let found = link.frames.filter((frame) => !wanted || `${frame[3]} ${frame[4]} ${frame[2]}`.toLowerCase().includes(wanted));
    const count = found.length;
    if (count > LINK_ROWS) {
      const at = Math.max(0, found.findIndex((frame) => frame[0] === this.target));
      const from = Math.max(0, Math.min(at - LINK_ROWS / 2, count - LINK_ROWS));
      found = found.slice(from, from + LINK_ROWS);
    }
    const kept = count < link.total ? `${count} of ${link.total} frames; all are in net/${link.name}.pcapng` : counted(count, "frame");
    this.status.textContent = link.problem || (count > found.length ? `${kept}; ${found.length} shown, filter for others` : kept);
    this.body.replaceChildren(...found.map((frame) => this.row(frame, proofs)));
  }

  row(frame, proofs) {
    const [number, t, sender, what, fate, delivered] = frame;
    const row = element("tr", `${delivered ? "" : "dropped"}${proofs.has(number) ? " proof" : ""}${number === this.target ? " target" : ""}`);
    const cell = element("td"), open = element("button", "open", what);
    open.type = "button";
    open.setAttribute("aria-expanded", "false");
    open.addEventListener("click", () => this.toggle(row, open, frame));
    cell.append(open);
    row.append(element("td", "number", number), element("td", "number", (t / 1e9).toFixed(6) + " s"), element("td", "", sender), cell, element("td", "", fate));
    return row;
  }

  toggle(row, open, frame) {
    const shown = open.getAttribute("aria-expanded") === "true";
    open.setAttribute("aria-expanded", String(!shown));
    if (shown) { row.nextSibling.remove(); return; }
    const below = element("tr"), cell = element("td"), fields = element("div", "decoded");
    cell.colSpan = 5;
    for (const [name, value] of Object.entries(frame[6])) {
      const line = element("div");
      line.append(element("b", "", name + " "), String(value));
      fields.append(line);
    }
    const bytes = frame[7].match(/.{1,32}/g) || [];
    const dump = bytes.map((part, index) => (index * 16).toString(16).padStart(4, "0") + "  " + part.match(/../g).join(" "));
    cell.append(fields, element("pre", "", dump.join("\n")));
    below.append(cell);
    row.after(below);
  }
}
