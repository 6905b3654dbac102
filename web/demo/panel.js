// One device on the page: its connection, what it knows, and how that looks.
import { clock, drawMessage, drawNotice, drawTick, newItem } from '/demo/bubble.js';
import { Chat, THUMB } from '/demo/chat.js';
import { clone, setText } from '/demo/page.js';
import { TidemarkClient } from '/demo/tidemark.js';
import { Wire } from '/demo/wire.js';

const TYPING_REPEAT_MS = 3000;
const TYPING_IDLE_MS = 4000;
const TYPING_GUARD_MS = 12_000;  // the server ends it after 10 s; that frame may be lost
const CAUGHT_UP_SHOWN_MS = 5000;

export class Panel {
  #view; #wire; #drawScheduled = false; #editing = null; #peer; #device;
  #items = new Map();      // seq -> its list item and what it shows
  #outbox = new Map();     // id -> {text, seq?, refused?, item?}
  #typing = { said: 0, idle: 0, guard: 0 };
  #link = { state: 'off', replaying: 0, note: '' };
  #atEnd = true;           // the log shows its newest message, and goes on doing so
  #noteTimer = 0;

  // who: {name, user, device (phone or laptop), deviceId, hue}; peer: {name, user}. changed() follows every change.
  constructor({ who, peer, url, changed }) {
    this.who = who;
    this.#peer = peer;
    this.#device = `${who.name}’s ${who.device}`;
    this.changed = changed;
    this.chat = new Chat(who.user, peer.user);
    this.client = new TidemarkClient({ url, credentials: { user_id: who.user, device_id: who.deviceId } });
    this.client.watch(peer.user);
    this.element = clone('#panel-template');
    const names = ['link', 'presence', 'dot', 'state', 'cursor-badge', 'unread', 'queued', 'log', 'empty', 'messages',
      'outbox', 'typing', 'composer', 'editing', 'wire'];
    this.#view = Object.fromEntries(names.map((name) => [name, this.element.querySelector(`.${name}`)]));
    this.#view.input = this.element.querySelector('input');
    this.#wire = new Wire(this.#view.wire);
    this.#label();
    this.#listenToClient();
    this.#listenToPeople();
    this.client.connect();
  }

