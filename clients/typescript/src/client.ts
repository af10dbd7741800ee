import {
  createTRPCClient,
  httpBatchLink,
  httpLink,
  type Operation,
  splitLink,
  type TRPCClient,
  type TRPCLink,
} from '@trpc/client'
import type { AnyTRPCRouter } from '@trpc/server'
import { type Author, type Place, Signing } from './author.js'
import { callsLink } from './calls.js'
import { ours } from './failures.js'
import { sse } from './sse.js'
import { streamsLink } from './streams.js'
import { Tokens } from './tokens.js'
import { type Transformer, type Wire, wireOf } from './wire.js'

/** How to reach a server. */
export type SynapOptions<TRouter extends AnyTRPCRouter> = {
  /** The address of the server, such as `https://events.example.org`; empty for the page's own. */
  url: string
  /**
   * A key, or a function that returns one. The function is called when the first call or stream needs one, and again after the server has refused that
   * key, so it should fetch or make a new one each time. A rejection fails the call; a stream asks again later.
   */
  token: string | (() => string | Promise<string>)
  /** The transport of streams; calls always use HTTP. Default: `sse`. */
  transport?: 'sse' | 'ws'
  /** The workspace to act in. Default: the first one of the key. */
  workspace?: string
  /** How often a read, or a write of events, is repeated if it gets no answer. Default: 3. */
  retries?: number
  /** Signs every event that the client logs (`metadata.synap.author`). */
  author?: Author | Promise<Author>
  /** Where these events are stored, which is signed too. Default: what the server says when the first one is logged. */
  place?: Place
  /** A `fetch` for runtimes without one, or to observe requests. */
  fetch?: typeof fetch
  /** A `WebSocket` for runtimes without one, such as node 20. */
  WebSocket?: typeof WebSocket
} & TransformerOption<TRouter>

type TransformerOption<TRouter extends AnyTRPCRouter> =
  TRouter['_def']['_config']['$types']['transformer'] extends false
    ? { transformer?: undefined }
    : {
        /** superjson, if the server's `SYNAP_TRANSFORMER` is superjson. */
        transformer: Transformer
      }

/** The server's largest batch. */
const MAX_BATCH_CALLS = 100
/** The longest URL of a batch. Proxies and content networks accept 8 KiB for the request line by default. */
const LONGEST_URL = 6_000
/** A query with a longer encoded input goes alone, and by POST. */
const LARGE_QUERY = 4_000
/** A mutation with a larger input goes alone, so that 100 smaller ones stay below the server's 8 MiB for a body. */
const LARGE_MUTATION = 65_536

/**
 * A tRPC client of a server, with the links that it needs.
 *
 * Calls of one tick share a request. It repeats a call that got no answer if the call cannot take effect twice: reads,
 * `events.log` and `events.logBatch`, whose events get their ids here, and the calls of `intents`. It renews a key that has ended with `token`,
 * unnoticed by callers. Streams resume after the last event, over server-sent events or WebSocket.
 */
export function createSynap<TRouter extends AnyTRPCRouter>(options: SynapOptions<TRouter>): TRPCClient<TRouter> {
  const { token, workspace, transport = 'sse', retries = 3 } = options
  const url = `${options.url.replace(/\/+$/, '').replace(/\/trpc$/, '')}/trpc`
  const target: Target = {
    url,
    wire: wireOf(options.transformer),
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    headers: (key) => ({
      authorization: `Bearer ${key}`,
      ...(workspace === undefined ? {} : { 'x-workspace-id': workspace }),
    }),
  }
  const tokens = new Tokens(typeof token === 'string' ? () => token : token)
  const signing = options.author && new Signing(options.author, options.place)
  const streams = async () => {
    if (transport === 'sse') return sse({ ...target, longestUrl: LONGEST_URL })
    const { ws } = await import('./ws.js')
    return ws({ ...target, workspace, WebSocket: options.WebSocket ?? WebSocket })
  }
  return createTRPCClient<TRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: streamsLink<TRouter>(tokens, streams),
        false: [callsLink<TRouter>(tokens, retries, signing), requestsLink<TRouter>(target, options.transformer)],
      }),
    ],
  })
}

interface Target {
  url: string
  wire: Wire
  fetch: typeof fetch
  headers: (token: string) => Record<string, string>
}

/** Sends the calls of one tick in batches, and large or waiting calls alone, by POST. */
function requestsLink<TRouter extends AnyTRPCRouter>(
  { url, fetch, headers, wire }: Target,
  transformer: Transformer | undefined,
): TRPCLink<TRouter> {
  const answered: typeof fetch = async (input, init) => ours(await fetch(input, init), 'application/json')
  const http = { url, fetch: answered as never, transformer: transformer as never }
  const headersOf = ({ context }: Operation) => headers(String(context['token']))
  return splitLink({
    // A call that waits would hold up all others of its batch.
    condition: ({ type, path, input }) => path === 'intents.wait' || isLarge(type, wire.encode(input)),
    true: httpLink<TRouter>({ ...http, methodOverride: 'POST', headers: ({ op }) => headersOf(op) }),
    false: httpBatchLink<TRouter>({
      ...http,
      maxItems: MAX_BATCH_CALLS,
      maxURLLength: LONGEST_URL,
      headers: ({ opList }) => headersOf(opList[0]),
    }),
  })
}

function isLarge(type: string, input: unknown): boolean {
  const text = JSON.stringify(input) ?? ''
  return type === 'query' ? encodeURIComponent(text).length > LARGE_QUERY : text.length > LARGE_MUTATION
}
