// Two users chat through npm's `ws`, one of them drops and resumes. Driven by test_node_client.py, which gives the
// server's port and two tokens in the environment.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import WebSocket from 'ws';

const { TIDEMARK_PORT, ALICE, ALICE_TOKEN, BOB, BOB_TOKEN } = process.env;

// A device that keeps what it applied and its cursors over connections, as docs/protocol.md asks of a client.
class Device {
  cursors = new Map();
  applied = [];

  constructor(token, deviceId) {
    this.token = token;
    this.url = `ws://127.0.0.1:${TIDEMARK_PORT}/api/v1/ws/connect?device_id=${deviceId}`;
  }

  async connect() {
    this.frames = [];
    this.waiting = [];
    this.socket = new WebSocket(this.url, ['tidemark.v1', `bearer.${this.token}`]);
    this.socket.on('message', (data, binary) => {
      assert.equal(binary, false);
      this.receive(JSON.parse(data.toString()));
    });
    this.gone = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
    await new Promise((resolve, reject) => {
      this.socket.on('open', resolve);
      this.socket.on('error', reject);
    });
    assert.equal(this.socket.protocol, 'tidemark.v1');
    return this.next((frame) => frame.type === 'welcome');
  }

  receive(frame) {
    this.frames.push(frame);
    if (frame.type === 'message') {
      const cursor = this.cursors.get(frame.conversation_id) ?? 0;
      if (frame.seq > cursor) {
        assert.equal(frame.seq, cursor + 1, 'no hole');
        this.applied.push(frame.content);
        this.cursors.set(frame.conversation_id, frame.seq);
      }
      this.send({ type: 'ack', cursors: Object.fromEntries(this.cursors) });
    }
    this.waiting = this.waiting.filter(({ matches, resolve }) => !matches(frame) || resolve(frame));
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  // The first frame of this connection that matches, come or still to come.
  next(matches) {
    const found = this.frames.find(matches);
    return found ? Promise.resolve(found) : new Promise((resolve) => this.waiting.push({ matches, resolve }));
  }

  async say(to, content) {
    const id = randomUUID();
    this.send({ type: 'message', id, to, content });
    const answer = await this.next((frame) => frame.id === id);
    assert.equal(answer.type, 'sent', JSON.stringify(answer));
    // What this device sent itself is applied with its answer.
    this.cursors.set(answer.conversation_id, Math.max(answer.seq, this.cursors.get(answer.conversation_id) ?? 0));
    return answer;
  }

  async confirmed() {
    this.frames = this.frames.filter((frame) => frame.type !== 'pong');
    this.send({ type: 'ping' });
    await this.next((frame) => frame.type === 'pong');
  }
}

test('two users chat, one drops, misses messages and resumes', { timeout: 30_000 }, async () => {
  const alice = new Device(ALICE_TOKEN, 'node');
  const bob = new Device(BOB_TOKEN, 'node');
  assert.equal((await alice.connect()).user_id, ALICE);
  assert.equal((await bob.connect()).user_id, BOB);

  const expected = [];
  const say = async (count) => {
    for (let i = 0; i < count; ++i) {
      expected.push(`CANARY ${expected.length} 👍`);
      await alice.say(BOB, expected.at(-1));
    }
  };
  await say(3);
  await bob.next((frame) => frame.type === 'message' && frame.seq === 3);
  await bob.confirmed();
  bob.socket.terminate();
  await bob.gone;

  await say(20);
  await bob.connect();
  await bob.next((frame) => frame.type === 'synced');
  assert.deepEqual(bob.frames.filter((frame) => frame.type === 'message').map((frame) => frame.seq),
    Array.from({ length: 20 }, (_, i) => i + 4));
  assert.deepEqual(bob.applied, expected);

  await say(1);
  await bob.next((frame) => frame.type === 'message' && frame.seq === 24);
  assert.deepEqual(bob.applied, expected);
  const answer = await bob.say(ALICE, 'CANARY back');
  assert.equal(answer.seq, 25);
  await alice.next((frame) => frame.type === 'message' && frame.seq === 25);

  for (const device of [alice, bob]) {
    device.socket.close(1000);
    assert.equal(await device.gone, 1000);
  }
});

test('a large message and a protocol ping travel', { timeout: 30_000 }, async () => {
  const alice = new Device(ALICE_TOKEN, 'large');
  await alice.connect();
  const pong = new Promise((resolve) => alice.socket.on('pong', (data) => resolve(data.toString())));
  alice.socket.ping('are you there');
  assert.equal(await pong, 'are you there');
  const other = new Device(ALICE_TOKEN, 'large-too');
  await other.connect();
  const content = 'CANARY ' + 'x'.repeat(250_000);
  await alice.say(ALICE, content);
  const message = await other.next((frame) => frame.type === 'message' && frame.content.length > 1000);
  assert.equal(message.content, content);
  alice.socket.close();
  other.socket.close();
  await Promise.all([alice.gone, other.gone]);
});
