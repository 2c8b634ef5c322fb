"use strict";
// Consoles. Text of nodes only ever becomes text nodes: whatever it holds is shown and never run.

const PAGE_OF_LINES = 500;

// A function that tells where text matches: `/…/` is a regular expression, anything else is looked for as it is.
function matcher(wanted) {
  const pattern = /^\/(.+)\/$/.exec(wanted);
  if (pattern) {
    try {
      const expression = new RegExp(pattern[1], "i");
      return (text) => { const hit = expression.exec(text); return hit && hit[0] ? [hit.index, hit[0].length] : null; };
    } catch { return null; }
  }
  const lower = wanted.toLowerCase();
  return (text) => { const at = text.toLowerCase().indexOf(lower); return at < 0 ? null : [at, lower.length]; };
}

class Consoles {
  constructor(run) {
    this.run = run;
    this.box = document.getElementById("console-lines");
    this.chosen = document.getElementById("console-node");
    this.search = document.getElementById("console-search");
    this.marked = document.getElementById("console-marked");
    this.status = document.getElementById("console-status");
    for (const node of run.nodes) this.chosen.append(new Option(`${node.id} (${counted(node.total, "line")})`, `n${node.id}`));
    if (run.nodes.length > 1) this.chosen.append(new Option("all nodes, by time", "all"));
    this.chosen.addEventListener("change", () => this.choose());
    this.marked.addEventListener("change", () => this.choose());
    this.search.addEventListener("input", () => { this.find(); this.draw(); });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.step(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { this.search.value = ""; this.find(); this.draw(); }
    });
    document.getElementById("console-next").addEventListener("click", () => this.step(1));
    document.getElementById("console-previous").addEventListener("click", () => this.step(-1));
    this.target = -1;
    this.choose();
  }

  // Lines of the chosen node, or of all in the order of time: {node, number, t, text, mark, proof}.
  choose() {
    const merged = this.chosen.value === "all";
    const nodes = this.run.nodes.filter((node) => merged || `n${node.id}` === this.chosen.value);
    this.rows = [];
    for (const node of nodes) {
      const proofs = new Set(node.evidence);
      let last = 0;
      for (const [number, t, text, mark] of node.lines) {
        last = t === null ? last : t;
        this.rows.push({ node: node.id, number, t, order: last, text, mark, proof: proofs.has(number) });
      }
    }
    if (merged) this.rows.sort((one, other) => one.order - other.order);
    if (this.marked.checked) this.rows = this.rows.filter((row) => row.mark || row.proof);
    this.merged = merged;
    this.problem = nodes.map((node) => node.problem).filter(Boolean).join("; ");
    this.target = -1;
    this.from = 0;
    this.box.classList.toggle("merged", merged);
    this.find();
    this.draw();
    this.box.scrollTop = 0;
  }

  find() {
    const wanted = this.search.value;
    this.match = wanted ? matcher(wanted) : null;
    this.hits = [];
    if (this.match) this.rows.forEach((row, index) => { if (this.match(row.text)) this.hits.push(index); });
    this.tell(wanted);
  }

  tell(wanted) {
    if (wanted && !this.match) this.status.textContent = "not a regular expression";
    else if (wanted) {
      const at = this.hits.indexOf(this.target);
      this.status.textContent = this.hits.length ? `${at < 0 ? "" : `${at + 1} of `}${this.hits.length} found` : "not found";
    } else this.status.textContent = this.problem || counted(this.rows.length, "line");
  }

  step(by) {
    if (!this.hits.length) return;
    const after = this.hits.findIndex((hit) => hit > this.target);
    const here = this.hits.indexOf(this.target);
    let next = by > 0 ? after : (here < 0 ? (after < 0 ? this.hits.length : after) : here) - 1;
    if (next < 0) next = by > 0 ? 0 : this.hits.length - 1;
    this.go(this.hits[next]);
    this.tell(this.search.value);
  }

  // To a line of a node, as evidence names it; false when the page does not have it.
  show(node, number) {
    if (!this.run.nodes.some((one) => one.id === node)) return false;
    this.chosen.value = `n${node}`;
    this.marked.checked = false;
    this.choose();
    const index = this.rows.findIndex((row) => row.number >= number);
    if (index < 0) return false;
    this.go(index);
    this.status.textContent = `${node}, line ${number}`;
    return true;
  }

  go(index) {
    this.target = index;
    this.from = Math.max(0, index - PAGE_OF_LINES / 2);
    this.draw();
    const row = this.box.querySelector(".target");
    if (row) this.box.scrollTop = row.offsetTop - this.box.offsetTop - this.box.clientHeight / 2;
  }

  draw() {
    const until = Math.min(this.rows.length, this.from + PAGE_OF_LINES);
    const drawn = document.createDocumentFragment();
    if (this.from > 0) drawn.append(this.more("earlier lines", Math.max(0, this.from - PAGE_OF_LINES)));
    for (let index = this.from; index < until; index++) {
      const before = this.rows[index - 1], row = this.rows[index];
      const missing = before && before.node === row.node ? row.number - before.number - 1 : index === 0 && !this.merged ? row.number - 1 : 0;
      if (missing > 0 && !this.marked.checked && !this.merged) drawn.append(element("div", "row gap", `… ${counted(missing, "line")} only in the file …`));
      drawn.append(this.line(row, index));
    }
    if (until < this.rows.length) drawn.append(this.more("later lines", until));
    if (!this.rows.length) drawn.append(element("div", "row gap", this.problem || (this.marked.checked ? "no highlights" : "nothing was said")));
    this.box.replaceChildren(drawn);
  }

  more(text, from) {
    const row = element("div", "row more"), button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => { const down = from > this.from; this.from = from; this.draw(); this.box.scrollTop = down ? 0 : this.box.scrollHeight; this.box.focus(); });
    row.append(button);
    return row;
  }

  line(row, index) {
    const made = element("div", `row ${row.mark}${row.proof ? " proof" : ""}${index === this.target ? " target" : ""}`);
    if (row.proof) made.title = "evidence of a check or a fault";
    made.append(element("span", "at", row.number), element("span", "at", seconds(row.t)));
    if (this.merged) made.append(element("span", "who", row.node));
    const said = element("span"), hit = this.match ? this.match(row.text) : null;
    if (hit) said.append(row.text.slice(0, hit[0]), element("mark", "", row.text.slice(hit[0], hit[0] + hit[1])), row.text.slice(hit[0] + hit[1]));
    else said.textContent = row.text;
    made.append(said);
    return made;
  }
}
