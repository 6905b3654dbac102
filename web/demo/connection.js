// One device's connection to Tidemark, one at a time: who it is, when it comes back, whether the other side is still
// there (docs/protocol.md, sections 2 and 9). What is said over it is for those who extend it: they override
// registered(), received() and dropped(), and use write(), ready and emit().
//
// Events (see `detail`): state {state, …}, frame {direction, frame}. States: off, connecting, catching_up, live,
// waiting (for the next try), refused (for good).

const OUR_FAULT = new Set([1002, 1003, 1007, 1008, 1009]);  // sending the same again would only fail again
const REGISTER_TIMEOUT_MS = 10_000;
const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 20_000;

export class Connection extends EventTarget {
  #url; #socket = null; #wanted = false; #ready = false; #bye = null; #attempts = 0; #lastHeard = 0;
  #timers = { reconnect: 0, register: 0, heartbeat: 0 };

  // credentials: {token} or, in dev mode, {user_id}; with device_id.
  constructor({ url, credentials }) {
    super();
    this.#url = url;
    this.credentials = credentials;
  }

  get ready() { return this.#ready; }  // registered: commands are taken

  connect() {
    this.#wanted = true;
    if (!this.#socket) this.#open();
  }

  // Drops the connection and stays away until connect(). A browser always sends a close frame; a private code is the
  // nearest it gets to a lost network (1000 would be a goodbye, and the user would be shown offline at once).
  cutOff() {
    this.#wanted = false;
    this.#drop(3000);
    this.#setState('off');
  }

  write(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(frame));
    this.emit('frame', { direction: 'out', frame });
  }

  emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  registered(_frame) {}
  received(_frame) {}
  dropped() {}

  #open() {
    clearTimeout(this.#timers.reconnect);
    this.#bye = null;
    this.#setState('connecting');
    const socket = this.#socket = new WebSocket(this.#url);
    const current = (handler) => (event) => { if (socket === this.#socket) handler(event); };
    socket.onopen = current(() => this.write({ type: 'register', ...this.credentials }));
    socket.onmessage = current(({ data }) => this.#receive(JSON.parse(data)));
    socket.onclose = current(({ code, reason }) => { this.#drop(); this.#reconnect(code, reason); });
    this.#timers.register = setTimeout(() => { this.#drop(3000); this.#reconnect(1006, ''); }, REGISTER_TIMEOUT_MS);
  }

  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (code) socket?.close(code);
    this.dropped();
  }

  // The range of the close code says what to do; full jitter keeps a thousand clients from coming back in one moment.
  #reconnect(code, reason) {
    if (!this.#wanted) return;
    const forGood = this.#bye ? !this.#bye.reconnect : (code >= 4000 && code < 4100) || OUR_FAULT.has(code);
    if (forGood) {
      this.#wanted = false;
      this.#setState('refused', { code, reason: this.#bye?.reason ?? reason });
      return;
    }
    const resume = code >= 4200 && code < 4300 && this.#bye;
    const jitter = Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** this.#attempts++);
    const delay = Math.max(this.#bye?.after_ms ?? 0, resume ? 0 : jitter);
    this.#setState('waiting', { delay, code });
    this.#timers.reconnect = setTimeout(() => this.#open(), delay);
  }

  #receive(frame) {
    this.#lastHeard = Date.now();
    this.emit('frame', { direction: 'in', frame });
    switch (frame.type) {
      case 'registered':
        this.#begin(frame);
        return;
      case 'synced':
        this.#attempts = 0;
        this.#setState('live');
        break;
      case 'bye':
        this.#bye = frame;
        return;
    }
    this.received(frame);
  }

  #begin(frame) {
    clearTimeout(this.#timers.register);
    this.#ready = true;
    this.#setState('catching_up', { entries: frame.resume?.entries ?? 0 });
    this.#startHeartbeat(frame.heartbeat?.interval_ms ?? 30_000, frame.heartbeat?.timeout_ms ?? 90_000);
    this.registered(frame);
  }

  // A browser does not show the server's pings, so silence is broken by our own.
  #startHeartbeat(interval, timeout) {
    this.#timers.heartbeat = setInterval(() => {
      if (Date.now() - this.#lastHeard < timeout) return this.write({ type: 'ping' });
      this.#drop(3000);
      this.#reconnect(1006, '');
    }, interval);
  }

  #setState(state, more = {}) { this.emit('state', { state, ...more }); }
}
