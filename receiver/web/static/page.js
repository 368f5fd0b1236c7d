// What the page does beyond showing itself; everything also works without this file.
document.documentElement.classList.add("js");