  get label() { return this.#device; }
  get cursor() { return this.chat.id ? this.client.cursor(this.chat.id) : 0; }
  get isCutOff() { return this.#link.state === 'off' || this.#link.state === 'refused'; }

  write(text) {
    const id = this.client.send({ type: 'message', to: this.#peer.user, content: text });
    this.#outbox.set(id, { text });
    this.#draw();
  }

  cutOff() { this.client.cutOff(); }
  bringBack() { this.client.connect(); }

  // --- what the server says -------------------------------------------------------------------------------------

  #listenToClient() {
    const on = (type, handler) => this.client.addEventListener(type, ({ detail }) => {
      handler(detail);
      this.#draw();
    });
    on('frame', ({ direction, frame }) => this.#wire.add(direction, frame));
    on('state', (link) => this.#linkChanged(link));
    on('entry', (entry) => {
      this.#link.replaying = Math.max(0, this.#link.replaying - 1);
      if (entry.type !== 'sync') this.chat.apply(entry);
      if (entry.from === this.#peer.user) this.#showTyping(false);
    });
    on('sent', ({ id, seq }) => { if (this.#outbox.has(id)) this.#outbox.get(id).seq = seq; });
    on('refused', ({ id, code, error }) => {
      if (this.#outbox.has(id)) this.#outbox.get(id).refused = code;
      this.#note(`refused: ${error ?? code}`);
    });
    on('lost', ({ stream, after, next }) => { if (stream !== '@self') this.chat.lost(after, next); });
    on('reset', () => { this.chat.clear(); this.#items.clear(); this.#view.messages.replaceChildren(); });
    on('signal', (frame) => this.#signal(frame));
  }

  #signal(frame) {
    switch (frame.type) {
      case 'delivered':
      case 'read':
        if (frame.conversation_id === this.chat.id) this.chat.mark(frame.type, frame.user_id, frame.seq);
        break;
      case 'typing': if (frame.user_id === this.#peer.user) this.#showTyping(frame.is_typing); break;
      case 'presence': if (frame.user_id === this.#peer.user) this.#showPresence(frame); break;
      case 'error': this.#note(`error: ${frame.error ?? frame.code}`); break;
    }
  }

  #linkChanged({ state, entries = 0, delay, code, reason }) {
    const before = this.#link;
    this.#link = { state, replaying: entries, missed: state === 'live' ? before.missed : entries, note: '' };
    if (state === 'live' && this.#link.missed) this.#note(`caught up: ${this.#link.missed}`);
    if (state === 'waiting') this.#link.note = `trying again in ${(delay / 1000).toFixed(1)} s`;
    if (state === 'refused') this.#link.note = `closed: ${code} ${reason}`;
    if (state !== 'live') this.#showTyping(false);
    this.changed();
  }

  #note(text) {
    this.#link.note = text;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => { this.#link.note = ''; this.#draw(); }, CAUGHT_UP_SHOWN_MS);
  }

  // --- what people do -------------------------------------------------------------------------------------------

  #listenToPeople() {
    const { link, composer, input, log, messages, editing } = this.#view;
    link.addEventListener('click', () => (this.isCutOff ? this.bringBack() : this.cutOff()));
    composer.addEventListener('submit', (event) => { event.preventDefault(); this.#submit(); });
    input.addEventListener('input', () => this.#saysTyping(input.value !== ''));
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#edit(null);
      if (event.key === 'ArrowUp' && !input.value) { event.preventDefault(); this.#edit(this.chat.lastOwn()); }
    });
    editing.querySelector('.cancel').addEventListener('click', () => this.#edit(null));
    messages.addEventListener('click', (event) => this.#act(event.target.closest('.tool')));
    log.addEventListener('keydown', (event) => this.#walk(event));
    log.addEventListener('scroll', () => { this.#atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
    new ResizeObserver(() => this.#stickToEnd()).observe(log);
    for (const type of ['focusin', 'focusout']) this.element.addEventListener(type, () => this.#draw());
    document.addEventListener('visibilitychange', () => this.#draw());
  }

  #submit() {
    const text = this.#view.input.value.trim();
    if (!text) return;
    this.#saysTyping(false);
    if (this.#editing) {
      if (text !== this.#editing.text) this.#command({ type: 'edit', seq: this.#editing.seq, content: text });
      this.#edit(null);
      return;
    }
    this.#view.input.value = '';
    this.#atEnd = true;
    this.write(text);
  }

  #command(command) { this.client.send({ ...command, conversation_id: this.chat.id }); }

  #edit(message) {
    this.#editing = message ?? null;
    this.#view.input.value = message?.text ?? '';
    this.#view.editing.hidden = !message;
    if (!message) return;
    this.#view.editing.querySelector('span').textContent = `Editing #${message.seq}`;
    this.#view.input.focus();
  }

  #act(tool) {
    if (!tool) return;
    const message = this.chat.messages.get(Number(tool.closest('.message').dataset.seq));
    if (tool.matches('.edit')) this.#edit(message);
    if (tool.matches('.delete')) {
      tool.closest('.message').focus();
      this.#command({ type: 'delete', seq: message.seq });
    }
    if (tool.matches('.react')) {
      const remove = message.thumbs.has(this.who.user);
      this.#command({ type: 'react', seq: message.seq, reaction: THUMB, ...(remove && { remove }) });
    }
  }

  // Arrow keys go from message to message; Tab then reaches the buttons of that one only.
  #walk(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const items = [...this.#view.messages.children];
    const at = items.indexOf(document.activeElement.closest('.message'));
    const next = at < 0 ? items.at(-1) : items[at + step];
    if (next) { event.preventDefault(); next.focus(); }
  }

  #saysTyping(now) {
    clearTimeout(this.#typing.idle);
    if (now) this.#typing.idle = setTimeout(() => this.#saysTyping(false), TYPING_IDLE_MS);
    const due = now ? Date.now() - this.#typing.said > TYPING_REPEAT_MS : this.#typing.said > 0;
    if (!due) return;
    this.#typing.said = now ? Date.now() : 0;
    this.client.signal({ type: 'typing', to: this.#peer.user, is_typing: now });
  }

  // Whoever is in the log or the composer reads. The button that cuts off is outside: using it reads nothing.
  #isReading() {
    const focused = document.activeElement;
    const inChat = this.#view.log.contains(focused) || this.#view.composer.contains(focused);
    return inChat && document.visibilityState === 'visible';
  }

  // --- how it looks ---------------------------------------------------------------------------------------------

  #label() {
    const { log, input, composer, typing, empty, wire } = this.#view;
    const { name, device, hue } = this.who;
    this.element.style.setProperty('--hue', hue);
    this.element.setAttribute('aria-label', this.#device);
    this.element.querySelector('h2').textContent = this.#device;
    this.element.querySelector('.device use').setAttribute('href', `#i-${device}`);
    log.setAttribute('aria-label', `Messages on ${this.#device}`);
    empty.textContent = `Nothing here yet. Say hello to ${this.#peer.name}.`;
    typing.querySelector('.who').textContent = `${this.#peer.name} is writing`;
    input.placeholder = `Write as ${name}`;
    input.setAttribute('aria-label', `Message from ${this.#device}`);
    composer.querySelector('.send').setAttribute('aria-label', `Send from ${this.#device}`);
    wire.querySelector('ol').setAttribute('aria-label', `Frames of ${this.#device}`);
  }

  #showTyping(shown) {
    clearTimeout(this.#typing.guard);
    if (shown) this.#typing.guard = setTimeout(() => this.#showTyping(false), TYPING_GUARD_MS);
    this.#view.typing.hidden = !shown;
    this.#stickToEnd();
  }

  #showPresence({ online, devices, last_seen: seen }) {
    // A number or a list of the devices.
    const count = Array.isArray(devices) ? devices.length : devices;
    const where = count > 1 ? ` on ${count} devices` : '';
    const since = seen ? `, last seen ${clock.format(seen)}` : '';
    this.#view.dot.classList.toggle('online', online);
    this.#view.presence.textContent = `${this.#peer.name} is ${online ? `online${where}` : `offline${since}`}`;
  }

  #draw() {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      this.#markRead();
      this.#drawMessages();
      this.#drawOutbox();
      this.#stickToEnd();
      this.#drawBadges();
      this.changed();
    });
  }

  #markRead() {
    const reading = this.#isReading();
    this.#view.log.setAttribute('aria-live', reading ? 'polite' : 'off');  // one voice at a time
    if (!reading || !this.chat.unread) return;
    const newest = [...this.chat.messages.keys()].at(-1);
    this.chat.mark('read', this.who.user, newest);
    this.client.read(this.chat.id, newest);
  }

  #stickToEnd() {
    if (this.#atEnd) this.#view.log.scrollTop = this.#view.log.scrollHeight;
  }

  #drawMessages() {
    let fresh = 0;
    for (const message of this.chat.messages.values()) {
      const mine = message.from === this.who.user;
      const tick = mine && !message.deleted ? this.chat.tick(message.seq) : '';
      const shows = JSON.stringify([message.text, message.edited, message.deleted, [...message.thumbs ?? []], tick]);
      let known = this.#items.get(message.seq);
      if (known?.shows === shows) continue;
      if (!known) {
        known = { item: newItem(message.seq) };
        known.item.style.setProperty('--nth', Math.min(fresh++, 12));
        this.#items.set(message.seq, known);
        this.#view.messages.append(known.item);
      }
      known.shows = shows;
      if (message.notice) {
        drawNotice(known.item, message.notice);
        continue;
      }
      const elsewhere = mine && message.device !== this.who.deviceId;
      drawMessage(known.item, message, { mine, elsewhere, own: message.thumbs.has(this.who.user), tick });
    }
  }

  // Sent but not yet an entry here: shown below the stream until its seq is reached.
  #drawOutbox() {
    for (const [id, waiting] of this.#outbox) {
      if (waiting.seq <= this.cursor) {
        waiting.item?.remove();
        this.#outbox.delete(id);
        continue;
      }
      if (!waiting.item) {
        waiting.item = newItem('');
        waiting.item.classList.add('mine', 'waiting');
        waiting.item.querySelector('.tools').remove();
        waiting.item.querySelector('.text').textContent = waiting.text;
        this.#view.outbox.append(waiting.item);
      }
      waiting.item.querySelector('.about').textContent = waiting.refused ?? '';
      drawTick(waiting.item.querySelector('.tick'), waiting.refused ? 'failed' : 'waiting');
    }
    this.#view.empty.hidden = this.#items.size + this.#outbox.size > 0;
  }

  #drawBadges() {
    const { state, cursorBadge, unread, queued, link } = { ...this.#view, cursorBadge: this.#view['cursor-badge'] };
    const { state: now, replaying, note } = this.#link;
    const texts = { off: 'cut off', connecting: 'connecting', catching_up: `catching up: ${replaying}`, live: 'live' };
    setText(state, note || texts[now] || now);
    this.element.dataset.state = now;
    setText(cursorBadge, `cursor ${this.cursor}`);
    setText(unread, `${this.chat.unread} unread`);
    unread.hidden = !this.chat.unread;
    const waiting = [...this.#outbox.values()].filter(({ refused }) => !refused).length;
    setText(queued, `${waiting} queued`);
    queued.hidden = !waiting;
    setText(link.querySelector('span'), this.isCutOff ? 'Bring back' : 'Cut off');
    link.querySelector('use').setAttribute('href', this.isCutOff ? '#i-plug' : '#i-unplug');
    link.setAttribute('aria-label', this.isCutOff ? `Bring ${this.#device} back` : `Cut ${this.#device} off`);
  }
}
