// One person's connection for documents: which documents it follows, and whose frame is whose.
//
// Events beside those of the connection: reset {} (another store: the documents are gone).
import { Connection } from '/demo/connection.js';
import { SharedDocument } from '/demo/shared_document.js';

export class DocumentClient extends Connection {
  #documents = []; #epoch = ''; #session = ''; #ahead = 0;
  #asked = new Map();  // id of a frame -> the document that waits for its answer

  get user() { return this.credentials.user_id; }
  get session() { return this.#session; }
  get now() { return Date.now() + this.#ahead; }  // by the server's clock

  // From now on, over any number of connections.
  follow(id, type) {
    const document = new SharedDocument({ client: this, id, type });
    this.#documents.push(document);
    return document;
  }

  ask(document, frame) {
    this.#asked.set(frame.id, document);
    this.write(frame);
  }

  // REST, for what a WebSocket does not offer. A server in dev mode takes the bare user id.
  async call(method, path, body) {
    this.emit('frame', { direction: 'out', frame: { type: method, path, ...(body && { body }) } });
    const response = await fetch(`/api/v1${path}`, {
      method,
      headers: { 'Tidemark-User': this.user, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    this.emit('frame', { direction: 'in', frame: { type: `${response.status}`, path, ...answer } });
    if (!response.ok) throw new Error(answer.message ?? answer.error);
    return answer.data;
  }

  registered({ epoch, session_id: session, timestamp }) {
    this.#ahead = timestamp - Date.now();
    const otherStore = this.#epoch && this.#epoch !== epoch;
    const otherSession = this.#session && this.#session !== session;
    this.#epoch = epoch;
    this.#session = session;
    if (otherStore) {
      this.#documents = [];
      this.emit('reset', {});
      return;
    }
    for (const document of this.#documents) document.connected({ otherSession });
  }

  dropped() {
    this.#asked.clear();
    for (const document of this.#documents) document.disconnected();
  }

  received(frame) {
    const document = this.#asked.get(frame.id) ?? this.#documents.find(({ id }) => id === frame.document_id);
    this.#asked.delete(frame.id);
    document?.received(frame);
  }
}
