// Demo: the real binary in dev mode and a browser before it, for tests of the demo's pages. A test opens a page; closing
// it fails the test if the page complained: console errors, exceptions, violations of the content policy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const BUILDS = ['release', 'dev'].map((build) =>
  fileURLToPath(new URL(`../../build/${build}/tidemark`, import.meta.url)));
const BROWSER_ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 15_000;

export class Demo {
  #server; #browser; #page; #complaints = [];

  static async start() {
    const demo = new Demo();
    await demo.#start().catch(async (error) => {
      await demo.stop();
      throw error;
    });
    return demo;
  }

  async #start() {
    const binary = process.env.TIDEMARK_BINARY ?? BUILDS.find((path) => existsSync(path));
    assert.ok(binary, 'no binary: set TIDEMARK_BINARY or build one');
    const listen = `127.0.0.1:${await freePort()}`;
    this.origin = `http://${listen}`;
    const settings = [`http.listen=${listen}`, 'gateway.metrics_listen=off', 'session.metrics_listen=off',
      'session.grpc_listen=off', 'statesync.grpc_listen=off', 'statesync.metrics_listen=off', 'storage.url=memory:'];
    this.#server = spawn(binary, ['serve', '--dev', ...settings.flatMap((setting) => ['--set', setting])], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await this.#ready();
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
    this.#browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
  }

  async stop() {
    await this.#browser?.close();
    if (!this.#server || this.#server.exitCode !== null) return;
    this.#server.kill('SIGTERM');
    await once(this.#server, 'exit');
  }

  async open(path, options = {}) {
    this.#complaints = [];
    const page = this.#page = await this.#browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    const complain = (text) => this.#complaints.push(text);
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('console', (message) => { if (message.type() === 'error') complain(message.text()); });
    page.on('pageerror', (error) => complain(String(error)));
    await page.exposeFunction('complain', complain);
    await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
      ({ violatedDirective, blockedURI }) => window.complain(`policy: ${violatedDirective} ${blockedURI}`)));
    const response = await page.goto(`${this.origin}${path}`);
    assert.equal(response.status(), 200);
    assert.match(response.headers()['content-security-policy'] ?? '', /default-src 'self'/);
    return page;
  }

  async closePage() {
    assert.deepEqual(this.#complaints, []);
    await this.#page.close();
  }

  // Waits until the value is the expected one; fails with the difference.
  async eventually(read, expected) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const value = await read();
      if (JSON.stringify(value) === JSON.stringify(expected)) return;
      if (Date.now() > deadline) assert.deepEqual(value, expected);
      await this.#page.evaluate(() => new Promise((drawn) => requestAnimationFrame(drawn)));
    }
  }

  async #ready() {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      assert.equal(this.#server.exitCode, null, 'the server has ended');
      assert.ok(Date.now() < deadline, 'the server is not ready');
      const up = await fetch(`${this.origin}/readyz`).then(({ ok }) => ok, () => false);
      if (up) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
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
