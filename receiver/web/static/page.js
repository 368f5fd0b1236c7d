// What the page does beyond showing itself; everything also works without this file.
// Nothing here makes markup of text: pages are fetched as documents and their parts moved over.

const root = document.documentElement;
root.classList.add("js");

const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
const dialogOpen = () => document.querySelector("dialog[open]");

// ---- fetching a page of ours as a document, whose scripts never run

function fetchPage(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = 20_000;
    request.onload = () => (request.response ? resolve(request) : reject(new Error("no page")));
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

// ---- acts open in a dialog; without it the link leads to the same form

const actDialog = document.getElementById("act");

async function openAct(link) {
  try {
    const { response } = await fetchPage(link.href);
    const form = response.querySelector(".act-form");
    if (!form) throw new Error("no form");
    form.classList.remove("panel");
    if (!form.elements.back) {
      const back = document.createElement("input");
      Object.assign(back, { type: "hidden", name: "back", value: location.pathname });
      form.append(back);
    }
    actDialog.replaceChildren(document.adoptNode(form));
    actDialog.showModal();
    form.querySelector("[autofocus]")?.focus();
  } catch {
    location.assign(link.href);
  }
}

document.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const act = event.target.closest("a[data-act]");
  const cancel = event.target.closest("dialog [data-cancel]");
  if (!act && !cancel) return;
  event.preventDefault();
  if (act) openAct(act);
  else actDialog.close();
});

// A length is chosen by filling in its moment.
document.addEventListener("input", (event) => {
  if (event.target.name === "until") {
    event.target.form.querySelector('input[value="until"]').checked = true;
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.matches(".act-form")) event.target.querySelector(".go").disabled = true;
});
