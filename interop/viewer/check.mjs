// Checks the evidence viewer in a real browser, in a host of the protocol's own making, against the server on its sandbox.
//   node check.mjs URL                        CHROMIUM names the browser, INTEROP_DIR the folder of node_modules
//   node check.mjs URL --screenshots FOLDER   writes viewer-light.png and viewer-dark.png, and checks nothing else
// Prints one line a check, a last line at the end, and exits with 1 if a check failed.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(process.env.INTEROP_DIR, 'node_modules');
const from = createRequire(`${process.env.INTEROP_DIR}/package.json`);
const load = (name) => import(pathToFileURL(from.resolve(name)).href);
const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
const { chromium } = (await load('playwright-core')).default;
const { build } = await load('esbuild');
const axe = readFileSync(from.resolve('axe-core/axe.min.js'), 'utf8');

const [url, option, folder] = process.argv.slice(2);
const MIME_TYPE = 'text/html;profile=mcp-app';
const MAX_BYTES = 60_000;
const MAX_SCREENSHOT = 200_000;
const MAX_HEIGHT = 500;
const LEAST_TARGET = 44;
const TIMES = 20;
const WAIT = 8_000;
const MOST = 40_000;
const QUESTION = 'What is the price of the Team plan?';
// The protocol's policy for pages that declare no domains, and one of a host that allows more.
const POLICIES = {
  default: { csp: "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; connect-src 'none'", sandbox: 'allow-scripts' },
  wide: { csp: "default-src * 'unsafe-inline' 'unsafe-eval' data: blob:", sandbox: 'allow-scripts allow-same-origin allow-popups allow-forms' },
};
const CAPABILITIES = { serverTools: {}, openLinks: {}, message: { text: {} }, updateModelContext: { text: {}, structuredContent: {} } };

let failed = 0;
const pages = [];

/** Runs one check, prints its line, and closes the pages that it opened. */
async function check(title, run) {
  const started = performance.now();
  let line;
  try {
    const detail = await within(run(), MOST, 'the check takes too long');
    line = `ok   viewer: ${title}${detail ? ` (${detail})` : ''}`;
  } catch (error) {
    failed += 1;
    line = `FAIL viewer: ${title}: ${String(error.message ?? error).replace(/\s+/g, ' ').slice(0, 500)}`;
  }
  for (const page of pages.splice(0)) await page.context().close().catch(() => {});
  process.stdout.write(`${line} ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}

// ---------------------------------------------------------------- the server, the host page and the browser

const headers = { Authorization: `Bearer sk-interop-viewer-${process.pid}` };
const client = new Client({ name: 'interop-viewer', version: '1.0.0' }, {
  capabilities: { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [MIME_TYPE] } } },
});
await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }));
const call = (name, values) => client.callTool({ name, arguments: values });

const { tools } = await client.listTools();
const metaOf = (name) => tools.find((tool) => tool.name === name)?._meta ?? {};
const uri = metaOf('get_evidence').ui?.resourceUri ?? 'ui://memories/evidence.html';
const [resource] = (await client.readResource({ uri })).contents;

const bundle = await build({
  entryPoints: [join(HERE, 'host.js')], bundle: true, write: false, format: 'iife', minify: true, nodePaths: [MODULES],
});
const FILES = {
  '/': ['text/html', readFileSync(join(HERE, 'host.html'))],
  '/host.js': ['text/javascript', bundle.outputFiles[0].contents],
};
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://host');
  const policy = POLICIES[pathname.replace('/view/', '')];
  const [type, body] = policy ? ['text/html', resource.text] : FILES[pathname] ?? ['', ''];
  const policyHeader = policy ? { 'content-security-policy': policy.csp } : {};
  response.writeHead(type ? 200 : 404, { 'content-type': `${type}; charset=utf-8`, ...policyHeader }).end(body);
});
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
// Two names of one server: the page has another origin than the host.
const { port } = server.address();
const [HOST, VIEW] = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || undefined,
  args: ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
  timeout: 30_000,
});

/** Records in the page what a policy forbids, and the time from the arrival of a result to its picture. */
function observe() {
  window.seen = { violations: [], drawn: [] };
  addEventListener('securitypolicyviolation', (event) => window.seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  addEventListener('message', (event) => {
    if (event.data?.method !== 'ui/notifications/tool-result') return;
    const start = performance.now();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.seen.drawn.push(performance.now() - start);
      channel.port2.postMessage(0);
    });
  });
}

/** Opens the page in the host, and sends it what is given. */
async function open({
  input, result, policy = 'default', theme = 'light', width = 720, capabilities = CAPABILITIES, answer = call, context = {}, scale = 1,
} = {}) {
  const browserContext = await browser.newContext({
    viewport: { width, height: 900 }, colorScheme: theme, deviceScaleFactor: scale, permissions: ['clipboard-read'], reducedMotion: 'reduce',
  });
  browserContext.setDefaultTimeout(WAIT);
  const page = await browserContext.newPage();
  pages.push(page);
  const seen = { requests: [], dialogs: [], errors: [], calls: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('dialog', (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('popup', () => seen.dialogs.push('a new window'));
  await page.addInitScript(observe);
  await page.exposeFunction('callTool', async (params) => {
    seen.calls.push(params);
    return answer(params.name, params.arguments);
  });
  await page.goto(HOST);
  const { sandbox } = POLICIES[policy];
  const hostContext = { theme, displayMode: 'inline', containerDimensions: { width: width - 32, maxHeight: 600 }, ...context };
  const started = page.evaluate((options) => window.host.start(options), { src: `${VIEW}/view/${policy}`, sandbox, capabilities, context: hostContext });
  await within(started, WAIT, 'the page does not initialize');
  const frame = page.frames().find((other) => other.url().startsWith(VIEW));
  if (input) await page.evaluate((values) => window.host.input(values), input);
  if (result) await page.evaluate((value) => window.host.result(value), result);
  if (result?.structuredContent?.moments?.length) await frame.waitForSelector('.moment');
  const messages = (kind) => page.evaluate((name) => window.host.state.messages.filter((message) => message.kind === name).map((message) => message.params), kind);
  return { page, frame, seen, messages };
}

// ---------------------------------------------------------------- what a person sees

const words = (frame) => frame.evaluate(() => document.getElementById('root').innerText);

/** Waits for a promise, which fails after some milliseconds. */
function within(promise, milliseconds, what) {
  let timer;
  const limit = new Promise((_, reject) => { timer = setTimeout(reject, milliseconds, new Error(what)); });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Waits until a test holds. */
async function until(test, what) {
  const end = performance.now() + WAIT;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (performance.now() > end) throw new Error(`timeout: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 30); });
  }
}

