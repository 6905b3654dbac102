// The lock of one document as one person sees it: who holds it, for how long, under which fence, and a button.
import { setText } from '/demo/page.js';

export class LockView {
  #document; #element; #button; #status; #names; #asked = 0;

  constructor({ element, document, who, names, what }) {
    this.#document = document;
    this.#element = element;
    this.#names = names;
    this.#button = element.querySelector('button');
    this.#status = element.querySelector('.lock-status');
    this.what = `the ${what} as ${who.name}`;
    this.#button.addEventListener('click', () => (document.isMine ? document.releaseLock() : document.takeLock()));
    setInterval(() => this.draw(), 500);
  }

  draw() {
    const { lock, isMine, isHeld, live } = this.#document;
    this.#element.classList.toggle('mine', isMine);
    this.#element.classList.toggle('held', isHeld);
    this.#button.disabled = !live || isHeld;
    setText(this.#button.querySelector('span'), isMine ? 'Unlock' : 'Lock');
    this.#button.setAttribute('aria-label', `${isMine ? 'Unlock' : 'Lock'} ${this.what}`);
    this.#button.querySelector('use').setAttribute('href', lock ? '#i-locked' : '#i-unlocked');
    this.#status.hidden = !lock;
    if (!lock) return;
    const left = Math.ceil((lock.expires_at - this.#document.now) / 1000);
    const holder = isMine ? 'you' : this.#names.get(lock.user_id) ?? lock.user_id;
    setText(this.#status.querySelector('.holder'), `Locked by ${holder}`);
    setText(this.#status.querySelector('.left'), left > 0 ? `${left} s · fence ${lock.fence}` : `fence ${lock.fence}`);
    if (left <= 0) this.#askAgain();
  }

  // What its holder does renews a lock, and nobody is told.
  #askAgain() {
    if (Date.now() - this.#asked < 2000 || !this.#document.live) return;
    this.#asked = Date.now();
    this.#document.lookAround();
  }
}
