// Files can be dropped on the upload form, several at once; without this script it sends one.
"use strict";

{
  const form = document.querySelector("form.drop");
  const status = form.querySelector("[data-uploads]");
  const input = form.querySelector('input[type="file"]');
  const most = Number(form.dataset.most);
  input.multiple = true;

  async function send(file) {
    if (file.size > most) throw new Error("the file is too large for a form");
    // The token comes first: nothing is read before it was checked.
    const fields = new FormData();
    for (const name of ["form_token", "prefix"]) fields.append(name, form.elements[name].value);
    fields.append("file", file);
    const reply = await fetch(form.action, { method: "POST", body: fields });
    if (reply.ok) return;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    throw new Error(page.querySelector('[role="alert"]')?.textContent ?? `error ${reply.status}`);
  }

  async function sendAll(files) {
    let number = 0;
    for (const file of files) {
      number += 1;
      status.textContent = `Storing ${file.name} (${number} of ${files.length}) ...`;
      try {
        await send(file);
      } catch (error) {
        status.textContent = `${file.name} was not stored: ${error.message}`;
        return;
      }
    }
    location.reload();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendAll([...input.files]);
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) form.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.remove("over");
    sendAll([...event.dataTransfer.files]);
  });
}
