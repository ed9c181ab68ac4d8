// Folds and unfolds blocks of drawings in place; the same rules as narfast.drawing.scene.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("drawing").textContent);
  const svg = document.querySelector("svg.narfast");
  const sides = { t: [0, -1], b: [0, 1], l: [-1, 0], r: [1, 0] };
  const opened = data.scenes.map((scene) => new Set(scene.open));

  // Where everything stands when some blocks are open; `shifts` move rows further down.
  function opening(scene, open, shifts) {
    const grown = scene.rows.map(() => 0);
    const columns = [];
    for (const n of open) {
      const box = scene.boxes[n];
      grown[box.row] = Math.max(grown[box.row], box.ih - box.h);
      columns.push([box.x, box.row, Math.max(0, box.iw - box.w) / 2]);
    }
    const borders = [], down = [], centre = [];
    let above = 0;
    scene.rows.forEach((y, row) => {
      above += shifts[row] || 0;
      borders.push(y - data.height / 2, y + data.height / 2);
      down.push(above, above + grown[row]);
      centre.push(y + above + grown[row] / 2);
      above += grown[row];
    });
    const sideways = (x) => {
      const right = {}, left = {};
      for (const [middle, row, half] of columns) {
        if (middle < x - 0.5) right[row] = (right[row] || 0) + half;
        else if (middle > x + 0.5) left[row] = (left[row] || 0) + half;
      }
      return Math.max(0, ...Object.values(right)) - Math.max(0, ...Object.values(left));
    };
    const lower = (y) => {
      if (y <= borders[0]) return down[0];
      for (let i = 1; i < borders.length; i++)
        if (y <= borders[i]) {
          const share = (y - borders[i - 1]) / (borders[i] - borders[i - 1] || 1);
          return down[i - 1] + (down[i] - down[i - 1]) * share;
        }
      return down[down.length - 1];
    };
    const boxes = scene.boxes.map((box, n) => ({
      x: box.x + sideways(box.x),
      y: centre[box.row],
      w: open.has(n) ? box.iw : box.w,
      h: open.has(n) ? box.ih : box.h,
    }));
    return { boxes, tops: scene.rows.map((_, row) => borders[2 * row] + down[2 * row]),
      moved: ([x, y]) => [x + sideways(x), y + lower(y)] };
  }

  function end(box, side, towards) {
    const [dx, dy] = sides[side];
    let x = box.x + (dx * box.w) / 2;
    if (towards && dx === 0) {
      const room = box.w / 2 - data.stripe;
      x = Math.min(Math.max(towards[0], box.x - room), box.x + room);
    }
    return [x, box.y + (dy * box.h) / 2];
  }

  function points(line, at) {
    const between = line.points.map(at.moved);
    const first = end(at.boxes[line.s], line.sides[0], between[0]);
    return [first, ...between, end(at.boxes[line.t], line.sides[1], between[between.length - 1])];
  }

  function path(run, ends) {
    let words = `M${run[0][0].toFixed(1)} ${run[0][1].toFixed(1)}`;
    const last = run.length - 2;
    for (let i = 0; i <= last; i++) {
      const [x0, y0] = run[i], [x1, y1] = run[i + 1];
      const out = i === 0 ? sides[ends[0]] : [0, 1];
      const into = i === last ? sides[ends[1]] : [0, -1];
      const opposite = out[0] === -into[0] && out[1] === -into[1];
      if (opposite && (out[0] === 0 ? Math.abs(x0 - x1) : Math.abs(y0 - y1)) < 0.5) {
        words += `L${x1.toFixed(1)} ${y1.toFixed(1)}`;
        continue;
      }
      const across = ends !== "bt" && (i === 0 || i === last);
      const reach = across ? Math.max(Math.abs(y1 - y0), Math.abs(x1 - x0)) : Math.abs(y1 - y0);
      const bend = Math.min(data.bend, reach / 2);
      words += `C${(x0 + out[0] * bend).toFixed(1)} ${(y0 + out[1] * bend).toFixed(1)} ` +
        `${(x1 + into[0] * bend).toFixed(1)} ${(y1 + into[1] * bend).toFixed(1)} ` +
        `${x1.toFixed(1)} ${y1.toFixed(1)}`;
    }
    return words;
  }

  // Both drawings, with the rows of corresponding blocks level.
  function openings() {
    const shifts = data.scenes.map((scene) => scene.rows.map(() => 0));
    const make = () => data.scenes.map((scene, i) => opening(scene, opened[i], shifts[i]));
    for (const [a, b] of data.anchors) {
      const at = make();
      const rows = [data.scenes[0].boxes[a].row, data.scenes[1].boxes[b].row];
      const gap = at[0].tops[rows[0]] - at[1].tops[rows[1]];
      if (gap > 0) shifts[1][rows[1]] += gap;
      else shifts[0][rows[0]] -= gap;
    }
    return make();
  }

  function extent(scene, at) {
    const marked = scene.marked ? 16 : 0;
    const xs = scene.lines.flatMap((line) => points(line, at).map((p) => p[0]));
    for (const box of at.boxes) xs.push(box.x - box.w / 2 - marked, box.x + box.w / 2 + marked);
    return [Math.min(...xs), Math.max(...xs), Math.max(...at.boxes.map((b) => b.y + b.h / 2))];
  }

  function show() {
    const at = openings();
    const extents = data.scenes.map((scene, i) => extent(scene, at[i]));
    let left = 0, bottom = 0;
    const starts = [];
    data.scenes.forEach((scene, i) => {
      const width = Math.max(extents[i][1] - extents[i][0], scene.least);
      starts.push(left + (width - extents[i][0] - extents[i][1]) / 2);
      const group = document.getElementById(`scene${i}`);
      group.setAttribute("transform", `translate(${starts[i]} ${data.top})`);
      document.getElementById(`heading${i}`).setAttribute("transform", `translate(${left} 0)`);
      at[i].boxes.forEach((box, n) => {
        const block = document.getElementById(`block${i}-${n}`);
        block.setAttribute("transform", `translate(${box.x - box.w / 2} ${box.y - box.h / 2})`);
        block.classList.toggle("open", opened[i].has(n));
        block.setAttribute("aria-expanded", opened[i].has(n));
      });
      scene.lines.forEach((line, n) => document.getElementById(`line${i}-${n}`)
        .setAttribute("d", path(points(line, at[i]), line.sides)));
      bottom = Math.max(bottom, extents[i][2]);
      left += width + data.middle;
    });
    data.pairs.forEach(([a, b], n) => {
      const one = at[0].boxes[a], two = at[1].boxes[b];
      const x0 = one.x + one.w / 2 + starts[0] + 6, x1 = two.x - two.w / 2 + starts[1] - 6;
      const y0 = one.y - one.h / 2 + 12 + data.top, y1 = two.y - two.h / 2 + 12 + data.top;
      document.getElementById(`tie${n}`).setAttribute("d", `M${x0} ${y0}L${x1} ${y1}`);
      const word = document.getElementById(`word${n}`);
      word.setAttribute("x", (x0 + x1) / 2);
      word.setAttribute("y", (y0 + y1) / 2 - 5);
    });
    const width = left - data.middle, height = data.top + bottom + 22;
    document.getElementById("legend").setAttribute("transform", `translate(0 ${height})`);
    const w = Math.ceil(Math.max(width, data.legend[0]) + 2 * data.pad);
    const h = Math.ceil(height + data.legend[1] + 2 * data.pad);
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    svg.setAttribute("width", w);
    svg.setAttribute("height", h);
    const paper = svg.querySelector(".paper");
    paper.setAttribute("width", w);
    paper.setAttribute("height", h);
  }

  function counterparts(i, n) {
    return data.pairs.filter((pair) => pair[i] === n).map((pair) => pair[1 - i]);
  }

  function toggle(i, n) {
    const open = !opened[i].has(n);
    const set = (scene, block) => opened[scene][open ? "add" : "delete"](block);
    set(i, n);
    for (const other of counterparts(i, n)) set(1 - i, other);
    show();
  }

  function light(i, n, on) {
    document.getElementById(`block${i}-${n}`).classList.toggle("hot", on);
    for (const other of counterparts(i, n))
      document.getElementById(`block${1 - i}-${other}`).classList.toggle("hot", on);
  }

  data.scenes.forEach((scene, i) => scene.boxes.forEach((_, n) => {
    const block = document.getElementById(`block${i}-${n}`);
    block.setAttribute("tabindex", "0");
    block.setAttribute("role", "button");
    block.addEventListener("click", () => toggle(i, n));
    block.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle(i, n);
    });
    for (const [event, on] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]])
      block.addEventListener(event, () => light(i, n, on));
  }));
  const all = (open) => {
    data.scenes.forEach((scene, i) => {
      opened[i] = new Set(open ? scene.boxes.keys() : []);
    });
    show();
  };
  document.getElementById("unfold").addEventListener("click", () => all(true));
  document.getElementById("fold").addEventListener("click", () => all(false));
  document.getElementById("controls").hidden = false;
  show();
})();
