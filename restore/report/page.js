"use strict";
// Before and after: the slider decides how much of the left picture is shown.
for (const slider of document.querySelectorAll(".both input")) {
  slider.addEventListener("input", () => slider.closest(".pair").style.setProperty("--at", slider.value + "%"));
}
// A table of reels: filter by words and by state, sort by any column.
const table = document.querySelector("#reels");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows];
  const words = document.querySelector("#words"), state = document.querySelector("#state");
  const count = document.querySelector("#count");
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) && (!state.value || row.dataset.state === state.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown + " of " + rows.length;
  };
  words.addEventListener("input", filter);
  state.addEventListener("change", filter);
  filter();
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = head.querySelector("button");
    if (!button) continue;
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)], numeric = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
      });
      body.append(...rows);
    });
  }
}
