// The demo page in a real browser against the real binary: what it promises in its headline is what happens.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';

const BUILDS = ['release', 'dev'].map((build) =>
  fileURLToPath(new URL(`../../build/${build}/tidemark`, import.meta.url)));
const BROWSER_ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 15_000;
const FIVE = ['one', 'two', 'three', 'four', 'five'];

let server, browser, origin, page, complaints;

before(async () => {
  const binary = process.env.TIDEMARK_BINARY ?? BUILDS.find((path) => existsSync(path));
  assert.ok(binary, 'no binary: set TIDEMARK_BINARY or build one');
  const listen = `127.0.0.1:${await freePort()}`;
  origin = `http://${listen}`;
  const settings = [`http.listen=${listen}`, 'session.metrics_listen=off', 'session.grpc_listen=off',
    'statesync.grpc_listen=off', 'statesync.metrics_listen=off', 'storage.url=memory:'];
  server = spawn(binary, ['serve', '--dev', ...settings.flatMap((setting) => ['--set', setting])], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await ready();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: BROWSER_ARGS });
});

after(async () => {
  await browser?.close();
  if (!server || server.exitCode !== null) return;
  server.kill('SIGTERM');
  await once(server, 'exit');
});

beforeEach(async () => {
  complaints = [];
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.exposeFunction('complain', (text) => complaints.push(text));
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
    ({ violatedDirective, blockedURI }) => window.complain(`policy: ${violatedDirective} ${blockedURI}`)));
  const response = await page.goto(`${origin}/demo`);
  assert.equal(response.status(), 200);
  assert.match(response.headers()['content-security-policy'] ?? '', /default-src 'self'/);
  for (const name of ['Alice’s phone', 'Alice’s laptop', 'Bob’s phone']) await device(name).hasState('live');
});

afterEach(async () => {
  assert.deepEqual(complaints, []);
  await page.close();
});

test('MessageShowsOnEveryDeviceWithTicks', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('hello');
  await laptop.shows(['hello']);
  await bob.shows(['hello']);
  await phone.hasTick('hello', 'delivered');
  await laptop.hasTick('hello', 'delivered');
  await bob.reads();
  await phone.hasTick('hello', 'read');
  await laptop.hasTick('hello', 'read');
});

test('DeviceThatComesBackGetsWhatItMissedOnceAndInOrder', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('zero');
  await bob.shows(['zero']);
  await phone.hasTick('zero', 'delivered');

  await bob.cutOff();
  for (const text of FIVE) await phone.write(text);
  await laptop.shows(['zero', ...FIVE]);
  for (const text of FIVE) await phone.hasTick(text, 'sent');
  await bob.shows(['zero']);

  await bob.bringBack();
  await bob.hasState(/caught up: 5/);
  await bob.shows(['zero', ...FIVE]);
  await bob.hasUnread('6 unread');
  await phone.hasTick('five', 'delivered');
});

test('MessageWrittenWithoutNetworkIsSentOnReturn', async () => {
  const [phone, laptop, bob] = devices();
  await bob.cutOff();
  await bob.write('from the island');
  await phone.write('from the shore');
  await laptop.shows(['from the shore']);
  await bob.bringBack();
  await phone.shows(['from the shore', 'from the island']);
  await bob.shows(['from the shore', 'from the island']);
});

test('EditDeletionAndReactionReachTheOtherUser', async () => {
  const [phone, laptop, bob] = devices();
  await phone.write('frist');
  await phone.write('second');
  await bob.shows(['frist', 'second']);
  await bob.use('react', 1);
  await phone.part('.reactions:visible').waitFor();
  await phone.use('edit', 1);
  await phone.write('first');
  await phone.use('delete', 2);
  for (const each of [phone, laptop, bob]) await each.shows(['first', 'Message deleted']);
});

test('TypingIsSeenByTheOtherUserOnly', async () => {
  const [phone, laptop, bob] = devices();
  await phone.input().fill('Dear Bob');
  await bob.part('.typing:visible').waitFor();
  assert.equal(await laptop.part('.typing').isVisible(), false);
  await phone.input().press('Enter');
  await bob.part('.typing').waitFor({ state: 'hidden' });
});

const devices = () => ['Alice’s phone', 'Alice’s laptop', 'Bob’s phone'].map(device);

function device(name) {
  const panel = page.getByRole('region', { name });
  const part = (selector) => panel.locator(selector);
  const input = () => panel.getByRole('textbox');
  return {
    part,
    input,
    async write(text) {
      await input().fill(text);
      await input().press('Enter');
    },
    cutOff: () => panel.getByRole('button', { name: `Cut ${name} off` }).click(),
    bringBack: () => panel.getByRole('button', { name: `Bring ${name} back` }).click(),
    reads: () => input().click(),
    // The buttons of a message are there once it is focused.
    async use(tool, seq) {
      const message = part(`.message[data-seq="${seq}"]`);
      await message.focus();
      await message.locator(`.tool.${tool}`).click();
    },
    hasState: (text) => part('.state').filter({ hasText: text }).waitFor(),
    hasUnread: (text) => part('.unread').filter({ hasText: text }).waitFor(),
    hasTick: (text, tick) => part('.messages .message').filter({ hasText: text }).locator(`.tick.${tick}`).waitFor(),
    shows: (texts) => eventually(() => part('.message .text').allTextContents(), texts),
  };
}

// Waits until the value is the expected one; fails with the difference.
async function eventually(read, expected) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (JSON.stringify(value) === JSON.stringify(expected)) return;
    if (Date.now() > deadline) assert.deepEqual(value, expected);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(drawn)));
  }
}

async function ready() {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    assert.equal(server.exitCode, null, 'the server has ended');
    assert.ok(Date.now() < deadline, 'the server is not ready');
    const up = await fetch(`${origin}/readyz`).then(({ ok }) => ok, () => false);
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
