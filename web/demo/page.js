// Small things that both pages need.
export const clone = (selector) => document.querySelector(selector).content.cloneNode(true).firstElementChild;

// A live region speaks at every write, also of the same text.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
