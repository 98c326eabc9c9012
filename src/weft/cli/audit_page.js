"use strict";
(() => {
  const words = document.getElementById("words");
  const findings = [...document.querySelectorAll(".finding")];
  if (words) {
    const boxes = [...document.querySelectorAll("input[name=severity]")];
    const shown = document.getElementById("shown");
    const filter = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      const severities = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      let count = 0;
      for (const group of document.querySelectorAll(".group")) {
        let some = false;
        for (const finding of group.querySelectorAll(".finding")) {
          const fits = severities.has(group.dataset.severity) && wanted.every((word) => finding.dataset.words.includes(word));
          finding.hidden = !fits;
          some = some || fits;
          count += fits;
        }
        group.hidden = !some;
      }
      shown.textContent = count === findings.length ? `${count} findings` : `${count} of ${findings.length} findings`;
    };
    words.form.addEventListener("input", filter);
    words.form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }
  window.addEventListener("beforeprint", () => findings.forEach((finding) => { finding.open = true; }));
  if (navigator.clipboard) {
    for (const block of document.querySelectorAll(".commands")) {
      const button = document.createElement("button");
      const text = block.textContent.trim();
      button.type = "button";
      button.textContent = "copy";
      button.addEventListener("click", () => navigator.clipboard.writeText(text).then(() => { button.textContent = "copied"; }));
      block.append(button);
    }
  }
})();
