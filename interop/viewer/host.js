// A small MCP Apps host for the checks, on the protocol's own AppBridge; check.mjs bundles and drives it.
import { AppBridge, PostMessageTransport } from '@modelcontextprotocol/ext-apps/app-bridge';

const state = { messages: [], sizes: [], refuse: false };
let bridge, frame;

/** Records a request of the page, and accepts or refuses it. */
const take = (kind) => async (params) => {
  state.messages.push({ kind, params });
  return state.refuse ? { isError: true } : {};
};

window.host = {
  state,

  /** Shows the page in a sandboxed frame and resolves when it is initialized. */
  async start({ src, sandbox, capabilities, context }) {
    document.documentElement.style.colorScheme = context.theme;
    frame = document.createElement('iframe');
    frame.setAttribute('sandbox', sandbox);
    document.body.append(frame);
    bridge = new AppBridge(null, { name: 'check', version: '1.0.0' }, capabilities, { hostContext: context });
    bridge.onmessage = take('message');
    bridge.onopenlink = take('open-link');
    bridge.onupdatemodelcontext = take('update-model-context');
    bridge.onsizechange = ({ height }) => {
      state.sizes.push(height);
      frame.style.height = `${height}px`;
    };
    bridge.oncalltool = (params) => window.callTool(params);
    const initialized = new Promise((resolve) => { bridge.oninitialized = resolve; });
    // The transport listens before the page is loaded: its first message is its own.
    await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
    frame.src = src;
    await initialized;
  },

  input: (values) => bridge.sendToolInput({ arguments: values }),
  result: (result) => bridge.sendToolResult(result),
  cancel: (reason) => bridge.sendToolCancelled({ reason }),
  change: (context) => bridge.sendHostContextChange(context),
  teardown: () => bridge.teardownResource({}),
};
