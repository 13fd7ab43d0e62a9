
"use strict";
(() => {
  const END = 256;
  const SIGNS = { 9: "→", 10: "↵", 13: "␍", 32: "·" };
  const about = JSON.parse(document.getElementById("about").textContent);
  const text = Uint8Array.from(atob(about.text), (char) => char.charCodeAt(0));
  const panel = document.getElementById("panel");
  const strict = new TextDecoder("utf-8", { fatal: true });

  // Elements: text is only ever set as text.
  const make = (tag, name, ...content) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...content);
    return element;
  };
  const hex = (byte) => byte.toString(16).toUpperCase().padStart(2, "0");
  const fromHex = (digits) => {
    const bytes = new Uint8Array(digits.length / 2);
    for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(digits.substr(2 * at, 2), 16);
    return bytes;
  };

  // Numbers: probabilities come as thousandths of bits.
  const chance = (thousandths) => (thousandths === null ? 0 : 2 ** (-thousandths / 1000));
  const percent = (p) => {
    const value = 100 * p;
    if (value === 0) return "0 %";
    if (value >= 10) return value.toFixed(1) + " %";
    if (value >= 0.01) return value.toFixed(value >= 1 ? 2 : 3) + " %";
    return value.toExponential(1) + " %";
  };
  const bits = (thousandths) => (thousandths === null ? "∞" : (thousandths / 1000).toFixed(2));

  // Bytes as characters, what is no character as its bytes.
  const decoded = (bytes) => {
    try {
      return strict.decode(bytes);
    } catch {
      return null;
    }
  };
  const picture = (char) => {
    const code = char.codePointAt(0);
    if (SIGNS[code]) return SIGNS[code];
    return /[\p{C}\p{Z}]/u.test(char) ? "<" + code.toString(16).toUpperCase().padStart(4, "0") + ">" : char;
  };
  const lengthAt = (bytes, at) => {
    const lead = bytes[at];
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    return size && at + size <= bytes.length && decoded(bytes.subarray(at, at + size)) !== null ? size : 0;
  };
  const visible = (bytes) => {
    let out = "";
    for (let at = 0; at < bytes.length; ) {
      const size = lengthAt(bytes, at);
      out += size ? picture(decoded(bytes.subarray(at, at + size))) : "<" + hex(bytes[at]) + ">";
      at += size || 1;
    }
    return /^\p{M}/u.test(out) ? "◌" + out : out;
  };
  // What an outcome is, behind the bytes of an unfinished character.
  const outcomeLabel = (at, outcome) => {
    if (outcome === END) return "end of text";
    if (outcome < 0x80) return visible(Uint8Array.of(outcome));
    for (let back = 1; back <= Math.min(3, at); back++) {
      const bytes = Uint8Array.of(...text.subarray(at - back, at), outcome);
      if (lengthAt(bytes, 0) === bytes.length) return hex(outcome) + " " + visible(bytes);
    }
    return hex(outcome);
  };

  // Models: a line of numbers for each stretch of bytes, read when it is needed.
  const models = [...document.querySelectorAll("script.view")].map((script) => {
    const lines = script.textContent.split("\n");
    const head = JSON.parse(lines[0]);
    head.tokens = head.tokens.map(([id, digits]) => ({ id, bytes: fromHex(digits) }));
    const read = new Map();
    head.at = (at) => {
      const line = 1 + Math.floor(at / about.line);
      if (!read.has(line)) read.set(line, JSON.parse(lines[line]));
      return read.get(line)[at % about.line];
    };
    return head;
  });

  // Cells: which bytes each element stands for, and a colour for each of them.
  const views = [...document.querySelectorAll(".text")].map((element) => {
    const cells = [...element.querySelectorAll("b")];
    const cellOf = new Int32Array(text.length + 1);
    let start = 0;
    cells.forEach((cell, number) => {
      const levels = cell.dataset.h || "0";
      cell.firstByte = start;
      cell.size = levels.length;
      cellOf.fill(number, start, start + cell.size);
      start += cell.size;
      if (cell.size > 1) paint(cell, levels);
    });
    return { element, cells, cellOf };
  });
  function paint(cell, levels) {
    const inside = (cell.dataset.cut || "").split(",").filter(Boolean).map(Number);
    const towards = cell.classList.contains("rtl") ? "to left" : "to right";
    const share = (at) => ((100 * at) / levels.length).toFixed(2) + "%";
    const stops = [...levels].map((level, at) => `var(--h${level}) ${share(at)} ${share(at + 1)}`);
    const cuts = inside.map(
      (at) =>
        `linear-gradient(${towards}, transparent calc(${share(at)} - .5px), var(--cut) 0 ` +
        `calc(${share(at)} + .5px), transparent 0)`,
    );
    cell.classList.add("many");
    cell.style.backgroundImage = [...cuts, `linear-gradient(${towards}, ${stops.join(", ")})`].join(", ");
  }

  // The panel.
  let current = -1;
  let pinned = false;
  function select(at) {
    if (at !== current && at >= 0 && at <= text.length) show(at);
  }
  function show(at) {
    for (const { cells, cellOf } of views) {
      if (current >= 0) cells[cellOf[current]].classList.remove("on");
      cells[cellOf[at]].classList.add("on");
    }
    current = at;
    const sections = models.map((model) => prediction(model, at));
    panel.replaceChildren(where(at), make("div", "models", ...sections));
  }
  function where(at) {
    if (at === text.length) return make("p", "", make("strong", "", "End of the text"));
    const { cells, cellOf } = views[0];
    const cell = cells[cellOf[at]];
    const line = make("p", "bytes", make("strong", "", `Byte ${at + 1} of ${text.length}: `));
    for (let byte = cell.firstByte; byte < cell.firstByte + cell.size; byte++) {
      const level = (cell.dataset.h || cell.className.slice(1, 2))[byte - cell.firstByte];
      line.append(make("b", `mono h${level}${byte === at ? " on" : ""}`, hex(text[byte])));
    }
    const bytes = text.subarray(cell.firstByte, cell.firstByte + cell.size);
    const chars = decoded(bytes);
    const codes = chars === null ? [] : [...chars].map((char) => "U+" + char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"));
    line.append(" ", make("span", "mono", visible(bytes)), " ");
    line.append(make("span", "quiet", codes.length ? codes.join(" ") : "no UTF-8"));
    if (pinned) line.append(make("span", "quiet", " · held (Escape lets go)"));
    return line;
  }
  function prediction(model, at) {
    const record = model.at(at);
    const section = make("div", "", make("h3", "", model.name));
    if (!record.length) {
      section.append(make("p", "quiet", "The text before this cannot be: nothing is known."));
      return section;
    }
    const [took, rank, entropy, lost, bound, outcomes, paths] = record;
    const notes = [`rank ${rank + 1}`, `${bits(entropy)} bits expected`];
    if (lost >= 100) notes.push(`${percent(lost / 1e6)} lost`);
    if (bound) notes.push(`±${percent(bound / 1e6)} by pruning`);
    section.append(make("p", "", make("strong", "", `${bits(took)} bits`), " · " + notes.join(" · ")));
    section.append(outcomeTable(at, outcomes, took, rank));
    if (paths.length) {
      section.append(make("h4", "", "The text before, as tokens, and what the last one owes"));
      section.append(make("ul", "paths", ...paths.map((path) => pathItem(model, at, path))));
    }
    return section;
  }
  function outcomeTable(at, outcomes, took, rank) {
    const actual = at === text.length ? END : text[at];
    const body = make("tbody");
    const row = (number, outcome, p) => {
      const meter = make("meter");
      meter.value = p;
      meter.setAttribute("aria-hidden", "true");
      const head = make("th", "", outcomeLabel(at, outcome));
      head.scope = "row";
      const line = make("tr", outcome === actual ? "actual" : "", make("td", "", `${number}`), head, make("td", "p", percent(p)), make("td", "bar", meter));
      body.append(line);
    };
    for (let k = 0; k < outcomes.length; k += 2) row(k / 2 + 1, outcomes[k], chance(outcomes[k + 1]));
    if (2 * rank >= outcomes.length) row(rank + 1, actual, chance(took));
    return make("table", "outcomes", body);
  }
  function pathItem(model, at, [share, owed, ...ids]) {
    const item = make("li", "", make("span", "share", percent(chance(share))));
    const sizes = ids.reduce((sum, id) => sum + model.tokens[id].bytes.length, 0);
    if (sizes - owed < at) item.append("…");
    ids.forEach((id, number) => {
      const { id: name, bytes } = model.tokens[id];
      const own = number === ids.length - 1 ? bytes.length - owed : bytes.length;
      const token = make("span", "token", visible(bytes.subarray(0, own)));
      token.title = `token ${name}`;
      if (own < bytes.length) token.append(make("span", "owed", visible(bytes.subarray(own))));
      item.append(token);
    });
    if (!ids.length) item.append(make("span", "quiet", "no token yet"));
    return item;
  }

  // Ways to a byte: the pointer, a finger, the keyboard.
  function pointed(event) {
    const cell = event.target.closest(".text b");
    if (!cell) return -1;
    if (cell.size === 1) return cell.firstByte;
    const boxes = [...cell.getClientRects()];
    const box = boxes.find((one) => event.clientX >= one.left && event.clientX <= one.right && event.clientY >= one.top && event.clientY <= one.bottom);
    if (!box) return cell.firstByte;
    let share = (event.clientX - box.left) / Math.max(1, box.width);
    if (cell.classList.contains("rtl")) share = 1 - share;
    return cell.firstByte + Math.min(cell.size - 1, Math.max(0, Math.floor(share * cell.size)));
  }
  function vertical({ cells, cellOf }, step) {
    const from = cells[cellOf[current]].getBoundingClientRect();
    let best = -1;
    let least = Infinity;
    let line = null;
    for (let at = cellOf[current] + step; at >= 0 && at < cells.length; at += step) {
      const box = cells[at].getBoundingClientRect();
      if (step * (box.top - from.top) < from.height / 2) continue;
      if (line !== null && Math.abs(box.top - line) > from.height / 2) break;
      line = line === null ? box.top : line;
      const away = Math.abs(box.left + box.width / 2 - from.left - from.width / 2);
      if (away < least) [best, least] = [at, away];
    }
    return best < 0 ? current : cells[best].firstByte;
  }
  views.forEach((view) => {
    view.element.addEventListener("pointermove", (event) => {
      if (!pinned) select(pointed(event));
    });
    view.element.addEventListener("click", (event) => {
      const at = pointed(event);
      if (at < 0) return;
      pinned = !(pinned && at === current);
      show(at);
    });
    view.element.addEventListener("focus", () => {
      if (current < 0) select(0);
    });
    view.element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = Math.max(0, current);
      const steps = {
        ArrowLeft: () => at - 1,
        ArrowRight: () => at + 1,
        ArrowUp: () => vertical(view, -1),
        ArrowDown: () => vertical(view, 1),
        Home: () => 0,
        End: () => text.length,
      };
      if (event.key === "Escape") {
        pinned = false;
        show(at);
      }
      if (!steps[event.key]) return;
      event.preventDefault();
      pinned = true;
      select(Math.min(text.length, Math.max(0, steps[event.key]())));
      view.cells[view.cellOf[current]].scrollIntoView({ block: "nearest" });
    });
  });
  const cuts = document.getElementById("cuts");
  const showCuts = () => views.forEach(({ element }) => element.classList.toggle("cuts", cuts.checked));
  cuts.addEventListener("change", showCuts);
  showCuts();
  const linked = () => {
    if (!/^#\d+$/.test(location.hash)) return;
    pinned = true;
    select(Number(location.hash.slice(1)) - 1);
    views.forEach(({ cells, cellOf }) => cells[cellOf[current]].scrollIntoView({ block: "nearest" }));
  };
  panel.replaceChildren(make("p", "quiet", "Point at a byte, or go to the text and use the arrow keys; a click holds a byte."));
  addEventListener("hashchange", linked);
  linked();
})();
