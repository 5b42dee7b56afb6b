// Checks a server with the official TypeScript SDK: version 1 or 2, over one transport, in one protocol era.
//   node clients.mjs v1|v2 stdio|http|sse legacy|modern TARGET...     (a command for stdio, a URL otherwise)
// Lists everything, reads resources, calls a read tool, follows a chat, deletes with confirmation. Prints one JSON line.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [sdk, transport, era, ...target] = process.argv.slice(2);
const from = createRequire(`${process.env.INTEROP_DIR}/package.json`);
const load = (name) => import(pathToFileURL(from.resolve(name)).href);
const { WebVTTParser } = (await load('webvtt-parser')).default;

let Client, Stdio, Http, Sse, onElicit;
if (sdk === 'v1') {
  ({ Client } = await load('@modelcontextprotocol/sdk/client/index.js'));
  ({ StdioClientTransport: Stdio } = await load('@modelcontextprotocol/sdk/client/stdio.js'));
  ({ StreamableHTTPClientTransport: Http } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js'));
  ({ SSEClientTransport: Sse } = await load('@modelcontextprotocol/sdk/client/sse.js'));
  const { ElicitRequestSchema } = await load('@modelcontextprotocol/sdk/types.js');
  onElicit = (client, answer) => client.setRequestHandler(ElicitRequestSchema, answer);
} else {
  ({ Client, StreamableHTTPClientTransport: Http, SSEClientTransport: Sse } = await load('@modelcontextprotocol/client'));
  ({ StdioClientTransport: Stdio } = await load('@modelcontextprotocol/client/stdio'));
  onElicit = (client, answer) => client.setRequestHandler('elicitation/create', answer);
}

// Each run has its own account over HTTP, and its own server over stdio.
const headers = { Authorization: `Bearer sk-interop-${process.pid}-${sdk}-${transport}-${era}` };
const requestInit = { headers };
const withHeaders = (url, init) => {
  const merged = new Headers(init?.headers);
  for (const [name, value] of Object.entries(headers)) merged.set(name, value);
  return fetch(url, { ...init, headers: merged });
};
const channel = {
  stdio: () => new Stdio({ command: target[0], args: target.slice(1), stderr: 'inherit' }),
  http: () => new Http(new URL(target[0]), { requestInit }),
  sse: () => new Sse(new URL(target[0]), { requestInit, eventSourceInit: { fetch: withHeaders } }),
}[transport]();

const negotiation = sdk === 'v2' && era === 'modern' ? { versionNegotiation: { mode: 'auto' } } : {};
const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } }, ...negotiation });
const forms = [];
onElicit(client, async (request) => {
  forms.push(request.params.message);
  return { action: 'accept', content: { confirm: forms.length > 1 } }; // the first time, the box stays unticked
});

const all = async (list, key) => {
  const items = [];
  let cursor;
  do {
    const page = await list(cursor ? { cursor } : {});
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor);
  return items;
};
const call = (name, args, options) => client.callTool({ name, arguments: args }, ...(sdk === 'v1' ? [undefined] : []), options);

await client.connect(channel);
const tools = await all((page) => client.listTools(page), 'tools');
const resources = await all((page) => client.listResources(page), 'resources');
const templates = await all((page) => client.listResourceTemplates(page), 'resourceTemplates');
const prompts = await all((page) => client.listPrompts(page), 'prompts');
assert.ok(tools.length > 25 && resources.length > 20 && templates.length > 4 && prompts.length === 5);

const cues = {};
for (const { uri, mimeType } of resources) {
  const { contents } = await client.readResource({ uri });
  assert.equal(contents[0].mimeType, mimeType);
  if (mimeType !== 'text/vtt') continue;
  const { cues: parsed, errors } = new WebVTTParser().parse(contents[0].text);
  assert.deepEqual(errors, [], uri);
  assert.ok(parsed.length > 0, uri);
  cues[uri] = parsed.length;
}
await assert.rejects(client.readResource({ uri: 'memories://videos/VI404' }), (error) => error.code === -32602);

const prompt = await client.getPrompt({ name: 'find_moment', arguments: { description: 'the goal' } });
assert.match(prompt.messages[0].content.text, /the goal/);
const completion = await client.complete({
  ref: { type: 'ref/prompt', name: 'meeting_minutes' }, argument: { name: 'video', value: 'quarterly' },
});
const [video] = completion.completion.values;
assert.match(video, /^VI/);

const search = await call('search_videos', { query: 'price of the Team plan' });
assert.ok(!search.isError && search.structuredContent.moments.length > 0);

const updates = [];
const question = { prompt: 'What is the price of the Team plan?', video_nos: [video] };
const chat = await call('chat_with_videos', question, { onprogress: (progress) => updates.push(progress) });
assert.ok(chat.structuredContent.answer && chat.structuredContent.evidence.length > 0);
// The client drops progress that arrives in one piece with the result, and the sandbox answers within milliseconds.
assert.ok(updates.length >= 1, 'no progress');
assert.equal(updates[0].message, 'Asking');
assert.ok(updates.every((update, i) => i === 0 || update.progress > updates[i - 1].progress));

const unticked = await call('delete_videos', { video_nos: [video] });
assert.ok(unticked.isError && /declined/.test(unticked.content[0].text));
const deleted = await call('delete_videos', { video_nos: [video] });
assert.deepEqual(deleted.structuredContent, { deleted: [video] });
assert.equal(forms.length, 2);

const protocol = client.getNegotiatedProtocolVersion?.() ?? channel.protocolVersion ?? channel._protocolVersion ?? '';
if (era === 'modern') assert.equal(protocol, '2026-07-28');
console.log(JSON.stringify({
  tools: tools.length, resources: resources.length, transcripts: Object.keys(cues).length, progress: updates.length, protocol,
}));
await client.close();
process.exit(0);
