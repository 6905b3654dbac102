// One person on the page: a connection, the two documents that it follows, and how they look from here.
import { Board } from '/demo/board.js';
import { ConflictList } from '/demo/conflicts.js';
import { DocumentClient } from '/demo/document_client.js';
import { LockView } from '/demo/lock.js';
import { clone, setText } from '/demo/page.js';
import { TextView } from '/demo/text.js';
import { Wire } from '/demo/wire.js';

const NOTE_SHOWN_MS = 6000;
const KINDS = { board: { type: 'whiteboard', view: Board }, text: { type: 'text', view: TextView } };

export class Person {
  documents = {};  // board, text, once they are open

  #peer; #names; #view; #views = []; #link = { state: 'off' }; #note = ''; #noteTimer = 0; #drawScheduled = false;

  // who, peer: {name, user, hue}; names: user id -> name. changed() follows every change.
  constructor({ who, peer, names, url, deviceId, changed }) {
    this.who = who;
    this.#peer = peer;
    this.#names = names;
    this.changed = changed;
    this.client = new DocumentClient({ url, credentials: { user_id: who.user, device_id: deviceId } });
    this.element = clone('#person-template');
    const part = (selector) => this.element.querySelector(selector);
    this.#view = { link: part('.link'), dot: part('.dot'), presence: part('.presence'), state: part('.state'),
      note: part('.refusal'), wire: part('.wire') };
    this.#label();
    const wire = new Wire(this.#view.wire);
    this.client.addEventListener('frame', ({ detail }) => wire.add(detail.direction, detail.frame));
    this.client.addEventListener('state', ({ detail }) => { this.#link = detail; this.draw(); });
    this.#view.link.addEventListener('click', () => (this.isOff ? this.goOnline() : this.goOffline()));
    this.client.connect();
  }

  get isOff() { return this.#link.state === 'off' || this.#link.state === 'refused'; }
  goOffline() { this.client.cutOff(); }
  goOnline() { this.client.connect(); }

  // ids: {board, text}
  open(ids) {
    for (const [what, { type, view: View }] of Object.entries(KINDS)) {
      const document = this.documents[what] = this.client.follow(ids[what], type);
      const element = this.element.querySelector(`.${what}-part`);
      const about = { element, document, who: this.who, peer: this.#peer, names: this.#names, what };
      this.#views.push(new View(about), new LockView({ ...about, element: element.querySelector('.lock') }));
      for (const event of ['change', 'told', 'joined']) document.addEventListener(event, () => this.draw());
      document.addEventListener('refused', ({ detail: { code, error } }) =>
        this.say(`refused: ${code === 'locked' ? 'somebody else holds the lock' : error ?? code}`));
    }
    const element = this.element.querySelector('.conflicts');
    const documents = Object.values(this.documents);
    this.#views.push(new ConflictList({ element, documents, who: this.who, names: this.#names }));
    this.draw();
  }

  say(text) {
    this.#note = text;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => { this.#note = ''; this.draw(); }, NOTE_SHOWN_MS);
    this.draw();
  }

  draw() {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      for (const view of this.#views) view.draw();
      this.#drawHead();
      for (const what of Object.keys(this.documents)) this.#drawBadges(what);
      this.changed();
    });
  }

  #label() {
    this.element.style.setProperty('--hue', this.who.hue);
    this.element.setAttribute('aria-label', this.who.name);
    this.element.querySelector('h2').textContent = this.who.name;
    this.#view.wire.querySelector('ol').setAttribute('aria-label', `Frames of ${this.who.name}`);
  }

  #drawHead() {
    const { link, dot, presence, state, note } = this.#view;
    const { state: now, delay, code, reason } = this.#link;
    const texts = { off: 'offline: edits go on', connecting: 'connecting', catching_up: 'catching up', live: 'live',
      waiting: `trying again in ${(delay / 1000).toFixed(1)} s`, refused: `closed: ${code} ${reason}` };
    this.element.dataset.state = now;
    setText(state, texts[now] ?? now);
    setText(link.querySelector('span'), this.isOff ? 'Go online' : 'Go offline');
    link.querySelector('use').setAttribute('href', this.isOff ? '#i-plug' : '#i-unplug');
    link.setAttribute('aria-label', `${this.who.name}: ${this.isOff ? 'go online' : 'go offline'}`);
    const here = Object.values(this.documents).some(({ users }) => users.includes(this.#peer.user));
    dot.classList.toggle('online', here);
    setText(presence, here ? `${this.#peer.name} is here` : now === 'live' ? `${this.#peer.name} is away` : `${this.#peer.name} is out of sight`);
    setText(note, this.#note);
    note.hidden = !this.#note;
  }

  #drawBadges(what) {
    const part = (selector) => this.element.querySelector(`.${what}-part ${selector}`);
    const { version, pending } = this.documents[what].replica;
    const waits = pending.filter((one) => one.waits).length;
    setText(part('.version'), `v${version}`);
    setText(part('.queued'), waits ? `${waits} waiting for the lock` : `${pending.length} pending`);
    part('.queued').hidden = !pending.length;
  }
}
