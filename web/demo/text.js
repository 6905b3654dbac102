// The text of one person: a textarea that is edited by two, and the other one's caret in it. Positions on the wire are
// code points; only here, at the edge, they are those of JavaScript's strings.
import { clone } from '/demo/page.js';
import { apply, difference, indexOf, isSame, lengthOf, moved, rebase } from '/demo/text_operation.js';

const TELL_EVERY_MS = 40;

export class TextView {
  #document; #peer; #area; #mirror; #element; #shown = ''; #composing = false; #theirs = null; #waiting = null;
  #tellTimer = 0; #told = ''; #drawn = '';

  constructor({ element, document, who, peer }) {
    this.#document = document;
    this.#peer = peer;
    this.#element = element;
    this.#area = element.querySelector('textarea');
    this.#mirror = element.querySelector('.mirror');
    this.#area.setAttribute('aria-label', `${who.name}’s text`);
    element.style.setProperty('--peer-hue', peer.hue);
    this.#listen();
    document.addEventListener('change', ({ detail }) => this.#changed(detail.text));
    document.addEventListener('awareness', ({ detail }) => this.#theyAre(detail));
    document.addEventListener('joined', () => this.#tell(true));
  }

  draw() {
    this.#show(null);
    this.#area.readOnly = this.#document.isHeld || !this.#document.opened;
    this.#element.classList.toggle('held', this.#document.isHeld);
    this.#drawMirror();
  }

  // --- this person's edits --------------------------------------------------------------------------------------

  #listen() {
    this.#area.addEventListener('compositionstart', () => { this.#composing = true; });
    this.#area.addEventListener('compositionend', () => { this.#composing = false; this.#typed(); });
    this.#area.addEventListener('input', () => { if (!this.#composing) this.#typed(); });
    document.addEventListener('selectionchange', () => { if (document.activeElement === this.#area) this.#tell(); });
    this.#area.addEventListener('blur', () => this.#tell());
    this.#area.addEventListener('focus', () => this.#tell());
  }

  // What was done was done to what shows, and that may be older than the replica: while an input method composes, it
  // is left alone.
  #typed() {
    const value = wellFormed(this.#area.value);
    let ops = difference(this.#shown, value, this.#area.selectionEnd);
    const now = this.#document.replica.shown;
    if (now !== this.#shown) ops = rebase(ops, difference(this.#shown, now));
    this.#shown = value;
    if (ops.length) {
      this.#document.edit('text', { ops });
      this.#theirs = this.#theirs && moveCaret(this.#theirs, ops);
    }
    this.#show(null);
    this.#tell();
  }

  // Somebody else's change; null: what shows may be anything. The caret stays where it was in the text.
  #changed(change) {
    if (this.#theirs) this.#theirs = change ? moveCaret(this.#theirs, change) : null;
    this.#show(change);
    this.#settleCaret();
    this.#tell();
  }

  #show(change) {
    const text = this.#document.replica.shown;
    if (this.#composing || (text === this.#shown && text === this.#area.value)) return;
    const exact = change && isSame(apply(this.#shown, change), text);
    const ops = exact ? change : difference(this.#shown, text);
    const { selectionStart, selectionEnd, selectionDirection, value } = this.#area;
    const place = (index) => indexOf(text, moved(lengthOf(value.slice(0, index)), ops));
    const [start, end] = [place(selectionStart), place(selectionEnd)];
    this.#shown = text;
    this.#area.value = text;
    this.#area.setSelectionRange(start, end, selectionDirection);
  }

  // --- carets ---------------------------------------------------------------------------------------------------

  #tell(again = false) {
    if (again) this.#told = '';
    this.#tellTimer ||= setTimeout(() => {
      this.#tellTimer = 0;
      const caret = document.activeElement === this.#area && !this.#composing ? this.#caret() : null;
      const { version, pending } = this.#document.replica;
      const telling = JSON.stringify([caret, version, pending.length]);
      if (telling === this.#told || (!caret && !JSON.parse(this.#told || '[0]')[0])) return;
      this.#told = telling;
      this.#document.tell({ caret });
    }, TELL_EVERY_MS);
  }

  #caret() {
    const { value, selectionStart, selectionEnd, selectionDirection } = this.#area;
    const [start, end] = [selectionStart, selectionEnd].map((index) => lengthOf(value.slice(0, index)));
    return selectionDirection === 'backward' ? { anchor: end, head: start } : { anchor: start, head: end };
  }

  #theyAre({ user, state }) {
    if (user !== this.#peer.user) return;
    if (!state?.caret) this.#theirs = this.#waiting = null;
    else this.#waiting = state;
    this.#settleCaret();
    this.#drawMirror();
  }

  // Their caret is a place in what they see. Here it can be shown once everything that they have done is here, and after
  // what others have done since.
  #settleCaret() {
    const { version, recent, pending } = this.#document.replica;
    const state = this.#waiting;
    if (!state || state.version > version || (state.after && !recent.some(({ id }) => id === state.after))) return;
    this.#waiting = null;
    const news = recent.filter((one) => one.version > state.version && one.user !== this.#peer.user);
    this.#theirs = [...news, ...pending].reduce((caret, { ops }) => moveCaret(caret, ops), state.caret);
  }

  // The text once more, unseen, in the same lines, with the caret in it.
  #drawMirror() {
    const text = this.#shown;
    const drawn = JSON.stringify([text, this.#theirs]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#mirror.replaceChildren();
    if (!this.#theirs) {
      this.#mirror.append(`${text}\n`);
      return;
    }
    const { anchor, head } = this.#theirs;
    const at = (count) => indexOf(text, count);
    const [start, end] = [at(Math.min(anchor, head)), at(Math.max(anchor, head))];
    const selection = document.createElement('mark');
    selection.textContent = text.slice(start, end);
    const caret = clone('#caret-template');
    caret.querySelector('span').textContent = this.#peer.name;
    const marked = head < anchor ? [caret, selection] : [selection, caret];
    this.#mirror.append(text.slice(0, start), ...marked, `${text.slice(end)}\n`);
  }
}

function moveCaret({ anchor, head }, ops) {
  return { anchor: moved(anchor, ops), head: moved(head, ops) };
}

// Half a pair is no character: the server would refuse it.
const wellFormed = (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