/** Returns the spread of the pixels of each picture that is drawn, and a small print of it. */
const pictures = (frame) => frame.evaluate(async () => {
  const images = [...document.querySelectorAll('.media img')];
  await Promise.all(images.map((image) => image.decode()));
  return images.map((image) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 18 });
    const painter = canvas.getContext('2d');
    painter.drawImage(image, 0, 0, 32, 18);
    const values = [...painter.getImageData(0, 0, 32, 18).data].filter((_, index) => index % 4 !== 3);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    return { spread, print: values.join(), width: image.naturalWidth };
  });
});

/** Opens every moment, so that all that a person can reach is there. */
async function openAll(frame) {
  await frame.evaluate(() => {
    for (const button of document.querySelectorAll('.head[aria-expanded=false]')) button.click();
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
}

const quiet = ({ seen }) => {
  assert.deepEqual(seen.requests.filter((address) => !/^data:/.test(address) && !address.startsWith(HOST) && !address.startsWith(VIEW)), []);
  assert.deepEqual(seen.dialogs, []);
  assert.deepEqual(seen.errors, []);
};

const unavailable = (values) => ({
  content: [{ type: 'text', text: 'none' }],
  structuredContent: { ref: values.ref, kind: values.kind, ...values.media },
});

/** Returns a result whose every text is hostile. */
function hostile() {
  const attack = '<img src=x onerror="window.attacked=1"><script>window.attacked=1</' + 'script>';
  const row = (number, text) => ({
    refs: [`VI${number}#t=${number},${number + 5}&kind=visual`, `"><img src=x onerror=window.attacked=1>`], video_no: `VI${number}`,
    video_name: text, creator: text, views: 1e9, score: 0.5, start_seconds: number, end_seconds: number + 5, kind: 'visual', video_url: 'javascript:window.attacked=1',
    segments: [{ kind: attack, start_seconds: number, end_seconds: number + 2, text }, { kind: 'audio', start_seconds: 1e300, end_seconds: -5, text: attack }],
  });
  const texts = [attack, '\u202egnp.exe\u202c \u2066\u2067 txt', 'W'.repeat(10_000), '"onmouseover="window.attacked=1"', "'\"></style><svg onload=window.attacked=1>", '\u0000\u0007 bell'];
  return { content: [{ type: 'text', text: attack }], structuredContent: { moments: [...texts.map((text, index) => row(index + 1, text)), null, 7, 'row', { video_no: 9, refs: 'x' }, {}], note: attack, unread: [attack, 5] } };
}

const evidence = await call('get_evidence', { query: QUESTION });
const hits = await call('search_videos', { query: QUESTION });
const both = { get_evidence: evidence, search_videos: hits };

// ---------------------------------------------------------------- the checks

async function checkAll() {
  await check('the server declares the page and the tool that only the page calls', () => {
    assert.equal(resource.mimeType, MIME_TYPE);
    assert.equal(metaOf('get_evidence').ui?.resourceUri, uri);
    assert.equal(metaOf('get_evidence')['ui/resourceUri'], uri);
    assert.deepEqual(metaOf('get_moment_media').ui?.visibility, ['app']);
    const bytes = Buffer.byteLength(resource.text);
    assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
    return `${bytes} bytes`;
  });

  for (const policy of Object.keys(POLICIES)) {
    for (const [name, result] of Object.entries(both)) {
      await check(`the moments of ${name}, with key frames, under the ${policy} policy`, async () => {
        const opened = await open({ result, input: { query: QUESTION }, policy });
        const { frame, page } = opened;
        const text = await words(frame);
        const { moments } = result.structuredContent;
        assert.ok(moments.length);
        assert.match(text, new RegExp(`${moments.length} moments in \\d+ videos? for .*price of the Team plan`));
        assert.match(text, /Quarterly planning meeting/);
        const drawn = await frame.locator('.moment').count();
        assert.equal(drawn, moments.length);
        const visible = await frame.locator('.moment:visible').count();
        await until(async () => (await frame.locator('.media img').count()) >= Math.min(visible, 2), 'no key frames');
        const prints = await pictures(frame);
        for (const { spread, width } of prints) assert.ok(spread > 10 && width >= 160, `a blank picture: ${spread}`);
        const height = await frame.evaluate(() => document.getElementById('root').getBoundingClientRect().height);
        assert.ok(height <= MAX_HEIGHT, `height ${height}`);
        const scrolls = await until(async () => {
          const sizes = await frame.evaluate(() => [document.scrollingElement.scrollHeight - innerHeight, document.scrollingElement.scrollWidth - innerWidth]);
          return sizes.every((size) => size <= 0) && sizes;
        }, 'the page has a scroll bar of its own');
        assert.ok(scrolls);
        assert.deepEqual(await frame.evaluate(() => window.seen.violations), []);
        assert.ok((await page.evaluate(() => window.host.state.sizes)).length);
        for (const { name: tool, arguments: values } of opened.seen.calls) {
          assert.equal(tool, 'get_moment_media');
          assert.ok(!values.download, 'a download for which no person asked');
        }
        quiet(opened);
        return `${visible} of ${drawn} moments, ${prints.length} pictures, ${Math.round(height)} px`;
      });
    }
  }

  await check('the moments that did not fit appear on demand', async () => {
    const { frame } = await open({ result: hits });
    const all = hits.structuredContent.moments.length;
    const before = await frame.locator('.moment:visible').count();
    assert.ok(before < all, 'everything fits');
    await frame.getByRole('button', { name: /^Show \d+ more moments/ }).click();
    await until(async () => (await frame.locator('.moment:visible').count()) === all, 'not all moments');
    await until(async () => (await frame.evaluate(() => document.scrollingElement.scrollHeight <= innerHeight)), 'the host is not told the height');
    return `${before}, then ${all}`;
  });

  await check('a clip plays and seeks', async () => {
    const opened = await open({ result: evidence });
    const { frame, page } = opened;
    await frame.locator('.media button').first().click();
    const video = frame.locator('video');
    const load = frame.getByRole('button', { name: /downloads? .*billed/ });
    await until(async () => (await video.count()) || (await load.count()), 'neither a player nor an offer');
    const asked = await load.count();
    if (asked) {
      assert.ok(!opened.seen.calls.some((params) => params.arguments.download), 'a download for which no person asked');
      await load.click();
    }
    await video.waitFor();
    const first = await until(() => video.evaluate((player) => player.currentTime > 0 && player.currentTime), 'the clip does not play');
    await until(() => video.evaluate((player, time) => player.currentTime > time, first), 'the clip stands still');
    const target = await video.evaluate((player) => new Promise((resolve) => {
      player.pause();
      player.addEventListener('seeked', () => resolve(player.currentTime), { once: true });
      player.currentTime = Math.max(0.1, player.duration / 2);
    }));
    const [duration, width] = await video.evaluate((player) => [player.duration, player.videoWidth]);
    assert.ok(Math.abs(target - Math.max(0.1, duration / 2)) < 0.2 && width >= 160);
    const spread = await video.evaluate((player) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 18 });
      const painter = canvas.getContext('2d');
      painter.drawImage(player, 0, 0, 32, 18);
      return new Set(painter.getImageData(0, 0, 32, 18).data).size;
    });
    assert.ok(spread > 10, 'the clip is blank');
    assert.deepEqual(await frame.evaluate(() => window.seen.violations), []);
    quiet(opened);
    await page.evaluate(() => window.host.teardown());
    assert.equal(await frame.locator('video').count(), 0, 'the clip plays on after the end');
    return `${duration.toFixed(1)} s long${asked ? ', after a person asked' : ''}`;
  });

  await check('the buttons reach the host', async () => {
    const { frame, page, messages } = await open({ result: evidence });
    await openAll(frame);
    const moment = evidence.structuredContent.moments[0];
    await frame.getByRole('button', { name: 'Ask about this moment' }).first().click();
    const [message] = await until(async () => { const all = await messages('message'); return all.length && all; }, 'no ui/message');
    assert.equal(message.role, 'user');
    assert.ok(message.content[0].text.includes(moment.refs[0]));
    await frame.getByLabel('Use in the next answer').first().check();
    const [update] = await until(async () => { const all = await messages('update-model-context'); return all.length && all; }, 'no ui/update-model-context');
    assert.ok(JSON.stringify(update).includes(moment.refs[0]));
    await frame.getByRole('button', { name: /^Open at/ }).first().click();
    const [link] = await until(async () => { const all = await messages('open-link'); return all.length && all; }, 'no ui/open-link');
    assert.equal(link.url, moment.video_url);
    await frame.getByRole('button', { name: 'Copy citation' }).first().click();
    await frame.getByRole('button', { name: 'Copied' }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(copied.includes(moment.refs[0]) && copied.includes(moment.video_name), copied);
  });

  await check('a host that refuses, and one that can do nothing', async () => {
    const refusing = await open({ result: evidence });
    await refusing.page.evaluate(() => { window.host.state.refuse = true; });
    await openAll(refusing.frame);
    await refusing.frame.getByRole('button', { name: 'Ask about this moment' }).first().click();
    await refusing.frame.getByText('The chat application refused.').first().waitFor();
    const bare = await open({ result: evidence, capabilities: {} });
    await openAll(bare.frame);
    const names = await bare.frame.evaluate(() => [...document.querySelectorAll('.actions .button')].map((button) => button.textContent));
    assert.deepEqual([...new Set(names)], ['Copy citation']);
    assert.equal(bare.seen.calls.length, 0);
  });

  await check('loading, empty, cancelled and refused results', async () => {
    const { frame, page } = await open({ input: { query: 'a red door' } });
    const reads = (pattern) => until(async () => pattern.test(await words(frame)), `the page does not say ${pattern}`);
    await reads(/Looking for .a red door./);
    assert.equal(await frame.getAttribute('#root', 'aria-busy'), 'true');
    const send = (result) => page.evaluate((value) => window.host.result(value), result);
    await send(await call('get_evidence', { query: 'zzqq xxyy' }));
    await reads(/No moments\..+/s);
    await page.evaluate(() => window.host.cancel('the user stopped it'));
    await reads(/Cancelled: the user stopped it/);
    const refused = await call('get_evidence', { refs: ['VI1#t=1,2&kind=visual'] });
    assert.ok(refused.isError || refused.structuredContent);
    await send({ isError: true, content: [{ type: 'text', text: 'The key was refused. Set MEMORIES_API_KEY.' }] });
    await reads(/The key was refused/);
    assert.equal(await frame.getAttribute('#root', 'aria-busy'), 'false');
    await send({ content: [] });
    await reads(/returned nothing/);
  });

  await check('media that are not there: why, an offer of the download, a retry', async () => {
    const asked = [];
    const answer = (name, values) => {
      asked.push(values);
      if (values.download) return call(name, values);
      return unavailable({ ...values, media: { reason: 'This needs a download of the video (6 MB), which is billed.', download_bytes: 6_000_000 } });
    };
    const { frame } = await open({ result: evidence, answer, input: { query: QUESTION, unique_id: 'default' } });
    const load = frame.getByRole('button', { name: /Load pictures \(downloads 6\.0 MB, billed\)/ });
    await load.first().waitFor();
    assert.ok(asked.length && asked.every((values) => !values.download && values.unique_id === 'default'));
    await load.first().click();
    await frame.locator('.media img').first().waitFor();
    assert.ok(asked.some((values) => values.download));

    const without = await open({ result: evidence, answer: (_, values) => unavailable({ ...values, media: { reason: 'The original of this video was not kept.' } }) });
    await without.frame.getByText('The original of this video was not kept.').first().waitFor();
    const failing = await open({ result: evidence, answer: () => ({ isError: true, content: [{ type: 'text', text: 'The service did not answer.' }] }) });
    await failing.frame.getByText('The service did not answer.').first().waitFor();
    await failing.frame.getByRole('button', { name: 'Try again' }).first().waitFor();
  });

  await check('hostile names, transcripts, links and media run nothing', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="parent.attacked=1"/>').toString('base64');
    const answers = [
      { mime_type: 'image/svg+xml', data: svg }, { mime_type: 'text/html', data: svg }, { mime_type: 'image/jpeg', data: '"><img src=x onerror=attacked=1>' },
      { reason: '<img src=x onerror=window.attacked=1>' }, { mime_type: 'image/png"><script>attacked=1</script>', data: svg },
      { mime_type: 'video/mp4', data: svg, next_offset: 0 },
    ];
    let number = 0;
    for (const policy of Object.keys(POLICIES)) {
      const answer = (_, values) => unavailable({ ...values, media: answers[number++ % answers.length] });
      const opened = await open({ result: hostile(), input: { query: '<img src=x onerror=window.attacked=1>', unique_id: '<b>' }, policy, answer,
        context: { styles: { variables: { '--color-text-primary': 'url(http://evil.example/)', '--x': 'red;}</style><script>attacked=1</script>' } } } });
      const { frame, page } = opened;
      await openAll(frame);
      assert.equal(await frame.getByRole('button', { name: /^Open/ }).count(), 0, 'a link that is no web address');
      // The heads come last: they close their moments.
      for (const place of ['.actions', '.media', '.pins', '.notice', 'h3']) {
        for (const button of await frame.locator(`${place} button:visible`).all()) await button.click({ timeout: 300 }).catch(() => {});
      }
      assert.ok(await page.evaluate(() => window.host.state.messages.length), 'no button was pressed');
      await page.mouse.move(200, 200);
      const attacked = await Promise.all(page.frames().map((other) => other.evaluate(() => window.attacked)));
      assert.deepEqual(attacked.filter(Boolean), []);
      assert.equal(await frame.evaluate(() => document.querySelectorAll('#root script, #root iframe, #root object, #root a, #root style, #root [onerror]').length), 0);
      assert.equal(await frame.evaluate(() => [...document.images].filter((image) => !/^data:image\/(jpeg|png|webp);base64,/.test(image.src)).length), 0);
      assert.ok((await words(frame)).includes('<img src=x onerror="window.attacked=1">'), 'the text is not shown as it is');
      assert.ok(await frame.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), 'a long word widens the page');
      assert.deepEqual(await frame.evaluate(() => window.seen.violations), []);
      const links = await page.evaluate(() => window.host.state.messages.filter((message) => message.kind === 'open-link').map((message) => message.params.url));
      assert.deepEqual(links, []);
      quiet(opened);
    }
  });

  await check('the keyboard reaches everything, also while pictures arrive', async () => {
    let arrive;
    const asked = new Promise((resolve) => { arrive = resolve; });
    const { frame, page } = await open({ result: evidence, answer: (name, values) => asked.then(() => call(name, values)) });
    await frame.locator('.media button').first().focus();
    arrive();
    await until(async () => (await frame.locator('.media img').count()) === (await frame.locator('.moment:visible').count()), 'no key frames');
    assert.ok(await frame.evaluate(() => document.activeElement.matches('.media button')), 'a picture takes the focus away');
    await frame.evaluate(() => document.activeElement.blur());
    await openAll(frame);
    const targets = await frame.evaluate(() => {
      const all = [...document.querySelectorAll('#root button, #root input, #root a[href], #root summary, #root video')].filter((node) => node.checkVisibility() && !node.disabled);
      all.forEach((node, index) => { node.dataset.target = index; });
      return all.length;
    });
    const reached = new Set();
    for (let presses = 0; presses < targets + 5 && reached.size < targets; presses += 1) {
      await page.keyboard.press('Tab');
      const [index, outline] = await frame.evaluate(() => {
        const node = document.activeElement;
        const ring = node.closest('.button') ?? node;
        return [node.dataset?.target, getComputedStyle(ring).outlineStyle !== 'none' || getComputedStyle(node).outlineStyle !== 'none'];
      });
      if (index === undefined) continue;
      assert.ok(outline, `target ${index} shows no focus`);
      reached.add(index);
    }
    assert.equal(reached.size, targets);
    await frame.locator('.head').first().focus();
    const expanded = () => frame.locator('.head').first().getAttribute('aria-expanded');
    const before = await expanded();
    await page.keyboard.press('Enter');
    assert.notEqual(await expanded(), before);
    return `${targets} targets`;
  });

  for (const theme of ['light', 'dark']) {
    await check(`axe and the size of targets, ${theme}`, async () => {
      const findings = [];
      let rules = 0;
      const inspect = async (frame, state) => {
        await frame.evaluate(axe);
        const report = await frame.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
        rules = Math.max(rules, report.passes.length);
        findings.push(...report.violations.map(({ id, nodes }) => `${state}: ${id} ${nodes[0].html.slice(0, 80)} ${nodes[0].failureSummary?.slice(0, 160)}`));
        const small = await frame.evaluate((least) => [...document.querySelectorAll('#root button, #root a, #root summary, #root label')]
          .filter((node) => node.checkVisibility()).map((node) => [node, node.getBoundingClientRect()])
          .filter(([, box]) => box.width < least - 0.5 || box.height < least - 0.5).map(([node, box]) => `${node.className || node.tagName} ${box.width}x${box.height}`), LEAST_TARGET);
        findings.push(...small.map((target) => `${state}: small target ${target}`));
      };
      // Colours differ by theme, sizes by width.
      for (const width of theme === 'light' ? [360, 720] : [720]) {
        for (const [name, result] of Object.entries(both)) {
          const { frame } = await open({ result, theme, width, input: { query: QUESTION } });
          await until(async () => (await frame.locator('.media img').count()) > 0, 'no key frames');
          await inspect(frame, `${name} at ${width}`);
          await openAll(frame);
          await inspect(frame, `${name} at ${width}, opened`);
        }
      }
      const waiting = await open({ theme, input: { query: QUESTION } });
      await inspect(waiting.frame, 'waiting');
      assert.deepEqual(findings, []);
      return `${rules} rules pass`;
    });
  }

  await check('the time from a result to its picture', async () => {
    const { frame, page } = await open({ input: { query: QUESTION } });
    for (let run = 0; run < TIMES; run += 1) {
      await page.evaluate((value) => window.host.result(value), evidence);
      await until(() => frame.evaluate((count) => window.seen.drawn.length > count, run), 'nothing is drawn');
    }
    const times = (await frame.evaluate(() => window.seen.drawn)).sort((a, b) => a - b);
    return `median of ${TIMES}: ${times[TIMES / 2].toFixed(1)} ms, worst ${times.at(-1).toFixed(1)} ms`;
  });
}

async function takeScreenshots() {
  mkdirSync(folder, { recursive: true });
  for (const theme of ['light', 'dark']) {
    await check(`screenshot ${theme}`, async () => {
      const { frame, page } = await open({ result: evidence, theme, input: { query: QUESTION }, width: 760 });
      const visible = await frame.locator('.moment:visible').count();
      await until(async () => (await frame.locator('.media img').count()) >= visible, 'no key frames');
      await frame.locator('.head').first().click();
      await frame.evaluate(() => document.activeElement.blur());
      await page.mouse.move(0, 0);
      const picture = await page.locator('iframe').screenshot({ path: join(folder, `viewer-${theme}.png`) });
      assert.ok(picture.length <= MAX_SCREENSHOT, `${picture.length} bytes`);
    });
  }
}

await (option === '--screenshots' ? takeScreenshots() : checkAll());
process.stdout.write('viewer: end\n');
await browser.close();
await client.close();
server.close();
process.exit(failed ? 1 : 0);
