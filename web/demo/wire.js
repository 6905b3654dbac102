// The raw frames of one device, newest last, each with a line that says what it is for.
const KEPT = 80;
const SHOWN_CHARS = 600;

const OUT = {
  register: 'Says who this is. Only a server in dev mode takes a bare user id.',
  message: 'A new message. The id is its idempotency key: sent again until answered.',
  edit: 'Changes an own message. A durable command like any other.',
  delete: 'Takes an own message back.',
  react: 'Adds or removes a reaction.',
  typing: 'A hint. Lost if nobody is there, and nobody minds.',
  ack: 'Everything up to here is safe on this device; do not replay it.',
  read: 'Moves the read mark of the user, for all devices.',
  watch: 'Asks to be told when this user comes and goes.',
  history: 'Asks for entries that were not replayed.',
  ping: 'Still here?',
};

const IN = {
  welcome: 'The server introduces itself.',
  registered: 'Accepted. resume says how many entries this device has missed.',
  sent: 'Stored for good, with its place (seq) in the stream.',
  message: 'An entry of the stream: a message of another device, or one replayed.',
  message_edited: 'An entry that changes the text of target_seq.',
  message_deleted: 'An entry that takes target_seq back.',
  reaction: 'An entry that adds a reaction to target_seq or removes it.',
  member_added: 'An entry: somebody joined the conversation.',
  synced: 'The replay is over; what follows is live.',
  gap: 'Entries in between are not replayed; history has what is left of them.',
  history: 'The entries that were asked for.',
  delivered: 'A device of this user has everything up to seq.',
  read: 'This user has read up to seq.',
  typing: 'Somebody is writing, or has stopped.',
  presence: 'A watched user came or went.',
  device_online: 'Another device of the same user connected.',
  device_offline: 'Another device of the same user left.',
  pong: 'Still here.',
  error: 'Refused; the code says why, and whether to try again.',
  bye: 'The server will close now; it says whether and when to come back.',
};

export class Wire {
  #list; #count; #template; #total = 0;

  constructor(details) {
    this.#list = details.querySelector('ol');
    this.#count = details.querySelector('.count');
    this.#template = document.querySelector('#frame-template');
    details.addEventListener('toggle', () => this.#toEnd());
  }

  add(direction, frame) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 30;
    const item = this.#template.content.cloneNode(true);
    const out = direction === 'out';
    item.querySelector('li').className = direction;
    item.querySelector('.arrow').textContent = out ? '↑' : '↓';
    item.querySelector('.arrow').setAttribute('aria-label', out ? 'sent' : 'received');
    item.querySelector('.type').textContent = frame.type;
    item.querySelector('.why').textContent = (out ? OUT : IN)[frame.type] ?? '';
    item.querySelector('pre').textContent = shorten(JSON.stringify(frame));
    this.#list.append(item);
    if (this.#list.childElementCount > KEPT) this.#list.firstElementChild.remove();
    this.#count.textContent = ++this.#total;
    if (atEnd) this.#toEnd();
  }

  #toEnd() { this.#list.scrollTop = this.#list.scrollHeight; }
}

function shorten(text) {
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}
