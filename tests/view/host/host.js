// A host of MCP Apps: the reference host code (`AppBridge`) between a view and the product, which it
// reaches over Streamable HTTP. A test drives it through `window.host` and reads there what it was asked.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { AppBridge, PostMessageTransport, getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";

const MIME_TYPE = "text/html;profile=mcp-app";
const NAME = { name: "test-host", version: "1" };
const MODERN_VERSION = "2026-07-28";

/** Connects to the product at one revision: with a handshake, or at the modern one without. */
async function connect({ url, token, version }) {
  const capabilities = { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: [MIME_TYPE] } } };
  const options =
    version === MODERN_VERSION
      ? { capabilities, versionNegotiation: { mode: { pin: version } } }
      : { capabilities, supportedProtocolVersions: [version] };
  const client = new Client(NAME, options);
  const headers = { Authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

/** Returns the view of a tool: its HTML, and the domains that it asks for. */
async function readView(client, tool) {
  const uri = getToolUiResourceUri(tool);
  const { contents } = await client.readResource({ uri });
  const [item] = contents;
  if (item.uri !== uri || item.mimeType !== MIME_TYPE) throw new Error(`No view: ${JSON.stringify(item)}`);
  return { html: item.text, csp: item._meta?.ui?.csp };
}

window.host = {
  calls: [],
  links: [],
  downloads: [],
  modes: [],
  sizes: [],
  /** The methods of all that the view has sent. */
  methods: new Set(),
  /** Calls that are not answered yet. */
  pending: new Set(),
  /** What calls of the view are answered with, if not by the product. */
  answer: null,

  /** Shows the view, as a host does that has a call of a tool to show; returns what was negotiated. */
  async open({ product, sandboxUrl, capabilities, context, ignoresCsp }) {
    this.client = await connect(product);
    const { tools } = await this.client.listTools();
    this.tool = tools.find(({ name }) => name === product.tool);
    const { html, csp } = await readView(this.client, this.tool);
    const frame = document.querySelector("iframe");
    this.context = { toolInfo: { tool: this.tool }, ...context };
    this.bridge = new AppBridge(null, NAME, capabilities, { hostContext: this.context });
    this._listen(frame);
    const ready = new Promise((resolve) => (this.bridge.onsandboxready = resolve));
    const usedCsp = ignoresCsp ? {} : (csp ?? {});
    await this.bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
    const url = new URL(sandboxUrl);
    url.searchParams.set("csp", JSON.stringify(usedCsp));
    frame.src = url;
    await ready;
    const initialized = new Promise((resolve) => (this.bridge.oninitialized = resolve));
    await this.bridge.sendSandboxResourceReady({ html, csp: usedCsp });
    await initialized;
    const { extensions } = this.client.getServerCapabilities();
    return { version: this.client.getNegotiatedProtocolVersion(), extensions, csp };
  },

  /** Calls the tool for the model and tells the view of it. */
  async call(args) {
    await this.bridge.sendToolInput({ arguments: args });
    const result = await this.client.callTool({ name: this.tool.name, arguments: args });
    await this.bridge.sendToolResult(result);
  },

  /** Tells the view of a result that no server sent. */
  async tell(structuredContent, args = {}) {
    await this.bridge.sendToolInput({ arguments: args });
    await this.bridge.sendToolResult({ content: [], structuredContent });
  },

  /** Tells the view of what has changed around it. */
  change(context) {
    this.context = { ...this.context, ...context };
    this.bridge.setHostContext(this.context);
  },

  _listen(frame) {
    const { bridge } = this;
    addEventListener("message", ({ data }) => data.method && this.methods.add(data.method));
    bridge.onsizechange = ({ width, height }) => {
      this.sizes.push({ width, height });
      if (height !== undefined) frame.style.height = `${height}px`;
    };
    bridge.oncalltool = async (params) => {
      this.calls.push(params);
      if (this.answer) return this.answer;
      const call = this.client.callTool(params);
      this.pending.add(call);
      return call.finally(() => this.pending.delete(call));
    };
    bridge.onopenlink = async ({ url }) => (this.links.push(url), {});
    bridge.ondownloadfile = async ({ contents }) => (this.downloads.push(contents), {});
    bridge.onrequestdisplaymode = async ({ mode }) => {
      this.modes.push(mode);
      this.change({ displayMode: mode });
      return { mode };
    };
    // A message that went to the view and back has passed all that were sent before it.
    bridge.onloggingmessage = async ({ data }) => {
      await Promise.allSettled(this.pending);
      // The answers are on their way only after the promises that lead to them.
      await new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = resolve;
        port2.postMessage(null);
      });
      frame.contentWindow.postMessage({ jsonrpc: "2.0", method: `notifications/${data}` }, "*");
    };
  },
};
